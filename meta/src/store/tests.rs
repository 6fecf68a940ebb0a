use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use proto::VolumeId;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

const CACHE: u64 = 8 << 20;

fn volume_id() -> VolumeId {
    VolumeId(Uuid::from_u128(42))
}

fn open(path: &Path) -> FjallKv {
    FjallDatabase::open(path, CACHE).unwrap().volume(volume_id()).unwrap()
}

fn refusal(path: &Path) -> String {
    match FjallDatabase::open(path, CACHE) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error.to_string(),
    }
}

fn put(kv: &impl MetaKv, pairs: &[(&str, &str)]) {
    let mut batch = Batch::default();
    for (key, value) in pairs {
        batch.put(*key, *value);
    }
    kv.commit(batch).unwrap();
}

fn scan(kv: &impl MetaKv, from: &str, to: &str, limit: usize, back: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push(format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
        if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    if back {
        kv.scan_back(from.as_bytes(), to.as_bytes(), &mut visit).unwrap();
    } else {
        kv.scan(from.as_bytes(), to.as_bytes(), &mut visit).unwrap();
    }
    found
}

fn behaves(kv: &impl MetaKv) {
    put(kv, &[("b", "1"), ("a", "2"), ("c", "3"), ("d", "4"), ("b", "5")]);
    assert_eq!(kv.get(b"b").unwrap().as_deref(), Some(b"5".as_slice()));
    assert_eq!(kv.get(b"x").unwrap(), None);
    assert_eq!(scan(kv, "a", "d", 9, false), ["a=2", "b=5", "c=3"]);
    assert_eq!(scan(kv, "b", "z", 2, false), ["b=5", "c=3"]);
    assert_eq!(scan(kv, "a", "d", 2, true), ["c=3", "b=5"]);
    assert_eq!(scan(kv, "d", "a", 9, false), [""; 0]);
    let mut batch = Batch::default();
    batch.remove("b");
    batch.remove("nothing");
    batch.put("c", "6");
    kv.commit(batch).unwrap();
    assert_eq!(scan(kv, "a", "z", 9, false), ["a=2", "c=6", "d=4"]);
}

#[test]
fn both_stores_keep_the_same_promises() {
    behaves(&MemoryKv::default());
    let dir = TempDir::new().unwrap();
    behaves(&open(&dir.path().join("meta")));
}

#[test]
fn commits_and_watermark_are_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    let kv = open(dir.path());
    put(&kv, &[("key", "value")]);
    kv.persist(Sequence(7)).unwrap();
    kv.persist(Sequence(5)).unwrap();
    drop(kv);
    let kv = open(dir.path());
    assert_eq!(kv.get(b"key").unwrap().as_deref(), Some(b"value".as_slice()));
    assert_eq!(kv.persisted(), Sequence(7));
}

#[test]
fn volumes_of_one_folder_do_not_see_each_other() {
    let dir = TempDir::new().unwrap();
    let database = FjallDatabase::open(dir.path(), CACHE).unwrap();
    let (one, two) = (VolumeId(Uuid::from_u128(1)), VolumeId(Uuid::from_u128(2)));
    put(&database.volume(one).unwrap(), &[("key", "one")]);
    assert_eq!(database.volume(two).unwrap().get(b"key").unwrap(), None);
    assert_eq!(database.volume(one).unwrap().get(b"key").unwrap().as_deref(), Some(b"one".as_slice()));
    let mut volumes = database.volumes();
    volumes.sort();
    assert_eq!(volumes, [one, two]);
}

#[test]
fn folder_of_something_else_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("thesis.tex"), "words").unwrap();
    assert!(refusal(dir.path()).contains("not a metadata folder"), "{}", refusal(dir.path()));
    assert!(!dir.path().join("FORMAT").exists());
}

#[test]
fn folder_of_a_newer_format_is_refused() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("FORMAT"), "flexfs-meta 2\n").unwrap();
    let line = refusal(dir.path());
    assert!(line.contains("\"flexfs-meta 2\"") && line.contains("\"flexfs-meta 1\""), "{line}");
}

#[test]
fn interrupted_first_start_is_taken_up() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("FORMAT.new"), "flex").unwrap();
    put(&open(dir.path()), &[("key", "value")]);
    assert_eq!(fs::read_to_string(dir.path().join("FORMAT")).unwrap(), "flexfs-meta 1\n");
}

#[test]
fn folder_in_use_is_refused() {
    let dir = TempDir::new().unwrap();
    let _database = FjallDatabase::open(dir.path(), CACHE).unwrap();
    assert!(refusal(dir.path()).contains("in use by another process"), "{}", refusal(dir.path()));
}

#[test]
fn garbled_watermark_is_refused_and_an_empty_one_is_zero() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mark");
    fs::write(&path, "").unwrap();
    let mark = watermark::Watermark::open(path.clone()).unwrap();
    assert_eq!(mark.highest(), Sequence(0));
    mark.raise(Sequence(123)).unwrap();
    assert_eq!(watermark::Watermark::open(path.clone()).unwrap().highest(), Sequence(123));
    fs::write(&path, "twelve").unwrap();
    let line = watermark::Watermark::open(path).unwrap_err().to_string();
    assert!(line.contains("\"twelve\"") && line.contains("decimal number"), "{line}");
}

#[test]
fn journal_that_cannot_be_opened_fails_one_flush_and_not_the_database() {
    let dir = TempDir::new().unwrap();
    let kv = open(dir.path());
    put(&kv, &[("key", "value")]);
    let circle = dir.path().join("database/circle.jnl");
    std::os::unix::fs::symlink(&circle, &circle).unwrap();
    assert!(kv.persist(Sequence(1)).is_err());
    fs::remove_file(&circle).unwrap();
    put(&kv, &[("key", "other")]);
    kv.persist(Sequence(2)).unwrap();
    assert_eq!(kv.persisted(), Sequence(2));
}
