use super::*;

#[test]
fn second_taker_hears_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let first = FileLock::take(&path).unwrap();
    let error = FileLock::take(&path).unwrap_err().to_string();
    assert_eq!(error, format!("in use by process {}", std::process::id()));
    drop(first);
    FileLock::take(&path).unwrap();
}
