use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::TransportError;

#[test]
fn fingerprint_reads_what_it_writes_and_what_other_tools_write() {
    let text = "00ff".repeat(16);
    let fingerprint: Fingerprint = text.parse().unwrap();
    assert_eq!(fingerprint.to_string(), text);
    let with_colons = "00:FF".repeat(16).replace("FF00", "FF:00");
    assert_eq!(with_colons.parse::<Fingerprint>().unwrap(), fingerprint);
    for bad in ["", "00", &"0g".repeat(32), &"00".repeat(33)] {
        assert!(matches!(bad.parse::<Fingerprint>(), Err(TransportError::BadFingerprint(_))), "{bad}");
    }
}

#[test]
fn identity_is_made_once_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("ssl/cert"), folder.path().join("ssl/key"));
    let made = Identity::load_or_create(&certificate, &key).unwrap().fingerprint();
    assert_eq!(Identity::load_or_create(&certificate, &key).unwrap().fingerprint(), made);
    for file in [&certificate, &key] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn half_an_identity_is_named_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert"), folder.path().join("key"));
    Identity::load_or_create(&certificate, &key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = Identity::load_or_create(&certificate, &key).unwrap_err().to_string();
    assert!(error.contains("key") && error.contains("is missing"), "{error}");
    assert!(!key.exists());
    std::fs::write(&key, "nonsense").unwrap();
    assert!(Identity::load_or_create(&certificate, &key).is_err());
}

#[test]
fn key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert"), folder.path().join("key"));
    Identity::load_or_create(&certificate, &key).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o604)).unwrap();
    let error = Identity::load_or_create(&certificate, &key).unwrap_err().to_string();
    assert!(error.contains("0604") && error.contains("chmod 600"), "{error}");
}

#[test]
fn replaced_files_are_taken_up_once_and_half_a_pair_never() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert"), folder.path().join("key"));
    let identity = Identity::load_or_create(&certificate, &key).unwrap();
    let (before, secret) = (identity.fingerprint(), identity.derived_secret("x"));
    assert_eq!(identity.renew().unwrap(), None);

    let (other_certificate, other_key) = (folder.path().join("other-cert"), folder.path().join("other-key"));
    let other = Identity::load_or_create(&other_certificate, &other_key).unwrap().fingerprint();
    std::fs::rename(&other_certificate, &certificate).unwrap();
    assert!(identity.renew().unwrap_err().to_string().contains("is not the key of"));
    assert_eq!(identity.renew().unwrap(), None, "told once");
    assert_eq!(identity.fingerprint(), before);
    std::fs::rename(&other_key, &key).unwrap();
    assert_eq!(identity.renew().unwrap(), Some(other));
    assert_eq!((identity.fingerprint(), identity.renew().unwrap()), (other, None));
    assert_eq!(identity.derived_secret("x"), secret, "what stands on the first key stays");
}
