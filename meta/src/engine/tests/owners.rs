//! Permissions, owners, groups and times.

use proto::{AttrChanges, Caller, Errno, NewNode, Refused, Request, SetTime};

use super::world::{BOTH, EXECUTE, READ, ROOT, WRITE, World, at, name};

fn times(atime: Option<SetTime>, mtime: Option<SetTime>) -> AttrChanges {
    AttrChanges { atime, mtime, ..AttrChanges::default() }
}

#[test]
fn names_below_an_unsearchable_directory_are_out_of_reach() {
    let world = World::new();
    let root = world.superuser();
    let user = root.other(1000, 1000);
    let dir = root.mkdir(ROOT, "d", 0o766).unwrap();
    root.file(dir, "f", 0o666).unwrap();
    assert_eq!(user.lookup(dir, "f"), Err(Errno::EACCES));
    assert_eq!(user.unlink(dir, "f"), Err(Errno::EACCES));
    assert_eq!(user.mkdir(dir, "g", 0o755), Err(Errno::EACCES));
    root.chmod(dir, 0o755).unwrap();
    assert!(user.lookup(dir, "f").is_ok());
    assert_eq!(user.unlink(dir, "f"), Err(Errno::EACCES));
    assert_eq!(user.unlink(dir, "none"), Err(Errno::ENOENT));
    assert_eq!(user.mkdir(dir, "f", 0o755), Err(Errno::EEXIST));
}

#[test]
fn open_asks_for_what_it_will_do() {
    let world = World::new();
    let root = world.superuser();
    let user = root.other(1000, 1000);
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    assert!(user.open(ino, READ).is_ok());
    assert_eq!(user.open(ino, WRITE).map(drop), Err(Errno::EACCES));
    assert_eq!(user.open(ino, EXECUTE).map(drop), Err(Errno::EACCES));
    assert_eq!(root.open(ino, EXECUTE).map(drop), Err(Errno::EACCES));
    root.chmod(ino, 0o711).unwrap();
    assert_eq!(user.open(ino, READ).map(drop), Err(Errno::EACCES));
    assert!(user.open(ino, EXECUTE).is_ok());
    assert_eq!(root.open(ROOT, READ).map(drop), Err(Errno::EISDIR));
}

#[test]
fn created_file_is_open_for_writing_whatever_its_bits() {
    let world = World::new();
    let root = world.superuser();
    root.chmod(ROOT, 0o777).unwrap();
    let user = root.other(1000, 1000);
    let ino = user.create(ROOT, "f", 0o000).unwrap();
    user.write(ino, 0, 0, 4);
    assert_eq!(user.open(ino, READ).map(drop), Err(Errno::EACCES));
}

#[test]
fn missing_groups_are_asked_for() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o770).unwrap();
    root.chown(dir, None, Some(50)).unwrap();
    let request = || Request::Make { parent: dir, name: name("x"), node: NewNode::Directory { perm: 0o755 } };
    let ask = |groups: Option<&[u32]>| root.with_groups(1000, 1000, groups).ask(request());
    assert_eq!(ask(None), Err(Refused::NeedGroups));
    assert_eq!(ask(Some(&[49])), Err(Errno::EACCES.into()));
    assert!(ask(Some(&[49, 50])).is_ok());
}

#[test]
fn chmod_is_the_owners() {
    let world = World::new();
    let root = world.superuser();
    let (owner, other) = (root.other(1, 1), root.other(2, 2));
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    root.chown(ino, Some(1), Some(1)).unwrap();
    assert_eq!(other.chmod(ino, 0o777), Err(Errno::EPERM));
    let before = root.stat(ino).unwrap();
    let after = owner.chmod(ino, 0o17_777 & 0o7777).unwrap();
    assert!(after.perm == 0o7777 && after.ctime > before.ctime && after.mtime == before.mtime);
}

#[test]
fn set_group_id_is_not_for_outsiders() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    root.chown(ino, Some(1), Some(70)).unwrap();
    assert_eq!(root.other(1, 1).chmod(ino, 0o2755).unwrap().perm, 0o755);
    assert_eq!(root.with_groups(1, 1, Some(&[70])).chmod(ino, 0o2755).unwrap().perm, 0o2755);
    assert_eq!(root.chmod(ino, 0o2755).unwrap().perm, 0o2755);
    let changes = AttrChanges { perm: Some(0o2755), ..AttrChanges::default() };
    let unknown = root.with_groups(1, 1, None).ask(Request::SetAttr { ino, changes, by_handle: false });
    assert_eq!(unknown, Err(Refused::NeedGroups));
}

#[test]
fn chown_to_others_is_the_superusers() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    root.chown(ino, Some(1), Some(1)).unwrap();
    let owner = root.with_groups(1, 1, Some(&[7]));
    assert_eq!(owner.chown(ino, Some(2), None), Err(Errno::EPERM));
    assert_eq!(owner.chown(ino, None, Some(8)), Err(Errno::EPERM));
    assert_eq!(owner.chown(ino, Some(1), Some(7)).map(|attr| attr.gid), Ok(7));
    assert_eq!(root.other(2, 2).chown(ino, None, Some(2)), Err(Errno::EPERM));
    assert_eq!(root.chown(ino, Some(u32::MAX), None), Err(Errno::EINVAL));
}

#[test]
fn chown_takes_privileges_from_programs_but_not_from_directories() {
    let world = World::new();
    let root = world.superuser();
    let file = root.file(ROOT, "f", 0o6755).unwrap();
    let dir = root.mkdir(ROOT, "d", 0o755).unwrap();
    root.chmod(dir, 0o2755).unwrap();
    assert_eq!(root.chown(file, Some(5), None).unwrap().perm, 0o755);
    assert_eq!(root.chown(dir, Some(5), None).unwrap().perm, 0o2755);
}

#[test]
fn set_group_id_directory_hands_its_group_down() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o777).unwrap();
    root.chown(dir, None, Some(70)).unwrap();
    root.chmod(dir, 0o2777).unwrap();
    let user = root.other(1, 1);
    let sub = user.mkdir(dir, "sub", 0o755).unwrap();
    let attr = user.stat(sub).unwrap();
    assert_eq!((attr.gid, attr.perm), (70, 0o2755));
    let file = user.file(dir, "f", 0o2755).unwrap();
    let attr = user.stat(file).unwrap();
    assert_eq!((attr.gid, attr.perm), (70, 0o755), "not a member: no set-group-id program");
    let file = user.file(dir, "g", 0o2745).unwrap();
    assert_eq!(user.stat(file).unwrap().perm, 0o2745);
    let member = root.with_groups(1, 1, Some(&[70])).file(dir, "h", 0o2755).unwrap();
    assert_eq!(user.stat(member).unwrap().perm, 0o2755);
    let plain = user.mkdir(sub, "plain", 0o700).unwrap();
    assert_eq!(user.stat(plain).unwrap().gid, 70);
}

#[test]
fn times_are_the_owners_and_now_is_for_writers() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o646).unwrap();
    root.chown(ino, Some(1), Some(1)).unwrap();
    let (owner, writer) = (root.other(1, 1), root.other(2, 2));
    let given = times(Some(SetTime::At(at(77))), Some(SetTime::At(at(88))));
    let attr = owner.set(ino, given.clone()).unwrap();
    assert_eq!((attr.atime, attr.mtime), (at(77), at(88)));
    assert_eq!(writer.set(ino, given), Err(Errno::EPERM));
    let touched = writer.set(ino, times(Some(SetTime::Now), Some(SetTime::Now))).unwrap();
    assert!(touched.atime == touched.ctime && touched.mtime == touched.ctime);
    root.chmod(ino, 0o644).unwrap();
    assert_eq!(writer.set(ino, times(Some(SetTime::Now), None)), Err(Errno::EACCES));
    assert_eq!(writer.set(ino, times(Some(SetTime::Now), Some(SetTime::At(at(1))))), Err(Errno::EPERM));
}

#[test]
fn truncation_needs_write_permission_or_a_handle_that_has_it() {
    let world = World::new();
    let root = world.superuser();
    root.chmod(ROOT, 0o777).unwrap();
    let user = root.other(1, 1);
    let ino = user.create(ROOT, "f", 0o444).unwrap();
    let resize = |by_handle: bool| {
        let changes = AttrChanges { size: Some(10), ..AttrChanges::default() };
        user.ask(Request::SetAttr { ino, changes, by_handle })
    };
    assert_eq!(resize(false), Err(Errno::EACCES.into()));
    assert!(resize(true).is_ok());
    user.close(ino);
    assert_eq!(resize(true), Err(Errno::EACCES.into()), "the handle is gone");
    assert_eq!(user.truncate(ROOT, 5), Err(Errno::EISDIR));
}

#[test]
fn write_by_others_drops_privileges() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o6777).unwrap();
    let kill = AttrChanges { kill_privileges: true, ..AttrChanges::default() };
    assert_eq!(root.other(5, 5).set(ino, kill.clone()).unwrap().perm, 0o777);
    root.chmod(ino, 0o4755).unwrap();
    assert_eq!(root.other(5, 5).set(ino, kill), Err(Errno::EACCES));
}

#[test]
fn attributes_change_together_or_not_at_all() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    root.chown(ino, Some(1), Some(1)).unwrap();
    let before = root.stat(ino).unwrap();
    let changes = AttrChanges { perm: Some(0o600), uid: Some(2), ..AttrChanges::default() };
    assert_eq!(root.other(1, 1).set(ino, changes), Err(Errno::EPERM));
    assert_eq!(root.stat(ino).unwrap(), before);
    assert_eq!(root.set(ino, AttrChanges::default()).unwrap(), before, "nothing asked, nothing changed");
}

#[test]
fn read_only_session_changes_nothing() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o666).unwrap();
    let reader = world.user(world.mount(2, ROOT, true), Caller::ROOT);
    assert_eq!(reader.file(ROOT, "g", 0o644), Err(Errno::EROFS));
    assert_eq!(reader.chmod(ino, 0o600), Err(Errno::EROFS));
    assert_eq!(reader.unlink(ROOT, "f"), Err(Errno::EROFS));
    assert_eq!(reader.open(ino, WRITE).map(drop), Err(Errno::EROFS));
    assert_eq!(reader.open(ino, BOTH).map(drop), Err(Errno::EROFS));
    assert_eq!(reader.open_truncated(ino).map(drop), Err(Errno::EROFS));
    assert_eq!(reader.ask(Request::GrantObjects { count: 1, given_back: Vec::new() }), Err(Errno::EROFS.into()));
    assert_eq!(reader.commit(ino, Vec::new()), Err(Errno::EROFS));
    assert!(reader.open(ino, READ).is_ok() && reader.lookup(ROOT, "f").is_ok());
}
