use super::*;

#[test]
fn detached_process_gets_the_same_words_and_the_flag() {
    let words: Vec<OsString> = "flexfs -v mount start --ro -- start /mnt".split(' ').map(Into::into).collect();
    let expected: Vec<OsString> = "-v mount start --detached --ro -- start /mnt".split(' ').map(Into::into).collect();
    assert_eq!(detached_words(&words), expected);
}

#[test]
fn large_log_is_put_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.log");
    put_aside(&path).unwrap();
    File::create(&path).unwrap().set_len(LOG_MAX + 1).unwrap();
    put_aside(&path).unwrap();
    assert!(!path.exists() && folder.path().join("data.log.old").exists());
}
