//! The key file, and what is derived from it: sealing of secrets at rest and the hashes tokens are found by.
//!
//! The database alone gives no token away, and nobody can test guesses against it; both need the key file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use auth::Secret;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use zeroize::Zeroizing;

use crate::AdminError;

const KEY_LEN: usize = 32;

/// Keys of one database.
pub(crate) struct Keys {
    seal: RandomizedNonceKey,
    find: hmac::Key,
    audit: hmac::Key,
}

impl Keys {
    /// Reads the key file. Where there is none and `may_create` says so, a new one is made.
    pub(crate) fn load(path: &Path, may_create: bool) -> Result<Self, AdminError> {
        match read(path) {
            Ok(key) => Self::from_file(path, &key),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(AdminError::File { path: path.into(), source: error })
            }
            Err(_) if may_create => {
                let key = create(path).map_err(|source| AdminError::File { path: path.into(), source })?;
                Ok(Self::derive(&key))
            }
            Err(_) => {
                let reason = "is missing, and without it no token in the database can be read: restore it".to_owned();
                Err(AdminError::Key { path: path.into(), reason })
            }
        }
    }

    fn from_file(path: &Path, (key, mode): &(Zeroizing<Vec<u8>>, u32)) -> Result<Self, AdminError> {
        let wrong = |reason: String| Err(AdminError::Key { path: path.into(), reason });
        if mode & 0o077 != 0 {
            return wrong(format!("has mode {mode:04o}, so others may know it: run `chmod 600 {}`", path.display()));
        }
        if key.len() != KEY_LEN {
            return wrong(format!("has {} bytes where {KEY_LEN} are needed: restore it", key.len()));
        }
        Ok(Self::derive(key))
    }

    fn derive(key: &[u8]) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, key);
        let seal = hmac::sign(&root, b"flexfs admin: seal");
        let find = hmac::sign(&root, b"flexfs admin: find");
        let audit = hmac::sign(&root, b"flexfs admin: audit");
        Self {
            seal: RandomizedNonceKey::new(&AES_256_GCM, seal.as_ref()).expect("HMAC-SHA256 has the length of the key"),
            find: hmac::Key::new(hmac::HMAC_SHA256, find.as_ref()),
            audit: hmac::Key::new(hmac::HMAC_SHA256, audit.as_ref()),
        }
    }

    /// Encrypts `text` for `place`, the record that holds it: moved to another place it cannot be opened.
    pub(crate) fn seal(&self, place: &str, text: &str) -> Vec<u8> {
        let mut sealed = text.as_bytes().to_vec();
        let nonce = self
            .seal
            .seal_in_place_append_tag(Aad::from(place.as_bytes()), &mut sealed)
            .expect("sealing a short text fails only where the system gives no random bytes");
        sealed.extend_from_slice(nonce.as_ref());
        sealed
    }

    /// Opens what [`Keys::seal`] made for `place`; `None` for anything else.
    pub(crate) fn open(&self, place: &str, sealed: &[u8]) -> Option<Secret> {
        let (text, nonce) = sealed.split_at_checked(sealed.len().checked_sub(NONCE_LEN)?)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let text = self.seal.open_in_place(nonce, Aad::from(place.as_bytes()), &mut text).ok()?;
        Some(Secret::new(str::from_utf8(text).ok()?.to_owned()))
    }

    /// By what a token of this kind is found. Hashes of different kinds never meet.
    pub(crate) fn hash(&self, kind: &str, token: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.find);
        context.update(kind.as_bytes());
        context.update(b"\0");
        context.update(token.as_bytes());
        context.sign().as_ref().to_vec()
    }

    /// The hash (hex) that a line of the audit log carries.
    pub(crate) fn audit_hash(&self, line: &str) -> String {
        hmac::sign(&self.audit, line.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether `hash` is that of `line`.
    pub(crate) fn is_audit_hash(&self, line: &str, hash: &str) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.audit_hash(line).as_bytes(), hash.as_bytes()).is_ok()
    }
}

/// The file's bytes and permission bits.
fn read(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32)> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    Ok((Zeroizing::new(fs::read(path)?), mode))
}

/// Makes a key file that a crash leaves whole or absent.
fn create(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; KEY_LEN]);
    rand::fill(&mut key).map_err(|_| io::Error::other("the system gives no random bytes"))?;
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().expect("the key file lies in the database folder");
    File::open(folder)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests;
