//! Tokens that were good, on disk: so that a restart while the admin server is away shuts nobody out who may come in.
//!
//! The file holds keyed hashes, what each token opens and when that was asked; never a token. It is sealed with a key
//! derived from the server's own, so that whoever copies the data folder cannot read it, and none can be slipped in.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auth::Remembered;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use serde::{Deserialize, Serialize};

/// Name of the file in the data folder.
const NAME: &str = "known-tokens";
/// What the seal is made for: another version of the content is another one.
const PURPOSE: &[u8] = b"flexfs known tokens 3";
/// Longest file that is read, in bytes.
const LEN_MAX: u64 = 128 << 20;
/// A clock that was set back by more makes the ages unknown.
const SET_BACK_MAX: Duration = Duration::from_secs(60);

/// The file of one server.
pub(super) struct RememberedFile {
    path: PathBuf,
    key: RandomizedNonceKey,
}

#[derive(Serialize, Deserialize)]
struct Content {
    /// Since 1970.
    written: Duration,
    tokens: Vec<Remembered>,
}

impl RememberedFile {
    /// The file in `folder`, sealed with `key`.
    pub(super) fn new(folder: &Path, key: &[u8; 32]) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key).expect("the key has the length of AES-256's");
        Self { path: folder.join(NAME), key }
    }

    /// What an earlier process wrote, with its age at `now`. A file that cannot be used is as good as none: tokens are
    /// then asked about.
    pub(super) fn load(&self, now: SystemTime) -> Vec<Remembered> {
        match self.read(now) {
            Ok(tokens) => tokens,
            Err(reason) => {
                tracing::warn!(file = %self.path.display(), reason, "known tokens are asked about anew");
                Vec::new()
            }
        }
    }

    fn read(&self, now: SystemTime) -> Result<Vec<Remembered>, String> {
        let len = match fs::metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            found => found.map_err(|error| error.to_string())?.len(),
        };
        if len > LEN_MAX {
            return Err(format!("it has {len} bytes, at most {LEN_MAX} are read"));
        }
        let mut sealed = fs::read(&self.path).map_err(|error| error.to_string())?;
        let text = self
            .open(&mut sealed)
            .ok_or("it was sealed by a server with another key or of another version, or altered")?;
        let Content { written, mut tokens } = postcard::from_bytes(text).map_err(|error| error.to_string())?;
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if written.saturating_sub(now) > SET_BACK_MAX {
            return Err("it was written in the future: the clock was set back".to_owned());
        }
        for token in &mut tokens {
            token.age = token.age.saturating_add(now.saturating_sub(written));
        }
        Ok(tokens)
    }

    fn open<'a>(&self, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (text, nonce) = sealed.split_at_mut_checked(sealed.len().checked_sub(NONCE_LEN)?)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        self.key.open_in_place(nonce, Aad::from(PURPOSE), text).ok().map(|text| &*text)
    }

    /// Writes `tokens`, as they are at `now`, in the place of what was there. A crash leaves the one or the other.
    pub(super) fn save(&self, tokens: Vec<Remembered>, now: SystemTime) -> std::io::Result<()> {
        let written = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut sealed = postcard::to_stdvec(&Content { written, tokens }).map_err(std::io::Error::other)?;
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(PURPOSE), &mut sealed)
            .map_err(|_| std::io::Error::other("the system gives no random bytes"))?;
        sealed.extend_from_slice(nonce.as_ref());
        let temporary = self.path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(&sealed)?;
        file.sync_data()?;
        fs::rename(&temporary, &self.path)?;
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests;
