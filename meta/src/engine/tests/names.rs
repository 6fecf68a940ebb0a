//! Making, linking and removing names.

use bytes::Bytes;
use proto::{Errno, FileKind, NewNode, Reply, Request};

use super::world::{BOTH, ROOT, World, name};
use crate::engine::VolumeLimits;

#[test]
fn new_file_shows_in_its_directory_and_its_counters() {
    let world = World::new();
    let root = world.superuser();
    let before = root.stat(ROOT).unwrap();
    let ino = root.create(ROOT, "a", 0o644).unwrap();
    let attr = root.lookup(ROOT, "a").unwrap();
    assert_eq!((attr.ino, attr.kind, attr.perm, attr.nlink, attr.size), (ino, FileKind::Regular, 0o644, 1, 0));
    let after = root.stat(ROOT).unwrap();
    assert!(after.mtime > before.mtime && after.ctime == after.mtime && after.nlink == before.nlink);
    assert_eq!(world.volume.stat().inodes_used, 2);
    world.check();
}

#[test]
fn subdirectories_count_as_links_of_their_parent() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    root.mkdir(dir, "e", 0o755).unwrap();
    assert_eq!(root.stat(ROOT).unwrap().nlink, 3);
    assert_eq!(root.stat(dir).unwrap().nlink, 3);
    root.rmdir(dir, "e").unwrap();
    assert_eq!(root.stat(dir).unwrap().nlink, 2);
    assert_eq!(root.rmdir(ROOT, "d"), Ok(()));
    assert_eq!(root.stat(dir), Err(Errno::ESTALE));
    assert_eq!(root.stat(ROOT).unwrap().nlink, 2);
    world.check();
}

#[test]
fn taken_names_are_refused() {
    let world = World::new();
    let root = world.superuser();
    root.create(ROOT, "a", 0o644).unwrap();
    let symlink = NewNode::Symlink { target: Bytes::from_static(b"x") };
    assert_eq!(root.create(ROOT, "a", 0o644), Err(Errno::EEXIST));
    assert_eq!(root.mkdir(ROOT, "a", 0o755), Err(Errno::EEXIST));
    assert_eq!(root.make(ROOT, "a", symlink), Err(Errno::EEXIST));
    let other = root.create(ROOT, "b", 0o644).unwrap();
    assert_eq!(root.link(other, ROOT, "a"), Err(Errno::EEXIST));
}

#[test]
fn create_without_exclusive_opens_what_is_there() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "a", 0o600).unwrap();
    let again = |text: &str| {
        let (access, exclusive, truncate) = (BOTH, false, false);
        root.ask(Request::Create { parent: ROOT, name: name(text), perm: 0o777, access, exclusive, truncate })
    };
    let Ok(Reply::Opened(attr, _)) = again("a") else { panic!("not opened") };
    assert_eq!((attr.ino, attr.perm), (ino, 0o600));
    root.mkdir(ROOT, "d", 0o755).unwrap();
    assert_eq!(again("d"), Err(Errno::EISDIR.into()));
}

#[test]
fn unlink_and_rmdir_mind_the_kind() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    root.file(ROOT, "f", 0o644).unwrap();
    root.file(dir, "inner", 0o644).unwrap();
    assert_eq!(root.unlink(ROOT, "d"), Err(Errno::EISDIR));
    assert_eq!(root.rmdir(ROOT, "f"), Err(Errno::ENOTDIR));
    assert_eq!(root.rmdir(ROOT, "d"), Err(Errno::ENOTEMPTY));
    assert_eq!(root.unlink(ROOT, "none"), Err(Errno::ENOENT));
    assert_eq!(root.unlink(root.lookup(ROOT, "f").unwrap().ino, "x"), Err(Errno::ENOTDIR));
    root.unlink(dir, "inner").unwrap();
    assert_eq!(root.rmdir(ROOT, "d"), Ok(()));
    world.check();
}

#[test]
fn hard_links_share_the_file_until_the_last_one_goes() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    let ino = root.file(ROOT, "a", 0o644).unwrap();
    assert_eq!(root.link(ino, ROOT, "b").unwrap().nlink, 2);
    assert_eq!(root.link(ino, dir, "c").unwrap().nlink, 3);
    world.check();
    root.unlink(ROOT, "a").unwrap();
    world.check();
    root.unlink(ROOT, "b").unwrap();
    assert_eq!(root.stat(ino).unwrap().nlink, 1);
    world.check();
    assert_eq!(root.link(ino, ROOT, "again").unwrap().nlink, 2);
    world.check();
    root.unlink(dir, "c").unwrap();
    root.unlink(ROOT, "again").unwrap();
    assert_eq!(root.stat(ino), Err(Errno::ESTALE));
    assert_eq!(world.volume.stat().inodes_used, 2);
    world.check();
}

#[test]
fn directories_cannot_be_linked() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    assert_eq!(root.link(dir, ROOT, "e"), Err(Errno::EPERM));
}

#[test]
fn link_and_unlink_change_the_time_of_the_file() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "a", 0o644).unwrap();
    let first = root.stat(ino).unwrap();
    let second = root.link(ino, ROOT, "b").unwrap();
    assert!(second.ctime > first.ctime && second.mtime == first.mtime);
    root.unlink(ROOT, "b").unwrap();
    assert!(root.stat(ino).unwrap().ctime > second.ctime);
}

#[test]
fn symlink_keeps_its_target() {
    let world = World::new();
    let root = world.superuser();
    let target = Bytes::from_static(b"../some/where");
    let attr = root.make(ROOT, "l", NewNode::Symlink { target: target.clone() }).unwrap();
    assert_eq!((attr.kind, attr.perm, attr.size), (FileKind::Symlink, 0o777, 13));
    assert_eq!(root.ask(Request::ReadLink { ino: attr.ino }), Ok(Reply::Target(target)));
    assert_eq!(root.ask(Request::ReadLink { ino: ROOT }), Err(Errno::EINVAL.into()));
    root.unlink(ROOT, "l").unwrap();
    world.check();
}

#[test]
fn devices_are_the_superusers_to_make() {
    let world = World::new();
    let root = world.superuser();
    root.chmod(ROOT, 0o777).unwrap();
    let node = |mode: u32| NewNode::Node { mode: mode | 0o600, rdev: 0x103 };
    let user = root.other(1000, 1000);
    assert_eq!(root.make(ROOT, "null", node(0o020_000)).map(|attr| attr.rdev), Ok(0x103));
    assert_eq!(user.make(ROOT, "zero", node(0o020_000)), Err(Errno::EPERM));
    assert_eq!(user.make(ROOT, "disk", node(0o060_000)), Err(Errno::EPERM));
    assert_eq!(user.make(ROOT, "pipe", node(0o010_000)).map(|attr| attr.rdev), Ok(0));
    assert_eq!(user.make(ROOT, "sock", node(0o140_000)).map(|attr| attr.kind), Ok(FileKind::Socket));
    assert_eq!(root.make(ROOT, "dir", node(0o040_000)), Err(Errno::EPERM));
    assert_eq!(root.make(ROOT, "what", node(0o170_000)), Err(Errno::EINVAL));
}

#[test]
fn inode_quota_is_kept_and_freed() {
    let world = World::with_limits(VolumeLimits { inodes_max: 3, ..super::world::LIMITS });
    let root = world.superuser();
    root.file(ROOT, "a", 0o644).unwrap();
    root.mkdir(ROOT, "b", 0o755).unwrap();
    assert_eq!(root.file(ROOT, "c", 0o644), Err(Errno::ENOSPC));
    assert_eq!(root.mkdir(ROOT, "c", 0o644), Err(Errno::ENOSPC));
    root.unlink(ROOT, "a").unwrap();
    assert!(root.file(ROOT, "c", 0o644).is_ok());
    world.check();
}

#[test]
fn ids_are_never_used_again() {
    let world = World::new();
    let root = world.superuser();
    let first = root.file(ROOT, "a", 0o644).unwrap();
    root.unlink(ROOT, "a").unwrap();
    assert!(root.file(ROOT, "a", 0o644).unwrap() > first);
}
