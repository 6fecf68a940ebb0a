use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tempfile::TempDir;

use super::*;
use crate::StoreErrorKind::{Corrupt, Exists, Invalid, NoSpace, NotFound};

fn settings(address: &Path) -> BlockStoreSettings {
    BlockStoreSettings {
        api_code: "local".into(),
        address: address.to_str().unwrap().into(),
        bucket: "blocks".into(),
        prefix: "team/a/".into(),
    }
}

const VOLUME: VolumeId = VolumeId(uuid::Uuid::from_u128(0xabc));

fn store() -> (TempDir, LocalStore) {
    let folder = TempDir::new().unwrap();
    let store = LocalStore::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn incoming_count(store: &LocalStore) -> usize {
    fs::read_dir(&store.place.incoming).unwrap().count()
}

#[tokio::test]
async fn object_is_read_back_by_range() {
    let (_folder, store) = store();
    let chunks = vec![Bytes::from_static(b"hel"), Bytes::new(), Bytes::from_static(b"lo world")];
    store.put(ObjectId(5), chunks).await.unwrap();
    assert_eq!(store.get(ObjectId(5), 0..11).await.unwrap(), "hello world");
    assert_eq!(store.get(ObjectId(5), 6..9).await.unwrap(), "wor");
    assert_eq!(incoming_count(&store), 0);
}

#[tokio::test]
async fn object_of_many_chunks_is_whole() {
    let (_folder, store) = store();
    let chunks: Vec<Bytes> = (0..5000u32).map(|n| Bytes::copy_from_slice(&n.to_le_bytes())).collect();
    let whole = chunks.concat();
    store.put(ObjectId(5), chunks).await.unwrap();
    assert_eq!(store.get(ObjectId(5), 0..20_000).await.unwrap(), whole);
}

#[tokio::test]
async fn put_never_overwrites() {
    let (_folder, store) = store();
    store.put(ObjectId(5), vec![Bytes::from_static(b"old")]).await.unwrap();
    let error = store.put(ObjectId(5), vec![Bytes::from_static(b"new")]).await.unwrap_err();
    assert_eq!(error.kind, Exists);
    assert_eq!(store.get(ObjectId(5), 0..3).await.unwrap(), "old");
    assert_eq!(incoming_count(&store), 0);
}

#[tokio::test]
async fn read_behind_the_end_is_an_error() {
    let (_folder, store) = store();
    store.put(ObjectId(5), vec![Bytes::from_static(b"abc")]).await.unwrap();
    assert_eq!(store.get(ObjectId(5), 1..4).await.unwrap_err().kind, Corrupt);
    assert_eq!(store.get(ObjectId(6), 0..1).await.unwrap_err().kind, NotFound);
}

#[tokio::test]
async fn deleting_what_is_gone_is_fine() {
    let (_folder, store) = store();
    store.put(ObjectId(5), vec![Bytes::from_static(b"abc")]).await.unwrap();
    store.delete(&[ObjectId(4), ObjectId(5)]).await.unwrap();
    store.delete(&[ObjectId(5)]).await.unwrap();
    assert_eq!(store.get(ObjectId(5), 0..1).await.unwrap_err().kind, NotFound);
}

#[tokio::test]
async fn listing_finds_every_object_and_nothing_else() {
    let (_folder, store) = store();
    let objects: BTreeSet<u64> = (0..20).map(|n| n * 1000).collect();
    for object in &objects {
        store.put(ObjectId(*object), vec![Bytes::from_static(b"abc")]).await.unwrap();
    }
    let strange = store.place.object_path(ObjectId(0)).with_file_name("notes.txt");
    fs::write(strange, "mine").unwrap();
    let mut found = BTreeSet::new();
    let mut cursor = None;
    loop {
        let listing = store.list(cursor).await.unwrap();
        for info in listing.objects {
            assert_eq!(info.len, 3);
            assert!(found.insert(info.object.0));
        }
        cursor = listing.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found, objects);
}

#[tokio::test]
async fn store_is_made_for_its_owner_only_and_found_again() {
    let folder = TempDir::new().unwrap();
    let store = crate::open_or_make(&settings(folder.path()), VOLUME).unwrap();
    store.put(ObjectId(1), vec![Bytes::from_static(b"x")]).await.unwrap();
    let root = folder.path().join(format!("blocks/team/a/{VOLUME}"));
    assert_eq!(fs::metadata(&root).unwrap().permissions().mode() & 0o777, 0o700);
    drop(store);
    let store = crate::open_or_make(&settings(folder.path()), VOLUME).unwrap();
    assert_eq!(store.get(ObjectId(1), 0..1).await.unwrap(), "x");
}

#[test]
fn senseless_settings_are_refused_with_the_value() {
    let folder = TempDir::new().unwrap();
    let good = settings(folder.path());
    let cases = [
        (BlockStoreSettings { api_code: "s3".into(), ..good.clone() }, "s3"),
        (BlockStoreSettings { address: "relative/path".into(), ..good.clone() }, "relative/path"),
        (BlockStoreSettings { bucket: "../etc".into(), ..good.clone() }, "../etc"),
        (BlockStoreSettings { prefix: "a/../../b".into(), ..good.clone() }, "a/../../b"),
    ];
    for (settings, value) in cases {
        let error = crate::open_or_make(&settings, VOLUME).err().unwrap();
        assert_eq!(error.kind, Invalid);
        assert!(error.message.contains(value), "{}", error.message);
    }
}

#[test]
fn place_that_is_no_folder_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("blocks");
    fs::write(&file, "").unwrap();
    let error = crate::open_or_make(&settings(folder.path()), VOLUME).err().unwrap();
    assert_eq!(error.message, format!("block store folder {}: exists and is no folder", file.display()));
}

#[test]
fn old_leftovers_are_removed_and_young_ones_kept() {
    let folder = TempDir::new().unwrap();
    let incoming = folder.path().join(INCOMING);
    fs::create_dir(&incoming).unwrap();
    let old = std::time::SystemTime::now() - 2 * LEFTOVER_AGE;
    File::create(incoming.join("old")).unwrap().set_modified(old).unwrap();
    File::create(incoming.join("young")).unwrap();
    LocalStore::open(folder.path()).unwrap();
    assert!(!incoming.join("old").exists());
    assert!(incoming.join("young").exists());
}

#[test]
fn runs_of_ids_share_a_folder_and_the_runs_spread() {
    assert!((0..256).all(|id| leaf_of(ObjectId(id)) == leaf_of(ObjectId(0))));
    let leaves: BTreeSet<u16> = (0..2000).map(|run| leaf_of(ObjectId(run << 8))).collect();
    assert!(leaves.len() > 1900, "{}", leaves.len());
}

/// A file system of two megabytes, for as long as the value lives.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts a file system of memory: `tmpfs` or `ramfs`.
    fn new(kind: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        let output = mount.args(["-t", kind, "-o", "size=2m", kind]).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "this test mounts a {kind}, as root: {output:?}");
        Self(folder)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn full_disk_is_no_space_and_leaves_nothing_behind() {
    let disk = SmallDisk::new("tmpfs");
    let store = LocalStore::open(&disk.0.path().join("store")).unwrap();
    let megabyte = Bytes::from(vec![1; 1 << 20]);
    store.put(ObjectId(1), vec![megabyte.clone()]).await.unwrap();
    let error = store.put(ObjectId(2), vec![megabyte.clone(), megabyte.clone()]).await.unwrap_err();
    assert_eq!(error.kind, NoSpace);
    assert_eq!(incoming_count(&store), 0);
    assert_eq!(store.get(ObjectId(2), 0..1).await.unwrap_err().kind, NotFound);
    store.delete(&[ObjectId(1)]).await.unwrap();
    store.put(ObjectId(2), vec![megabyte]).await.unwrap();
}

#[tokio::test]
async fn file_system_without_direct_writes_is_written_through_its_cache() {
    let disk = SmallDisk::new("ramfs");
    let store = LocalStore::open(&disk.0.path().join("store")).unwrap();
    let bytes = Bytes::from(vec![7; DIRECT_MIN + 1]);
    for object in [ObjectId(1), ObjectId(2)] {
        store.put(object, vec![bytes.clone()]).await.unwrap();
        assert_eq!(store.get(object, 0..bytes.len() as u64).await.unwrap(), bytes);
    }
    assert!(!store.place.takes_direct.load(Ordering::Relaxed));
    assert_eq!(incoming_count(&store), 0);
}

#[test]
fn mount_opens_only_the_place_that_the_server_made() {
    let folder = TempDir::new().unwrap();
    let settings = settings(folder.path());
    let error = crate::open(&settings, VOLUME, None).map(drop).unwrap_err();
    assert_eq!(error.kind, NotFound);
    assert!(error.message.contains("on the host of its metadata server"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    crate::open_or_make(&settings, VOLUME).unwrap();
    crate::open(&settings, VOLUME, None).unwrap();
}

#[tokio::test]
async fn bound_holds_for_reads_and_writes_together() {
    let (_folder, store) = store();
    let store = store.bounded(NonZeroUsize::MIN);
    store.put(ObjectId(5), vec![Bytes::from_static(b"abc")]).await.unwrap();
    let slot = Arc::clone(&store.reads).acquire_owned().await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(store.put(ObjectId(6), Vec::new())).is_none());
    assert!(futures_util::FutureExt::now_or_never(store.get(ObjectId(5), 0..3)).is_none());
    drop(slot);
    assert_eq!(store.get(ObjectId(5), 0..3).await.unwrap(), "abc");
}
