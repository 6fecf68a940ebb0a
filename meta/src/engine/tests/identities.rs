//! Sessions with a policy on who their callers are.

use bytes::Bytes;
use proto::dirent::DirRecords;
use proto::{
    Access, AttrChanges, BlockIndex, Caller, Claim, Errno, FileKind, InodeId, NewNode, OperationId, Refused, Reply,
    Request, XattrMode,
};

use super::world::{BOTH, EXECUTE, LIMITS, READ, ROOT, User, WRITE, World, name};
use crate::engine::{FixedCaller, Identity, NOBODY, SessionContext};
use crate::store::MemoryKv;

const SQUASHED: Identity = Identity::new(true, None);

fn fixed(uid: u32, gid: u32, groups: &[u32]) -> Identity {
    Identity::new(false, Some(FixedCaller::new(uid, gid, groups.to_vec())))
}

/// Somebody at a mount of its own, with a policy.
fn under(world: &World, identity: Identity, caller: Caller) -> User<'_> {
    world.user(SessionContext { identity, ..world.mount(2, ROOT, false) }, caller)
}

fn full_root() -> Caller {
    Caller { uid: 0, gid: 0, groups: Some(vec![0, 1, 4]) }
}

fn claim(user: &User<'_>, ino: InodeId, write: bool) -> bool {
    let claims = vec![Claim { ino, count: 1, write }];
    match user.ask(Request::Reclaim { claims }).unwrap() {
        Reply::Claimed { gone } => gone.is_empty(),
        other => panic!("{other:?}"),
    }
}

fn xattr(user: &User<'_>, ino: InodeId, key: &'static str) -> Result<Reply, Refused> {
    let (name, value) = (Bytes::from_static(key.as_bytes()), Bytes::from_static(b"v"));
    user.ask(Request::SetXattr { ino, name, value, mode: XattrMode::Any })
}

#[test]
fn squashed_root_has_no_right_of_root() {
    let world = World::new();
    let root = world.superuser();
    let squashed = under(&world, SQUASHED, full_root());
    let theirs = root.file(ROOT, "theirs", 0o600).unwrap();
    root.chown(theirs, Some(1000), Some(1000)).unwrap();
    let of_root = root.file(ROOT, "of-root", 0o660).unwrap();
    let sticky = root.mkdir(ROOT, "sticky", 0o1777).unwrap();
    let kept = root.file(sticky, "kept", 0o666).unwrap();
    for ino in [theirs, of_root] {
        assert_eq!(squashed.open(ino, READ).map(drop), Err(Errno::EACCES));
        assert_eq!(squashed.open(ino, WRITE).map(drop), Err(Errno::EACCES));
        assert_eq!(squashed.chmod(ino, 0o6777).map(drop), Err(Errno::EPERM));
        assert_eq!(squashed.chown(ino, Some(NOBODY), None).map(drop), Err(Errno::EPERM));
        assert_eq!(squashed.truncate(ino, 0).map(drop), Err(Errno::EACCES));
        assert_eq!(squashed.layout(ino, 0, 1).map(drop), Err(Errno::EACCES));
        for key in ["trusted.a", "security.a"] {
            assert_eq!(xattr(&squashed, ino, key), Err(Refused::Error(Errno::EPERM)), "{key}");
        }
        assert_eq!(xattr(&squashed, ino, "user.a"), Err(Refused::Error(Errno::EACCES)));
    }
    assert_eq!(squashed.file(ROOT, "new", 0o644), Err(Errno::EACCES), "the root directory is root's");
    assert_eq!(squashed.unlink(sticky, "kept"), Err(Errno::EPERM));
    assert_eq!(squashed.rename((sticky, "kept"), (sticky, "moved")), Err(Errno::EPERM));
    let device = NewNode::Node { mode: 0o060_666, rdev: 0x800 };
    assert_eq!(squashed.make(sticky, "disk", device).map(drop), Err(Errno::EPERM));
    assert!(squashed.open(kept, BOTH).is_ok(), "what everybody may do, it may too");
}

#[test]
fn files_of_squashed_root_are_nobodys() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o777).unwrap();
    let squashed = under(&world, SQUASHED, full_root());
    let made = squashed.stat(squashed.create(dir, "f", 0o644).unwrap()).unwrap();
    assert_eq!((made.uid, made.gid), (NOBODY, NOBODY));
    assert_eq!(squashed.chown(made.ino, Some(0), None).map(drop), Err(Errno::EPERM));
    assert_eq!(squashed.chown(made.ino, None, Some(0)).map(drop), Err(Errno::EPERM), "group 0 is not its own any more");
    squashed.chown(made.ino, None, Some(4)).unwrap();
    // In a directory of group 0 with set-group-id the new file takes the group, and the bit that would give its rights goes.
    root.chmod(dir, 0o2777).unwrap();
    let node = NewNode::Node { mode: 0o102_775, rdev: 0 };
    let made = squashed.make(dir, "setgid", node).unwrap();
    assert_eq!((made.uid, made.gid, made.perm), (NOBODY, 0, 0o775));
    assert_eq!(squashed.chmod(made.ino, 0o2775).unwrap().perm, 0o775);
}

#[test]
fn group_zero_is_squashed_for_users_too_and_missing_groups_are_still_asked_for() {
    let world = World::new();
    let root = world.superuser();
    let shared = root.file(ROOT, "shared", 0o640).unwrap();
    let other = root.file(ROOT, "other", 0o640).unwrap();
    root.chown(other, None, Some(50)).unwrap();
    let user = under(&world, SQUASHED, Caller { uid: 1000, gid: 0, groups: Some(vec![0, 50]) });
    assert_eq!(user.open(shared, READ).map(drop), Err(Errno::EACCES));
    assert!(user.open(other, READ).is_ok());
    let without = User { caller: Caller { uid: 0, gid: 0, groups: None }, ..user };
    let open = |ino| without.ask(Request::Open { ino, access: READ, truncate: false }).map(drop);
    assert_eq!(open(other), Err(Refused::NeedGroups));
    assert_eq!(open(shared), Err(Refused::NeedGroups));
}

#[test]
fn fixed_caller_is_the_same_whatever_a_request_says() {
    let claimed = [
        full_root(),
        Caller::ROOT,
        Caller { uid: 1001, gid: 1001, groups: Some(vec![50]) },
        Caller { uid: u32::MAX, gid: u32::MAX, groups: None },
    ];
    for caller in claimed {
        let world = World::new();
        let root = world.superuser();
        let user = under(&world, fixed(1000, 100, &[4]), caller);
        let file = |text, uid, gid, perm| {
            let ino = root.file(ROOT, text, perm).unwrap();
            root.chown(ino, Some(uid), Some(gid)).unwrap();
            ino
        };
        let own = file("own", 1000, 5, 0o600);
        assert!(user.open(own, BOTH).is_ok());
        assert!(user.open(file("primary", 0, 100, 0o060), BOTH).is_ok());
        let by_group = file("by-group", 0, 4, 0o060);
        assert!(user.open(by_group, BOTH).is_ok());
        for strange in [file("root", 0, 0, 0o600), file("claimed", 1001, 1001, 0o660), file("group", 0, 50, 0o660)] {
            assert_eq!(user.open(strange, READ).map(drop), Err(Errno::EACCES));
            assert_eq!(user.open(strange, Access::default()).map(drop), Err(Errno::EACCES));
            assert_eq!(user.chmod(strange, 0o777).map(drop), Err(Errno::EPERM));
        }
        for (uid, gid) in [(Some(0), None), (Some(1001), None), (None, Some(50)), (None, Some(1001)), (None, Some(0))] {
            assert_eq!(user.chown(own, uid, gid).map(drop), Err(Errno::EPERM), "{uid:?} {gid:?}");
        }
        user.chown(own, None, Some(4)).unwrap();
        let dir = root.mkdir(ROOT, "d", 0o777).unwrap();
        let made = user.stat(user.create(dir, "f", 0o644).unwrap()).unwrap();
        assert_eq!((made.uid, made.gid), (1000, 100));
        world.check();
    }
}

#[test]
fn trusted_export_is_root_for_everybody_unless_root_is_squashed() {
    let world = World::new();
    let root = world.superuser();
    let secret = root.file(ROOT, "secret", 0o600).unwrap();
    let stranger = || Caller { uid: 1000, gid: 1000, groups: None };
    let trusted = under(&world, fixed(0, 0, &[]), stranger());
    assert!(trusted.open(secret, BOTH).is_ok());
    trusted.chown(secret, Some(7), Some(7)).unwrap();
    trusted.chown(secret, Some(0), Some(0)).unwrap();
    let squashed = Identity::new(true, Some(FixedCaller::new(0, 0, Vec::new())));
    let squashed = User { session: SessionContext { identity: squashed, ..trusted.session.clone() }, ..trusted };
    assert_eq!(squashed.truncate(secret, 0).map(drop), Err(Errno::EACCES));
}

#[test]
fn claim_opens_nothing_that_the_policy_closes() {
    let world = World::new();
    let root = world.superuser();
    let secret = root.file(ROOT, "secret", 0o600).unwrap();
    let readable = root.file(ROOT, "readable", 0o644).unwrap();
    let own = root.file(ROOT, "own", 0o000).unwrap();
    root.chown(own, Some(1000), Some(1000)).unwrap();
    for identity in [SQUASHED, fixed(1000, 1000, &[])] {
        let user = under(&world, identity, full_root());
        assert!(!claim(&user, secret, false) && !claim(&user, secret, true));
        assert_eq!(user.layout(secret, 0, 1).map(drop), Err(Errno::EACCES));
        assert!(!claim(&user, readable, true));
        assert_eq!(user.commit(readable, Vec::new()).map(drop), Err(Errno::EBADF));
        assert!(claim(&user, readable, false));
        assert!(!claim(&user, readable, true), "what is open for reading is not open for writing");
        assert!(claim(&user, own, true), "its owner may have opened it before the bits were taken away");
        world.volume.close_session(user.session.id, world.now()).unwrap();
    }
    let claimed = world.user(world.mount(3, ROOT, false), full_root());
    assert!(claim(&claimed, secret, true), "without a policy the mount is believed");
}

#[test]
fn claim_of_what_is_known_to_be_open_needs_no_belief() {
    let world = World::new();
    let root = world.superuser();
    let file = root.file(ROOT, "f", 0o666).unwrap();
    let user = under(&world, fixed(1000, 1000, &[]), Caller::ROOT);
    user.open(file, BOTH).unwrap();
    root.chmod(file, 0o600).unwrap();
    assert!(claim(&user, file, true));
    user.write(file, 0, 0, 4);
}

#[test]
fn repeated_create_after_a_restart_gives_no_right_to_write() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    root.chmod(ROOT, 0o777).unwrap();
    let theirs = root.file(ROOT, "theirs", 0o644).unwrap();
    let user = under(&world, fixed(1000, 1000, &[]), Caller::ROOT);
    let session = user.session.clone();
    let create = |text| Request::Create {
        parent: ROOT,
        name: name(text),
        perm: 0o644,
        access: READ,
        exclusive: false,
        truncate: false,
    };
    user.ask_as(Some(OperationId(1)), create("theirs")).unwrap();
    let own = match user.ask_as(Some(OperationId(2)), create("own")).unwrap() {
        Reply::Opened(attr, _) => attr.ino,
        other => panic!("{other:?}"),
    };
    let world = world.restarted(kv);
    let user = world.user(session, Caller::ROOT);
    user.ask_as(Some(OperationId(1)), create("theirs")).unwrap();
    user.ask_as(Some(OperationId(2)), create("own")).unwrap();
    assert_eq!(user.commit(theirs, Vec::new()).map(drop), Err(Errno::EBADF));
    user.commit(own, Vec::new()).unwrap();
}

#[test]
fn listing_goes_by_the_policy_page_by_page() {
    let world = World::new();
    let root = world.superuser();
    let dir = root.mkdir(ROOT, "d", 0o700).unwrap();
    root.file(dir, "f", 0o644).unwrap();
    let user = under(&world, fixed(1000, 1000, &[]), Caller::ROOT);
    let listing = |user: &User<'_>| user.ask(Request::ReadDir { ino: dir, offset: 0, bytes_max: 4096, attrs: true });
    let has_attrs = |reply: Result<Reply, Refused>| match reply {
        Ok(Reply::Names { records, .. }) => {
            DirRecords::new(&records).map(|record| record.attr.is_some()).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(listing(&user), Err(Refused::Error(Errno::EACCES)));
    root.chmod(dir, 0o704).unwrap();
    assert_eq!(has_attrs(listing(&user)), [false], "who may not search learns names, and nothing of what they name");
    root.chmod(dir, 0o705).unwrap();
    assert_eq!(has_attrs(listing(&user)), [true]);
    assert_eq!(has_attrs(listing(&root.other(1000, 1000))), [true]);
}

#[test]
fn check_answers_as_access_does() {
    let world = World::new();
    let root = world.superuser();
    let script = root.file(ROOT, "script", 0o750).unwrap();
    root.chown(script, Some(1000), Some(50)).unwrap();
    let check = |user: &User<'_>, access| user.ask(Request::Check { ino: script, access }).map(|_| ());
    let refused = |errno: Errno| Err(Refused::Error(errno));
    let owner = under(&world, fixed(1000, 1, &[]), Caller::ROOT);
    for access in [READ, WRITE, EXECUTE, BOTH, Access::default()] {
        assert_eq!(check(&owner, access), Ok(()), "{access:?}");
    }
    let member = root.with_groups(2000, 1, Some(&[50]));
    assert_eq!((check(&member, READ), check(&member, EXECUTE)), (Ok(()), Ok(())));
    assert_eq!(check(&member, WRITE), refused(Errno::EACCES));
    assert_eq!(check(&root.with_groups(2000, 1, None), READ), Err(Refused::NeedGroups));
    assert_eq!(check(&root.other(3000, 1), EXECUTE), refused(Errno::EACCES));
    root.chmod(script, 0o640).unwrap();
    assert_eq!((check(&root, WRITE), check(&root, EXECUTE)), (Ok(()), refused(Errno::EACCES)));
    let reader = world.user(world.mount(4, ROOT, true), Caller::ROOT);
    assert_eq!((check(&reader, READ), check(&reader, WRITE)), (Ok(()), refused(Errno::EROFS)));
    let scoped = root.mkdir(ROOT, "d", 0o777).unwrap();
    let scoped = world.user(world.mount(5, scoped, false), Caller::ROOT);
    assert_eq!(check(&scoped, Access::default()), refused(Errno::ESTALE));
}

#[test]
fn handle_for_neither_reading_nor_writing_is_for_those_who_may_do_both() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.create(ROOT, "f", 0o644).unwrap();
    root.commit_inline(ino, b"content", 1).unwrap();
    let user = root.other(1000, 1000);
    assert_eq!(user.open(ino, Access::default()).map(drop), Err(Errno::EACCES));
    let reopen = |access| {
        let name = name("f");
        user.ask(Request::Create { parent: ROOT, name, perm: 0, access, exclusive: false, truncate: false }).map(drop)
    };
    assert_eq!(reopen(Access::default()), Err(Refused::Error(Errno::EACCES)));
    assert_eq!(reopen(READ), Ok(()));
    root.chmod(ino, 0o666).unwrap();
    assert!(user.open(ino, Access::default()).is_ok());
    assert!(root.open(ino, Access::default()).is_ok());
}

#[test]
fn times_of_others_are_not_squashed_roots_to_set() {
    let world = World::new();
    let root = world.superuser();
    let ino = root.file(ROOT, "f", 0o644).unwrap();
    let squashed = under(&world, SQUASHED, full_root());
    let at = proto::SetTime::At(proto::Timespec::default());
    for (time, errno) in [(at, Errno::EPERM), (proto::SetTime::Now, Errno::EACCES)] {
        let changes = AttrChanges { mtime: Some(time), ..AttrChanges::default() };
        assert_eq!(squashed.set(ino, changes).map(drop), Err(errno));
    }
    assert_eq!(squashed.stat(ino).unwrap().kind, FileKind::Regular, "attributes are for all to see");
}

#[test]
fn set_id_bits_and_capabilities_do_not_survive_what_others_than_the_superuser_write() {
    let world = World::new();
    let root = world.superuser();
    let capability = Bytes::from_static(b"security.capability");
    let program = |text: &str, uid| {
        let ino = root.file(ROOT, text, 0o777).unwrap();
        root.chown(ino, Some(uid), Some(50)).unwrap();
        root.chmod(ino, 0o6777).unwrap();
        xattr(&root, ino, "security.capability").unwrap();
        ino
    };
    let has_rights = |ino| {
        let value = root.ask(Request::GetXattr { ino, name: capability.clone() });
        let (perm, is_capable) = (root.stat(ino).unwrap().perm, value.is_ok());
        assert_eq!(perm == 0o6777, is_capable, "all goes or all stays");
        is_capable
    };
    for (index, identity, owner, keeps) in [
        (0, SQUASHED, 0, false),
        (1, SQUASHED, 1000, false),
        (2, fixed(1000, 1000, &[]), 0, false),
        (3, fixed(1000, 1000, &[]), 1001, false),
        (4, fixed(1000, 1000, &[]), 1000, false),
        (5, fixed(0, 0, &[]), 1000, true),
        (6, Identity::CLAIMED, 0, true),
    ] {
        let user = under(&world, identity, full_root());
        let [written, cut, emptied] =
            ["written", "cut", "emptied"].map(|text| program(&format!("{text}-{index}"), owner));
        user.open(written, BOTH).unwrap();
        user.write(written, 0, 0, 4);
        user.truncate(cut, 3).unwrap();
        user.open_truncated(emptied).unwrap();
        for ino in [written, cut, emptied] {
            assert_eq!(has_rights(ino), keeps, "case {index}");
        }
        world.volume.close_session(user.session.id, world.now()).unwrap();
    }
    world.check();
}

#[test]
fn regression_repeated_create_shows_nothing_of_a_file_that_is_not_theirs_any_more() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let root = world.superuser();
    root.chmod(ROOT, 0o777).unwrap();
    let user = under(&world, fixed(1000, 1000, &[]), full_root());
    let (access, exclusive, truncate) = (BOTH, true, false);
    let create = || Request::Create { parent: ROOT, name: name("f"), perm: 0o644, access, exclusive, truncate };
    let operation = Some(world.next_operation());
    let Ok(Reply::Opened(attr, _)) = user.ask_as(operation, create()) else { panic!("it is made") };
    user.close(attr.ino);
    root.chown(attr.ino, Some(0), Some(0)).unwrap();
    root.chmod(attr.ino, 0o600).unwrap();
    root.open(attr.ino, BOTH).unwrap();
    root.commit_inline(attr.ino, b"secret", root.stat(attr.ino).unwrap().version).unwrap();
    let layout = |user: &User<'_>| user.ask(Request::GetLayout { ino: attr.ino, first: BlockIndex(0), count: 1 });
    let check = |user: &User<'_>| {
        let answer = user.ask_as(operation, create());
        let Ok(Reply::Opened(shown, map)) = &answer else { panic!("its first answer: {answer:?}") };
        assert_eq!((shown.uid, shown.size, map.inline.as_deref()), (1000, 0, None));
        assert!(layout(user).is_err(), "it does not have it open");
    };
    check(&user);
    let session = user.session.clone();
    let world = world.restarted(kv);
    check(&world.user(&session, full_root()));
}
