//! Mounts that say what they hold open, after a restart and without one.

use bytes::Bytes;
use proto::limits::HANDLES_MAX;
use proto::{Caller, Claim, Errno, InodeId, NewNode, OperationId, Refused, Reply, Request};

use super::world::{BOTH, LIMITS, READ, ROOT, User, World, at, name};
use crate::engine::SessionContext;
use crate::store::{MemoryKv, MetaKv};

fn claim<K: MetaKv>(user: &User<'_, K>, claims: &[(InodeId, u32, bool)]) -> Vec<InodeId> {
    let claims = claims.iter().map(|&(ino, count, write)| Claim { ino, count, write }).collect();
    match user.ask(Request::Reclaim { claims }) {
        Ok(Reply::Claimed { gone }) => gone,
        other => panic!("{other:?}"),
    }
}

/// A volume with a file "f", which the first of two sessions has open, served by another process since.
fn restarted() -> (World, [SessionContext; 2], InodeId) {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let sessions = [1, 2].map(|number| world.mount(number, ROOT, false));
    let file = world.user(&sessions[0], Caller::ROOT).create(ROOT, "f", 0o644).unwrap();
    (world.restarted(kv), sessions, file)
}

#[test]
fn open_files_come_back() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    let session = root.session.clone();
    let (kept, orphan) = (root.create(ROOT, "kept", 0o644).unwrap(), root.create(ROOT, "orphan", 0o644).unwrap());
    root.unlink(ROOT, "orphan").unwrap();

    let world = world.restarted(kv);
    let root = world.user(&session, Caller::ROOT);
    assert_eq!(root.commit(kept, Vec::new()), Err(Errno::EBADF));
    assert_eq!(root.stat(orphan), Err(Errno::ESTALE), "not claimed yet");
    let claims = [(kept, 1, true), (orphan, 2, false)];
    assert_eq!(claim(&root, &claims), []);
    assert_eq!(claim(&root, &claims), [], "claiming twice is claiming once");
    assert_eq!(claim(&root, &[(InodeId(999), 1, false)]), [InodeId(999)]);
    root.commit(kept, Vec::new()).unwrap();
    assert_eq!(root.commit(orphan, Vec::new()), Err(Errno::EBADF), "claimed for reading");
    root.close(orphan);
    assert!(root.stat(orphan).is_ok());
    root.close(orphan);
    assert_eq!(root.stat(orphan), Err(Errno::ESTALE));
    world.check();
}

#[test]
fn file_unlinked_before_its_holder_claimed_lives_on() {
    let (world, [holder, other], file) = restarted();
    let (holder, other) = (world.user(&holder, Caller::ROOT), world.user(&other, Caller::ROOT));
    other.unlink(ROOT, "f").unwrap();
    world.check();
    assert_eq!(claim(&other, &[]), []);
    assert_eq!(claim(&holder, &[(file, 1, true)]), []);
    holder.write(file, 0, 0, 8);
    holder.close(file);
    assert_eq!(holder.stat(file), Err(Errno::ESTALE));
    assert_eq!(world.volume.stat().inodes_used, 1);
    world.check();
}

#[test]
fn file_kept_for_sessions_that_do_not_claim_it_goes_with_their_last_claim() {
    let (world, [one, two], file) = restarted();
    let (one, two) = (world.user(&one, Caller::ROOT), world.user(&two, Caller::ROOT));
    two.unlink(ROOT, "f").unwrap();
    claim(&two, &[]);
    assert_eq!(world.volume.stat().inodes_used, 2);
    let full = vec![(InodeId(999), 1, false); HANDLES_MAX];
    claim(&one, &full);
    assert_eq!(world.volume.stat().inodes_used, 2, "more claims may follow a full list");
    claim(&one, &[(InodeId(999), 1, false)]);
    assert_eq!(world.volume.stat().inodes_used, 1);
    assert_eq!(claim(&one, &[(file, 1, true)]), [file]);
    world.check();
}

#[test]
fn file_kept_for_a_session_that_ends_unclaimed_goes_with_it() {
    let (world, [one, two], _) = restarted();
    let two = world.user(&two, Caller::ROOT);
    two.unlink(ROOT, "f").unwrap();
    claim(&two, &[]);
    world.volume.close_session(one.id, at(9)).unwrap();
    assert_eq!(world.volume.stat().inodes_used, 1);
    two.file(ROOT, "g", 0o644).unwrap();
    two.unlink(ROOT, "g").unwrap();
    assert_eq!(world.volume.stat().inodes_used, 1, "nobody is waited for any more");
    world.check();
}

#[test]
fn nothing_is_kept_for_a_session_that_does_not_claim_in_ten_minutes() {
    let (world, [_, two], _) = restarted();
    let two = world.user(&two, Caller::ROOT);
    for _ in 0..600 {
        world.tick();
    }
    two.unlink(ROOT, "f").unwrap();
    assert_eq!(world.volume.stat().inodes_used, 1);
    world.check();
}

#[test]
fn create_sent_again_opens_a_file_that_was_unlinked_meanwhile() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let [one, two] = [1, 2].map(|number| world.mount(number, ROOT, false));
    let (access, exclusive, truncate) = (BOTH, true, false);
    let create = || Request::Create { parent: ROOT, name: name("f"), perm: 0o644, access, exclusive, truncate };
    world.user(&one, Caller::ROOT).ask_as(Some(OperationId(1)), create()).unwrap();

    let world = world.restarted(kv);
    let one = world.user(&one, Caller::ROOT);
    world.user(&two, Caller::ROOT).unlink(ROOT, "f").unwrap();
    let Ok(Reply::Opened(attr, _)) = one.ask_as(Some(OperationId(1)), create()) else { panic!("not opened") };
    assert_eq!(attr.nlink, 0);
    claim(&one, &[]);
    one.commit(attr.ino, Vec::new()).unwrap();
    world.check();
}

#[test]
fn claim_without_a_restart_never_lowers_a_count() {
    let world = World::new();
    let root = world.superuser();
    let file = root.create(ROOT, "f", 0o644).unwrap();
    root.open(file, READ).unwrap();
    root.unlink(ROOT, "f").unwrap();
    claim(&root, &[(file, 1, false)]);
    root.close(file);
    root.commit(file, Vec::new()).expect("the second open was not in the claim");
    claim(&root, &[(file, 3, false)]);
    for _ in 0..2 {
        root.close(file);
        assert!(root.stat(file).is_ok());
    }
    root.close(file);
    assert_eq!(root.stat(file), Err(Errno::ESTALE));
    world.check();
}

#[test]
fn claim_of_nothing_gives_all_opens_back() {
    let world = World::new();
    let root = world.superuser();
    let (file, orphan) = (root.create(ROOT, "f", 0o644).unwrap(), root.create(ROOT, "o", 0o644).unwrap());
    root.open(orphan, READ).unwrap();
    root.unlink(ROOT, "o").unwrap();
    assert_eq!(claim(&root, &[(file, 0, true), (orphan, 0, false), (InodeId(999), 0, false)]), []);
    assert_eq!(root.commit(file, Vec::new()), Err(Errno::EBADF));
    assert_eq!(world.volume.stat().inodes_used, 2, "the orphan is gone");
    assert!(root.stat(file).is_ok());
    world.check();
}

#[test]
fn claim_of_nothing_gives_an_orphan_back_that_was_held_before_a_restart() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    let session = root.session.clone();
    let orphan = root.create(ROOT, "o", 0o644).unwrap();
    root.unlink(ROOT, "o").unwrap();
    let world = world.restarted(kv);
    let root = world.user(&session, Caller::ROOT);
    // As part of a full list, so that the end of the claims does not give it back.
    let mut claims = vec![(InodeId(999), 1, false); HANDLES_MAX - 1];
    claims.push((orphan, 0, false));
    claim(&root, &claims);
    assert_eq!(world.volume.stat().inodes_used, 1);
    world.check();
}

#[test]
fn only_regular_files_can_be_claimed() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    let link = root.make(ROOT, "l", NewNode::Symlink { target: Bytes::from_static(b"to") }).unwrap().ino;
    let fifo = root.make(ROOT, "p", NewNode::Node { mode: 0o010_644, rdev: 0 }).unwrap().ino;
    for ino in [dir, link, fifo] {
        assert_eq!(claim(&root, &[(ino, 1, true)]), [ino]);
        assert_eq!(root.commit_inline(ino, b"content", 1), Err(Errno::EBADF));
    }
    world.check();
}

#[test]
fn session_that_ended_claims_nothing() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    world.volume.close_session(root.session.id, at(9)).unwrap();
    let claims = vec![Claim { ino, count: 1, write: true }];
    assert_eq!(root.ask(Request::Reclaim { claims }), Err(Refused::SessionEnded));
    assert_eq!(root.ask(Request::Reclaim { claims: Vec::new() }), Err(Refused::SessionEnded));
}
