use std::os::unix::fs::PermissionsExt;

use super::*;

const KEY: [u8; 32] = [3; 32];

/// What a cache of good tokens remembers, and the folder of the file.
fn written(now: SystemTime) -> (tempfile::TempDir, Vec<Remembered>) {
    let folder = tempfile::tempdir().unwrap();
    let mark = auth::Authenticator::new(Nobody, settings(), &KEY).mark(&auth::VolumeToken::generate());
    let tokens = vec![Remembered { mark, age: Duration::from_secs(5), grant: grant() }];
    RememberedFile::new(folder.path(), &KEY).save(tokens.clone(), now).unwrap();
    (folder, tokens)
}

struct Nobody;

impl auth::TokenAuthority for Nobody {
    async fn validate(&self, _: &auth::VolumeToken) -> Result<proto::rest::TokenGrant, auth::AuthorityError> {
        Err(auth::AuthorityError::Rejected)
    }
}

fn settings() -> auth::AuthenticatorSettings {
    let second = Duration::from_secs(1);
    auth::AuthenticatorSettings { positive_ttl: second, negative_ttl: second, grace: second, entries_max: 1 }
}

fn grant() -> proto::rest::TokenGrant {
    let block_store = proto::BlockStoreSettings::local("/blocks", "b");
    let id = proto::VolumeId(uuid::Uuid::from_u128(1));
    let volume = proto::VolumeSettings::new(id, "a-name-to-look-for", 1 << 20, block_store);
    proto::rest::TokenGrant {
        flags: "ro".to_owned(),
        expires: Some(7),
        mounts_max: 3,
        networks: "10.0.0.0/8".to_owned(),
        as_user: "1000:100,4".to_owned(),
        ..proto::rest::TokenGrant::whole(uuid::Uuid::from_u128(2), volume)
    }
}

#[test]
fn tokens_are_older_when_they_are_read_later() {
    let now = SystemTime::now();
    let (folder, tokens) = written(now);
    let file = RememberedFile::new(folder.path(), &KEY);
    assert_eq!(file.load(now), tokens);
    let later = file.load(now + Duration::from_secs(60));
    assert_eq!(later[0].age, Duration::from_secs(65));
    assert_eq!(file.load(now - Duration::from_secs(30))[0].age, Duration::from_secs(5));
}

#[test]
fn file_of_another_key_of_the_future_or_altered_counts_as_none() {
    let now = SystemTime::now();
    let (folder, _) = written(now);
    let file = RememberedFile::new(folder.path(), &KEY);
    assert_eq!(RememberedFile::new(folder.path(), &[4; 32]).load(now), Vec::new());
    assert_eq!(file.load(now - Duration::from_secs(3600)), Vec::new());
    let path = folder.path().join(NAME);
    let good = fs::read(&path).unwrap();
    for len in 0..good.len() {
        fs::write(&path, &good[..len]).unwrap();
        assert_eq!(file.load(now), Vec::new(), "{len} bytes");
    }
    let mut altered = good.clone();
    altered[0] ^= 1;
    fs::write(&path, &altered).unwrap();
    assert_eq!(file.load(now), Vec::new());
}

#[test]
fn file_of_an_older_version_counts_as_none() {
    let now = SystemTime::now();
    let (folder, _) = written(now);
    let file = RememberedFile::new(folder.path(), &KEY);
    assert_eq!(file.load(now).len(), 1);
    let path = folder.path().join(NAME);
    // What it says is as good as ever: only its seal is one of before grants had an identity.
    let mut sealed = fs::read(&path).unwrap();
    let mut text = file.open(&mut sealed).unwrap().to_vec();
    let nonce = file.key.seal_in_place_append_tag(Aad::from(b"flexfs known tokens 1"), &mut text).unwrap();
    text.extend_from_slice(nonce.as_ref());
    fs::write(&path, &text).unwrap();
    assert_eq!(file.load(now), Vec::new());
}

#[test]
fn file_is_private_and_tells_nothing_without_the_key() {
    let (folder, _) = written(SystemTime::now());
    let path = folder.path().join(NAME);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = fs::read(&path).unwrap();
    assert!(!bytes.windows(18).any(|window| window == b"a-name-to-look-for"));
}

#[test]
fn absent_file_is_no_complaint() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(RememberedFile::new(folder.path(), &KEY).read(SystemTime::now()), Ok(Vec::new()));
}
