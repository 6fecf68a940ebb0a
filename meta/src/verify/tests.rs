use std::sync::Mutex;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;

const VOLUME: VolumeId = VolumeId(Uuid::from_u128(7));

/// A folder with one new volume, closed again.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let limits = VolumeLimits { block_size: 1 << 20, blocks_max: 0, inodes_max: 0, retention_secs: 0 };
    let now = Timespec { secs: 1000, nanos: 0 };
    let volume = Volume::open(kv(&folder), limits, now).unwrap();
    volume.persist().unwrap();
    folder
}

fn kv(folder: &TempDir) -> crate::store::FjallKv {
    FjallDatabase::open(folder.path(), CACHE_MAX).unwrap().volume(VOLUME).unwrap()
}

fn records(folder: &TempDir) -> Vec<(Vec<u8>, Vec<u8>)> {
    let records = Mutex::new(Vec::new());
    let mut visit = |key: &[u8], value: &[u8]| {
        records.lock().unwrap().push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    kv(folder).scan(&[], &[u8::MAX], &mut visit).unwrap();
    records.into_inner().unwrap()
}

fn verified(folder: &TempDir) -> Vec<Findings> {
    let mut findings = Vec::new();
    verify(folder.path(), |found| findings.push(found)).unwrap();
    findings
}

#[test]
fn sound_volume_is_called_so_and_left_as_it_is() {
    let folder = folder();
    let before = records(&folder);
    let findings = verified(&folder);
    assert_eq!((findings.len(), findings[0].volume, findings[0].inodes), (1, VOLUME, 1));
    assert!(findings[0].problems.is_empty(), "{findings:?}");
    assert_eq!(records(&folder), before);
}

#[test]
fn every_record_of_a_new_volume_is_missed() {
    let keys: Vec<Vec<u8>> = records(&folder()).into_iter().map(|(key, _)| key).collect();
    assert!(keys.len() > 1);
    for key in keys {
        let folder = folder();
        let mut damage = Batch::default();
        damage.remove(key.clone());
        kv(&folder).commit(damage).unwrap();
        assert!(!verified(&folder)[0].problems.is_empty(), "{key:?}");
    }
}

#[test]
fn record_that_cannot_be_read_is_a_problem() {
    let folder = folder();
    for (key, _) in records(&folder) {
        let mut damage = Batch::default();
        damage.put(key, [0xff]);
        kv(&folder).commit(damage).unwrap();
        assert!(!verified(&folder)[0].problems.is_empty());
    }
}

#[test]
fn folder_must_be_there_and_nobody_may_use_it() {
    let empty = tempfile::tempdir().unwrap();
    let refused = |folder: &Path| verify(folder, |_| panic!("nothing is found")).unwrap_err().to_string();
    assert!(refused(empty.path()).contains("is no metadata folder"));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
    let folder = folder();
    let _server = FjallDatabase::open(folder.path(), CACHE_MAX).unwrap();
    assert!(refused(folder.path()).contains("in use by another process"));
}
