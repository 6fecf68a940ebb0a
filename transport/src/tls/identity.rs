//! `Identity`: a server's certificate and key, from files or made on first start.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use aws_lc_rs::hmac;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{Fingerprint, provider};
use crate::TransportError;

/// Time between two looks at the files.
const WATCH_EVERY: Duration = Duration::from_secs(2);

/// A certificate and its key, read from files and read again when these were replaced. Clones are the same identity.
#[derive(Clone)]
pub struct Identity {
    shared: Arc<Shared>,
}

struct Shared {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
    /// From the first key, for what must not change while the process runs.
    secret: Zeroizing<[u8; 32]>,
}

struct Current {
    pair: Arc<CertifiedKey>,
    /// The files that it is of, or the newer ones that could not be used.
    seen: [Stamp; 2],
}

/// By what a replaced file is known: time of change (s, ns), length and inode.
type Stamp = (i64, i64, u64, u64);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads both PEM files; makes and writes a self-signed pair (mode 0600) where neither exists.
    pub fn load_or_create(certificate: &Path, key: &Path) -> Result<Self, TransportError> {
        match (certificate.exists(), key.exists()) {
            (false, false) => Self::create(certificate, key),
            (true, true) => Self::load(certificate, key),
            (true, false) => {
                Err(file_error(key, "is missing, though its certificate is there: restore it or move both away"))
            }
            (false, true) => {
                Err(file_error(certificate, "is missing, though its key is there: restore it or move both away"))
            }
        }
    }

    /// Reads both PEM files. The key's must be its owner's alone.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TransportError> {
        let seen = stamps(certificate, key);
        let (chain, private) = read(certificate, key)?;
        let root = hmac::Key::new(hmac::HMAC_SHA256, private.secret_der());
        let secret = hmac::sign(&root, b"flexfs identity").as_ref().try_into().expect("HMAC-SHA256 has 32 bytes");
        let pair = Arc::new(paired(chain, private, certificate, key)?);
        let shared = Shared {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: RwLock::new(Current { pair, seen }),
            secret: Zeroizing::new(secret),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes up files that were replaced since they were last looked at: connections made from here on show the new
    /// certificate. Returns its fingerprint, `None` where nothing changed. Files that cannot be used are told of once;
    /// the old certificate stays.
    pub fn renew(&self) -> Result<Option<Fingerprint>, TransportError> {
        let Shared { certificate, key, .. } = &*self.shared;
        let seen = stamps(certificate, key);
        if self.current().seen == seen {
            return Ok(None);
        }
        let before = self.fingerprint();
        let renewed = read(certificate, key).and_then(|(chain, private)| paired(chain, private, certificate, key));
        let mut current = self.shared.current.write().expect("no code under this lock panics");
        current.seen = seen;
        current.pair = Arc::new(renewed?);
        let after = Fingerprint::of(&current.pair.cert[0]);
        Ok(Some(after).filter(|after| *after != before))
    }

    /// Waits until the files were replaced, looking every two seconds; the new fingerprint. What is wrong with new files is
    /// in the log.
    pub async fn replaced(&self) -> Fingerprint {
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            match self.renew() {
                Ok(None) => {}
                Ok(Some(fingerprint)) => {
                    tracing::info!(%fingerprint, "the certificate was replaced");
                    return fingerprint;
                }
                Err(error) => tracing::error!(%error, "the new certificate cannot be used: the old one stays"),
            }
        }
    }

    fn create(certificate: &Path, key: &Path) -> Result<Self, TransportError> {
        let (chain_pem, key_pem) = self_signed().map_err(|error| file_error(certificate, error))?;
        // The certificate is written last: a crash in between leaves a key alone, which the next start names.
        write_private(key, &key_pem)?;
        write_private(certificate, &chain_pem)?;
        Self::load(certificate, key)
    }

    /// By what clients recognise the server now.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.current().pair.cert[0])
    }

    /// A secret for one `purpose` that outlives the process with the key.
    #[must_use]
    pub fn derived_secret(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.shared.secret);
        let tag = hmac::sign(&key, purpose.as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    /// What shows the certificate of the moment.
    pub(super) fn resolver(&self) -> Arc<Resolver> {
        Arc::new(Resolver(self.clone()))
    }

    fn current(&self) -> std::sync::RwLockReadGuard<'_, Current> {
        self.shared.current.read().expect("no code under this lock panics")
    }
}

/// Shows the certificate that an identity has when a connection is made.
#[derive(Debug)]
pub(super) struct Resolver(Identity);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current().pair))
    }
}

impl ResolvesClientCert for Resolver {
    fn resolve(&self, _issuers: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.current().pair))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

type Pem = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn read(certificate: &Path, key: &Path) -> Result<Pem, TransportError> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(certificate, error))?;
    if chain.is_empty() {
        return Err(file_error(certificate, "holds no certificate in PEM form"));
    }
    Ok((chain, read_key(key)?))
}

/// Reads a key that only its owner can.
fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TransportError> {
    let file = File::open(path).map_err(|error| file_error(path, error))?;
    // Asked of the open file, so that it cannot be another one than is read.
    let mode = file.metadata().map_err(|error| file_error(path, error))?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        let reason = format!("has mode {mode:04o}, so others may know the key: run `chmod 600 {}`", path.display());
        return Err(file_error(path, reason));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(KEY_FILE_MAX).read_to_end(&mut text).map_err(|error| file_error(path, error))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| file_error(path, error))
}

/// Longest key file that is read, in bytes.
const KEY_FILE_MAX: u64 = 64 << 10;

fn paired(
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
    certificate: &Path,
    key: &Path,
) -> Result<CertifiedKey, TransportError> {
    CertifiedKey::from_der(chain, private, &provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            file_error(key, format!("is not the key of the certificate in {}", certificate.display()))
        }
        error => file_error(key, error),
    })
}

/// Of both files; a missing one has none of its own.
fn stamps(certificate: &Path, key: &Path) -> [Stamp; 2] {
    [certificate, key].map(|path| match fs::metadata(path) {
        Ok(file) => (file.mtime(), file.mtime_nsec(), file.len(), file.ino()),
        Err(_) => Stamp::default(),
    })
}

/// PEM texts of a new ECDSA P-256 certificate, valid for 100 years for this host alone.
fn self_signed() -> Result<(String, Zeroizing<String>), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "flexfs");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2126, 1, 1);
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
}

fn write_private(path: &Path, text: &str) -> Result<(), TransportError> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => file_error(path, "was just made by another process: start again"),
        _ => file_error(path, error),
    })
}

fn file_error(path: &Path, reason: impl fmt::Display) -> TransportError {
    TransportError::CertificateFile { path: path.to_owned(), reason: reason.to_string() }
}
