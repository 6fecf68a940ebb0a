//! Files that live by being open.

use proto::{Caller, Claim, Close, Errno, InodeId, Refused, Reply, Request};

use super::world::{BOTH, READ, ROOT, User, WRITE, World, at};
use crate::store::{MemoryKv, MetaKv};

fn reclaim<K: MetaKv>(user: &User<'_, K>, ino: InodeId, count: u32, write: bool) -> Vec<InodeId> {
    match user.ask(Request::Reclaim { claims: vec![Claim { ino, count, write }] }) {
        Ok(Reply::Claimed { gone }) => gone,
        other => panic!("{other:?}"),
    }
}

#[test]
fn unlinked_file_lives_until_its_last_close() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.open(ino, READ).unwrap();
    root.unlink(ROOT, "f").unwrap();
    world.check();
    root.write(ino, 0, 0, 8);
    assert_eq!(root.stat(ino).unwrap().nlink, 0);
    root.close(ino);
    assert_eq!(root.stat(ino).unwrap().size, 8);
    root.open(ino, READ).unwrap();
    root.close(ino);
    root.close(ino);
    assert_eq!(root.stat(ino), Err(Errno::ESTALE));
    assert_eq!(root.dead(), [1]);
    assert_eq!(world.volume.stat().bytes_used, 0);
    world.check();
}

#[test]
fn orphan_is_for_the_sessions_that_hold_it() {
    let world = World::new();
    let root = world.superuser();
    let other = world.user(world.mount(2, ROOT, false), Caller::ROOT);
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.unlink(ROOT, "f").unwrap();
    assert_eq!(other.stat(ino), Err(Errno::ESTALE));
    assert_eq!(other.open(ino, READ).map(drop), Err(Errno::ESTALE));
    assert_eq!(root.link(ino, ROOT, "back"), Err(Errno::ENOENT));
    assert_eq!(reclaim(&other, ino, 1, false), [ino]);
}

#[test]
fn orphan_of_two_sessions_goes_with_the_second() {
    let world = World::new();
    let one = world.superuser();
    let two = world.user(world.mount(2, ROOT, false), Caller::ROOT);
    let ino = one.create(ROOT, "f", 0o644).unwrap();
    two.open(ino, READ).unwrap();
    one.unlink(ROOT, "f").unwrap();
    one.close(ino);
    assert_eq!(one.stat(ino), Err(Errno::ESTALE));
    assert!(two.stat(ino).is_ok());
    world.check();
    world.volume.close_session(two.session.id, at(9)).unwrap();
    assert_eq!(world.volume.stat().inodes_used, 1);
    world.check();
}

#[test]
fn closing_more_than_was_opened_is_harmless() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    let closes = vec![Close { ino, count: u32::MAX, atime: None }, Close { ino: InodeId(999), count: 1, atime: None }];
    assert_eq!(root.ask(Request::Release { closes }), Ok(Reply::Done));
    assert_eq!(root.commit(ino, Vec::new()), Err(Errno::EBADF));
    assert!(root.stat(ino).is_ok());
    world.check();
}

#[test]
fn close_keeps_a_newer_access_time() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.open(ino, READ).unwrap();
    let created = root.stat(ino).unwrap().atime;
    let close = |secs: u64| {
        let closes = vec![Close { ino, count: 1, atime: Some(at(secs)) }];
        root.ask(Request::Release { closes }).unwrap();
        root.stat(ino).unwrap().atime
    };
    assert_eq!(close(0), created);
    assert_eq!(close(created.secs as u64 + 1), at(created.secs as u64 + 1));
    assert_eq!(close(created.secs as u64 + 2), at(created.secs as u64 + 1), "not open any more");
}

#[test]
fn orphans_nobody_claims_go_with_their_session() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), super::world::LIMITS);
    let root = world.superuser();
    let session = root.session.id;
    root.create(ROOT, "f", 0o644).unwrap();
    root.unlink(ROOT, "f").unwrap();
    let world = world.restarted(kv);
    assert_eq!(world.volume.stat().inodes_used, 2);
    world.volume.close_session(session, at(9)).unwrap();
    assert_eq!(world.volume.stat().inodes_used, 1);
    assert!(world.volume.sessions().is_empty());
    world.check();
}

#[test]
fn session_that_ended_is_answered_nothing() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    world.volume.close_session(root.session.id, at(9)).unwrap();
    world.volume.close_session(root.session.id, at(9)).unwrap();
    assert_eq!(world.volume.find_session(root.session.id), None);
    let open = root.ask(Request::Open { ino, access: BOTH, truncate: false });
    assert_eq!(open, Err(Refused::SessionEnded));
    assert_eq!(root.ask(Request::GrantObjects { count: 1, given_back: Vec::new() }), Err(Refused::SessionEnded));
    let claim = root.ask(Request::Reclaim { claims: vec![Claim { ino, count: 1, write: true }] });
    assert_eq!(claim, Err(Refused::SessionEnded));
    world.check();
}

#[test]
fn commit_needs_a_handle_that_writes() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    assert_eq!(root.commit(ino, Vec::new()), Err(Errno::EBADF));
    root.open(ino, READ).unwrap();
    assert_eq!(root.commit(ino, Vec::new()), Err(Errno::EBADF));
    root.open(ino, WRITE).unwrap();
    assert!(root.commit(ino, Vec::new()).is_ok());
}

#[test]
fn truncating_open_is_for_who_may_write() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.write(ino, 0, 0, 8);
    let open = |user: &User<'_>, access| user.ask(Request::Open { ino, access, truncate: true });
    assert_eq!(open(&root.other(1, 1), READ), Err(Errno::EACCES.into()));
    let reader = world.user(world.mount(2, ROOT, true), Caller::ROOT);
    assert_eq!(open(&reader, READ), Err(Errno::EROFS.into()));
    let (attr, layout) = root.open_truncated(ino).unwrap();
    assert_eq!((attr.size, attr.allocated, layout.blocks.len(), layout.version), (0, 0, 0, attr.version));
    assert_eq!(root.dead(), [1]);
    world.check();
}

#[test]
fn handle_that_truncates_and_reads_does_not_write() {
    let world = World::new();
    let root = world.superuser();
    let other = world.user(world.mount(2, ROOT, false), Caller::ROOT);
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.write(ino, 0, 0, 8);
    let open = Request::Open { ino, access: READ, truncate: true };
    let Ok(Reply::Opened(attr, _)) = other.ask(open) else { panic!("not opened") };
    assert_eq!(attr.size, 0);
    assert_eq!(other.commit(ino, Vec::new()), Err(Errno::EBADF));
    world.check();
}
