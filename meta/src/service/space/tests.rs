use proto::{InodeId, Name};

use super::*;

fn space(is_low: bool) -> Space {
    Space { folder: "/".into(), is_low: AtomicBool::new(is_low) }
}

fn name() -> Name {
    Name::new(b"name").unwrap()
}

#[test]
fn full_disk_takes_nothing_new_and_gives_room_back() {
    let grant = Request::GrantObjects { count: 1, given_back: Vec::new() };
    let link = Request::Link { ino: InodeId(2), parent: InodeId(1), name: name() };
    let unlink = Request::Unlink { parent: InodeId(1), name: name() };
    for request in [&grant, &link] {
        assert!(space(true).refuses(request) && !space(false).refuses(request), "{request:?}");
    }
    for request in [&unlink, &Request::GetAttr { ino: InodeId(1) }] {
        assert!(!space(true).refuses(request), "{request:?}");
    }
}

#[test]
fn disk_with_room_is_seen_as_such_again() {
    let folder = tempfile::tempdir().unwrap();
    let space = Space { folder: folder.path().to_owned(), is_low: AtomicBool::new(true) };
    space.look();
    assert!(!space.is_low.load(Ordering::Relaxed), "the tests need a disk with {} MiB free", RESERVE >> 20);
}
