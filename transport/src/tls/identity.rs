//! `Identity`: a server's certificate and key, from files or made on first start.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use aws_lc_rs::hmac;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::Fingerprint;
use crate::TransportError;

/// A certificate chain and the key of its first certificate.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

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

    fn load(certificate: &Path, key: &Path) -> Result<Self, TransportError> {
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| file_error(certificate, error))?;
        if chain.is_empty() {
            return Err(file_error(certificate, "holds no certificate in PEM form"));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| file_error(key, error))?;
        Ok(Self { chain, key })
    }

    fn create(certificate: &Path, key: &Path) -> Result<Self, TransportError> {
        let (chain_pem, key_pem) = self_signed().map_err(|error| file_error(certificate, error))?;
        // The certificate is written last: a crash in between leaves a key alone, which the next start names.
        write_private(key, &key_pem)?;
        write_private(certificate, &chain_pem)?;
        Self::load(certificate, key)
    }

    /// By what clients recognise the server.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.chain[0])
    }

    /// A secret for one `purpose` that outlives the process with the key.
    #[must_use]
    pub fn derived_secret(&self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.secret_der());
        let tag = hmac::sign(&key, purpose.as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }

    pub(super) fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    pub(super) fn key(&self) -> PrivateKeyDer<'static> {
        self.key.clone_key()
    }
}

/// PEM texts of a new ECDSA P-256 certificate, valid for 100 years for this host alone.
fn self_signed() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "flexfs");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2126, 1, 1);
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
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
