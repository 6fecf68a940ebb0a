//! A CA for tests, and what it issues.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use tempfile::TempDir;

/// A CA in a folder of its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// A new one. `name` tells CAs apart.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let mut params = CertificateParams::new([]).expect("no names are fine");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("keys can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a CA signs itself");
        fs::write(folder.path().join("ca.pem"), issuer.pem()).expect("the folder is ours");
        Self { issuer, folder }
    }

    /// File with its certificate.
    pub fn file(&self) -> String {
        text(&self.folder.path().join("ca.pem"))
    }

    /// Issues a certificate for `names`, good up to the end of `last_year`, and writes it with its key in place of the
    /// former ones of this `label`. Returns both files.
    pub fn issue(&self, label: &str, names: &[&str], last_year: i32) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
            .expect("the names of tests are names");
        params.distinguished_name.push(DnType::CommonName, label);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("keys can be made");
        let certificate = params.signed_by(&key, &self.issuer).expect("a CA signs");
        let path = |ending: &str| self.folder.path().join(format!("{label}.{ending}"));
        replace(&path("cert"), &certificate.pem());
        replace(&path("key"), &key.serialize_pem());
        (text(&path("cert")), text(&path("key")))
    }
}

/// As administrators do it: written beside, then renamed.
fn replace(path: &Path, pem: &str) {
    let beside = PathBuf::from(format!("{}.new", path.display()));
    fs::write(&beside, pem).expect("the folder is ours");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    fs::rename(&beside, path).expect("the folder is ours");
}

fn text(path: &Path) -> String {
    path.to_str().expect("test folders have plain names").to_owned()
}
