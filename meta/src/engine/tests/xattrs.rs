//! Extended attributes.

use bytes::Bytes;
use proto::limits::{XATTR_LIST_MAX, XATTR_VALUE_MAX};
use proto::{AttrChanges, Errno, InodeId, NewNode, Refused, Reply, Request, XattrMode};

use super::world::{ROOT, User, World};

fn set(user: &User<'_>, ino: InodeId, name: &str, value: &str) -> Result<Reply, Refused> {
    set_with(user, ino, name, value.as_bytes(), XattrMode::Any)
}

fn set_with(user: &User<'_>, ino: InodeId, name: &str, value: &[u8], mode: XattrMode) -> Result<Reply, Refused> {
    let (name, value) = (Bytes::copy_from_slice(name.as_bytes()), Bytes::copy_from_slice(value));
    user.ask(Request::SetXattr { ino, name, value, mode })
}

fn get(user: &User<'_>, ino: InodeId, name: &str) -> Result<Reply, Refused> {
    user.ask(Request::GetXattr { ino, name: Bytes::copy_from_slice(name.as_bytes()) })
}

fn remove(user: &User<'_>, ino: InodeId, name: &str) -> Result<Reply, Refused> {
    user.ask(Request::RemoveXattr { ino, name: Bytes::copy_from_slice(name.as_bytes()) })
}

fn list(user: &User<'_>, ino: InodeId) -> String {
    match user.ask(Request::ListXattr { ino }) {
        Ok(Reply::Value(names)) => String::from_utf8(names.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn refused(errno: Errno) -> Result<Reply, Refused> {
    Err(errno.into())
}

#[test]
fn attributes_are_set_read_listed_and_removed() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    assert_eq!(get(&root, ino, "user.a"), refused(Errno::ENODATA));
    let before = root.stat(ino).unwrap();
    set(&root, ino, "user.a", "one").unwrap();
    set(&root, ino, "user.b", "").unwrap();
    set(&root, ino, "user.a", "two").unwrap();
    assert_eq!(get(&root, ino, "user.a"), Ok(Reply::Value(Bytes::from_static(b"two"))));
    assert_eq!(get(&root, ino, "user.b"), Ok(Reply::Value(Bytes::new())));
    assert_eq!(list(&root, ino), "user.a\0user.b\0");
    let after = root.stat(ino).unwrap();
    assert!(after.ctime > before.ctime && after.mtime == before.mtime && after.version == before.version);
    world.check();
    remove(&root, ino, "user.a").unwrap();
    assert_eq!(remove(&root, ino, "user.a"), refused(Errno::ENODATA));
    assert_eq!(list(&root, ino), "user.b\0");
    root.unlink(ROOT, "f").unwrap();
    world.check();
}

#[test]
fn create_and_replace_mind_what_is_there() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    assert_eq!(set_with(&root, ino, "user.a", b"x", XattrMode::Replace), refused(Errno::ENODATA));
    assert_eq!(set_with(&root, ino, "user.a", b"x", XattrMode::Create), Ok(Reply::Done));
    assert_eq!(set_with(&root, ino, "user.a", b"x", XattrMode::Create), refused(Errno::EEXIST));
    assert_eq!(set_with(&root, ino, "user.a", b"y", XattrMode::Replace), Ok(Reply::Done));
}

#[test]
fn each_namespace_has_its_rules() {
    let world = World::new();
    let root = world.superuser();
    let user = root.other(1000, 1000);
    let ino = root.file(ROOT, "f", 0o604).unwrap();
    for name in ["user.a", "trusted.a", "security.a"] {
        set(&root, ino, name, "x").unwrap();
    }
    assert!(get(&user, ino, "user.a").is_ok());
    assert_eq!(set(&user, ino, "user.a", "y"), refused(Errno::EACCES));
    assert_eq!(get(&user, ino, "trusted.a"), refused(Errno::ENODATA));
    assert_eq!(set(&user, ino, "trusted.a", "y"), refused(Errno::EPERM));
    assert!(get(&user, ino, "security.a").is_ok());
    assert_eq!(set(&user, ino, "security.a", "y"), refused(Errno::EPERM));
    assert_eq!(set(&root, ino, "system.posix_acl_access", "y"), refused(Errno::EOPNOTSUPP));
    assert_eq!(set(&root, ino, "bare", "y"), refused(Errno::EOPNOTSUPP));
    assert_eq!(set(&root, ino, "user.", "y"), refused(Errno::EINVAL));
    assert_eq!(list(&user, ino), "security.a\0user.a\0");
    root.chmod(ino, 0o600).unwrap();
    assert_eq!(get(&user, ino, "user.a"), refused(Errno::EACCES));
}

#[test]
fn user_attributes_are_for_files_and_directories() {
    let world = World::new();
    let root = world.superuser();
    let link = root.make(ROOT, "l", NewNode::Symlink { target: Bytes::from_static(b"x") }).unwrap().ino;
    assert_eq!(set(&root, link, "user.a", "x"), refused(Errno::EPERM));
    assert_eq!(get(&root, link, "user.a"), refused(Errno::ENODATA));
    assert!(set(&root, link, "trusted.a", "x").is_ok());
    let tmp = root.mkdir(ROOT, "tmp", 0o777).unwrap();
    root.chmod(tmp, 0o1777).unwrap();
    assert_eq!(set(&root.other(1, 1), tmp, "user.a", "x"), refused(Errno::EPERM));
    root.chmod(tmp, 0o777).unwrap();
    assert!(set(&root.other(1, 1), tmp, "user.a", "x").is_ok());
}

#[test]
fn sizes_are_bounded() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    let big = vec![b'x'; XATTR_VALUE_MAX + 1];
    assert_eq!(set_with(&root, ino, "user.a", &big, XattrMode::Any), refused(Errno::E2BIG));
    assert!(set_with(&root, ino, "user.a", &big[1..], XattrMode::Any).is_ok());
    assert_eq!(set(&root, ino, &format!("user.{}", "n".repeat(251)), "x"), refused(Errno::ERANGE));
    assert_eq!(set(&root, ino, "", "x"), refused(Errno::ERANGE));
    assert_eq!(set(&root, ino, "user.a\0b", "x"), refused(Errno::EINVAL));
    let mut total = "user.a".len() + 1;
    for number in 0.. {
        let name = format!("user.{number:0>250}");
        total += name.len() + 1;
        let fits = total <= XATTR_LIST_MAX;
        assert_eq!(set(&root, ino, &name, "x").is_ok(), fits);
        if !fits {
            break;
        }
    }
    assert!(list(&root, ino).len() <= XATTR_LIST_MAX);
    world.check();
}

#[test]
fn attributes_of_one_file_take_a_quarter_of_a_mebibyte_at_the_most() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    let full = vec![b'x'; XATTR_VALUE_MAX];
    for name in ["user.a", "user.b", "user.c"] {
        set_with(&root, ino, name, &full, XattrMode::Any).unwrap();
        set_with(&root, ino, name, &full, XattrMode::Any).unwrap();
    }
    let room = XATTR_VALUE_MAX - 4 * "user.a".len();
    assert_eq!(set_with(&root, ino, "user.d", &full[..=room], XattrMode::Any), refused(Errno::ENOSPC));
    assert_eq!(get(&root, ino, "user.d"), refused(Errno::ENODATA));
    set_with(&root, ino, "user.d", &full[..room], XattrMode::Any).unwrap();
    assert_eq!(set(&root, ino, "user.e", ""), refused(Errno::ENOSPC));
    remove(&root, ino, "user.b").unwrap();
    set(&root, ino, "user.e", "room again").unwrap();
    let other = root.file(ROOT, "g", 0o644).unwrap();
    set_with(&root, other, "user.a", &full, XattrMode::Any).unwrap();
    world.check();
}

#[test]
fn capabilities_go_when_privileges_are_killed() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o755).unwrap();
    set(&root, ino, "security.capability", "all").unwrap();
    root.set(ino, AttrChanges { kill_privileges: true, ..AttrChanges::default() }).unwrap();
    assert_eq!(list(&root, ino), "");
    world.check();
}
