use proto::{InodeId, Timespec};

use super::*;
use crate::engine::error::Failure;

fn attr(kind: FileKind, perm: u16) -> Attr {
    Attr { nlink: 1, uid: 100, gid: 200, ..Attr::new(InodeId(9), kind, perm, Timespec::default()) }
}

fn caller(uid: u32, gid: u32, groups: Option<&[u32]>) -> Caller {
    Caller { uid, gid, groups: groups.map(<[u32]>::to_vec) }
}

fn file(perm: u16, caller: &Caller, want: u16) -> Result<(), Refused> {
    access(&attr(FileKind::Regular, perm), caller, want).map_err(|failure| match failure {
        Failure::Refused(refused) => refused,
        other => panic!("{other:?}"),
    })
}

const DENIED: Result<(), Refused> = Err(Refused::Error(Errno::EACCES));

#[test]
fn each_class_goes_by_its_own_bits_even_where_another_grants_more() {
    let (owner, member, other) = (caller(100, 1, None), caller(5, 200, None), caller(5, 5, Some(&[])));
    assert_eq!(file(0o077, &owner, READ), DENIED);
    assert_eq!(file(0o707, &member, READ), DENIED);
    assert_eq!(file(0o770, &other, READ), DENIED);
    assert_eq!(file(0o400, &owner, READ), Ok(()));
    assert_eq!(file(0o040, &member, READ), Ok(()));
    assert_eq!(file(0o004, &other, READ), Ok(()));
    assert_eq!(file(0o004, &other, READ | WRITE), DENIED);
}

#[test]
fn groups_are_asked_for_only_where_they_decide() {
    let unknown = caller(5, 5, None);
    assert_eq!(file(0o644, &unknown, READ), Ok(()));
    assert_eq!(file(0o600, &unknown, READ), DENIED);
    assert_eq!(file(0o640, &unknown, READ), Err(Refused::NeedGroups));
    assert_eq!(file(0o604, &unknown, READ), Err(Refused::NeedGroups));
    assert_eq!(file(0o640, &caller(5, 5, Some(&[7, 200])), READ), Ok(()));
    assert_eq!(file(0o604, &caller(5, 5, Some(&[7, 200])), READ), DENIED);
}

#[test]
fn superuser_executes_only_what_somebody_may() {
    let root = Caller::ROOT;
    assert_eq!(file(0o000, &root, READ | WRITE), Ok(()));
    assert_eq!(file(0o666, &root, EXECUTE), DENIED);
    assert_eq!(file(0o010, &root, EXECUTE), Ok(()));
    assert!(access(&attr(FileKind::Directory, 0), &root, EXECUTE | WRITE).is_ok());
}

#[test]
fn sticky_directory_keeps_names_of_others() {
    let remove = |perm: u16, uid: u32, victim_uid: u32| {
        let dir = Attr { perm, ..attr(FileKind::Directory, 0) };
        let victim = Attr { uid: victim_uid, ..attr(FileKind::Regular, 0) };
        removal(&dir, &victim, &caller(uid, 200, None)).is_ok()
    };
    assert!(remove(0o777, 5, 6));
    assert!(!remove(0o1777, 5, 6));
    assert!(remove(0o1777, 5, 5), "own file");
    assert!(remove(0o1777, 100, 6), "own directory");
    assert!(remove(0o1777, 0, 6), "superuser");
    assert!(!remove(0o1555, 5, 5), "no write permission");
}

#[test]
fn privileges_go_with_the_bits_that_grant_them() {
    let without = |kind, perm| without_privileges(&attr(kind, perm));
    assert_eq!(without(FileKind::Regular, 0o6755), 0o755);
    assert_eq!(without(FileKind::Regular, 0o2745), 0o2745, "mandatory locking, not a privilege");
    assert_eq!(without(FileKind::Directory, 0o6755), 0o6755);
}
