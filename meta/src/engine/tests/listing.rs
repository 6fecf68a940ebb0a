//! Listing directories.

use std::collections::BTreeSet;

use proto::dirent::{DirRecord, DirRecords};
use proto::{Errno, InodeId, Reply, Request};

use super::world::{ROOT, User, World, name};
use crate::engine::inode::Dentry;
use crate::engine::keys;
use crate::store::{Batch, MetaKv};

/// One page: names with their offsets, and whether it was the last.
fn page(user: &User<'_>, offset: u64, bytes_max: u32) -> (Vec<(String, u64)>, bool) {
    let Ok(Reply::Names { records, end }) = user.ask(Request::ReadDir { ino: ROOT, offset, bytes_max, attrs: true })
    else {
        panic!("cannot list")
    };
    let mut walk = DirRecords::new(&records);
    let names = walk.by_ref().map(|record| {
        assert_eq!(record.attr.unwrap().ino, record.ino);
        (String::from_utf8_lossy(record.name).into_owned(), record.offset)
    });
    let names = names.collect();
    assert!(walk.is_clean() && (records.len() <= bytes_max as usize || bytes_max < 200));
    (names, end)
}

fn fill(root: &User<'_>, count: u32) -> BTreeSet<String> {
    let names = (0..count).map(|number| format!("file{number}"));
    names.inspect(|name| assert!(root.file(ROOT, name, 0o644).is_ok())).collect()
}

#[test]
fn pages_of_any_size_show_every_name_once() {
    let world = World::new();
    let root = world.superuser();
    let expected = fill(&root, 300);
    for bytes_max in [0, 150, 1000, 1 << 30] {
        let (mut seen, mut offset, mut pages) = (BTreeSet::new(), 0, 0);
        loop {
            let (names, end) = page(&root, offset, bytes_max);
            assert!(names.windows(2).all(|pair| pair[0].1 < pair[1].1));
            for (name, next) in names {
                assert!(seen.insert(name) && next > offset && next > 2);
                offset = next;
            }
            pages += 1;
            if end {
                break;
            }
        }
        assert_eq!(seen, expected);
        assert!(bytes_max < 2000 || pages == 1);
    }
}

#[test]
fn names_that_stay_are_shown_once_while_others_come_and_go() {
    let world = World::new();
    let root = world.superuser();
    let expected = fill(&root, 100);
    let (mut seen, mut offset) = (Vec::new(), 0);
    for step in 0.. {
        let (names, end) = page(&root, offset, 1000);
        for (name, next) in names {
            offset = next;
            if expected.contains(&name) {
                seen.push(name);
            }
        }
        if end {
            break;
        }
        root.file(ROOT, &format!("new{step}"), 0o644).unwrap();
        if step > 2 {
            root.unlink(ROOT, &format!("new{}", step - 2)).unwrap();
        }
    }
    seen.sort();
    assert_eq!(seen, expected.into_iter().collect::<Vec<_>>());
}

#[test]
fn names_of_one_hash_come_in_one_reply() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "real", 0o644).unwrap();
    let mut batch = Batch::default();
    for (hash, text) in [(10, "a"), (20, "b"), (20, "c"), (20, "d"), (30, "e"), (30, "f")] {
        let dentry = Dentry { ino, kind: proto::FileKind::Regular };
        batch.put(keys::dentry(ROOT, hash, &name(text)), dentry.encode());
    }
    world.volume.kv.commit(batch).unwrap();
    let first = |offset| page(&root, offset, 1).0.into_iter().map(|(name, _)| name).collect::<String>();
    assert_eq!([first(0), first(10), first(20)], ["a", "bcd", "ef"]);
    let one_record =
        DirRecord { ino, offset: 1, kind: proto::FileKind::Regular, name: b"a", attr: root.stat(ino).ok() };
    let room_for_three = 3 * one_record.encoded_len() as u32;
    let (names, end) = page(&root, 0, room_for_three);
    assert_eq!((names.len(), end), (1, false), "the second group does not fit whole");
}

#[test]
fn behind_the_last_name_there_is_nothing() {
    let world = World::new();
    let root = world.superuser();
    assert_eq!(page(&root, 0, 4096), (vec![], true));
    fill(&root, 3);
    assert_eq!(page(&root, u64::MAX, 4096), (vec![], true));
    assert_eq!(page(&root, 2, 4096).0.len(), 3);
}

#[test]
fn only_directories_can_be_listed_and_only_by_readers() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o777).unwrap();
    let list = |ino: InodeId| root.ask(Request::ReadDir { ino, offset: 0, bytes_max: 4096, attrs: false });
    assert_eq!(list(ino), Err(Errno::ENOTDIR.into()));
    let dir = root.mkdir(ROOT, "d", 0o711).unwrap();
    assert_eq!(root.other(1, 1).ask(Request::OpenDir { ino: dir }), Err(Errno::EACCES.into()));
    assert_eq!(root.ask(Request::OpenDir { ino: dir }), Ok(Reply::Done));
    assert_eq!(root.ask(Request::OpenDir { ino }), Err(Errno::ENOTDIR.into()));
}
