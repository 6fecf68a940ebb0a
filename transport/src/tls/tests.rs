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
