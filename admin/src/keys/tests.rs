use super::*;

fn keys(folder: &Path) -> Keys {
    Keys::load(&folder.join("key"), true).unwrap()
}

#[test]
fn sealed_text_opens_at_its_place_only() {
    let folder = tempfile::tempdir().unwrap();
    let keys = keys(folder.path());
    let sealed = keys.seal("volume_tokens/1", "a secret");
    assert_eq!(keys.open("volume_tokens/1", &sealed).unwrap().expose(), "a secret");
    assert!(keys.open("volume_tokens/2", &sealed).is_none());
    assert_ne!(keys.seal("volume_tokens/1", "a secret"), sealed, "every nonce is new");
    for position in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[position] ^= 1;
        assert!(keys.open("volume_tokens/1", &changed).is_none(), "{position}");
    }
    for len in 0..sealed.len() {
        assert!(keys.open("volume_tokens/1", &sealed[..len]).is_none());
    }
}

#[test]
fn hash_depends_on_key_kind_and_token() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (keys(one.path()), keys(other.path()));
    assert_eq!(one.hash("account", "t"), one.hash("account", "t"));
    assert_ne!(one.hash("account", "t"), one.hash("volume", "t"));
    assert_ne!(one.hash("account", "t"), one.hash("account", "u"));
    assert_ne!(one.hash("account", "t"), other.hash("account", "t"));
}

#[test]
fn key_file_is_private_kept_and_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let missing = Keys::load(&path, false).err().unwrap().to_string();
    assert!(missing.contains("is missing") && missing.contains("key"), "{missing}");

    let hash = keys(folder.path()).hash("k", "t");
    assert_eq!(keys(folder.path()).hash("k", "t"), hash);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let open = Keys::load(&path, true).err().unwrap().to_string();
    assert!(open.contains("0640") && open.contains("chmod 600"), "{open}");

    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&path, [1; 5]).unwrap();
    let short = Keys::load(&path, true).err().unwrap().to_string();
    assert!(short.contains("5 bytes where 32"), "{short}");
    assert_eq!(fs::read(&path).unwrap(), [1; 5]);
}
