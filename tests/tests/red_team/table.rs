//! The table of attacks: for every kind of request what is tried with it, and how it must end.

use bytes::Bytes;
use proto::{
    Access, AttrChanges, BlockIndex, Claim, Close, Errno, InodeId, LockKind, LockOwner, LockSpan, NewNode, Refused,
    RenameMode, Reply, Request, SetTime, Timespec, XattrMode,
};
use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

use super::stage::{BOTH, READ, Things, chmod, commit_of, name};

/// How an attack must end.
pub(crate) enum End {
    /// Refused, with this.
    Refused(Refused),
    /// Answered, because honest mounts ask it too; the answer says that nothing came of it.
    InVain(fn(&Reply) -> bool),
}

/// One attempt.
pub(crate) struct Attack {
    pub(crate) request: Request,
    pub(crate) end: End,
}

/// The kinds of request, as the protocol itself counts them.
pub(crate) fn kinds() -> &'static [&'static str] {
    struct Probe<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Probe<'_> {
        type Error = Error;

        fn deserialize_enum<V: Visitor<'de>>(
            self,
            _: &'static str,
            variants: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Error> {
            *self.0 = variants;
            Err(Error::custom("only asked"))
        }

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
            Err(Error::custom("a request is an enum"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
        }
    }

    let mut kinds: &'static [&'static str] = &[];
    assert!(Request::deserialize(Probe(&mut kinds)).is_err());
    assert!(!kinds.is_empty(), "the probe saw the protocol");
    kinds
}

/// The requests of a kind that go to file `ino`, or to the name `x` in directory `ino`; `inside` is a directory that the
/// attacker may use. A kind that names no file has none.
pub(crate) fn aimed_at(kind: &str, ino: InodeId, inside: InodeId) -> Vec<Request> {
    let (parent, name) = (ino, name("x"));
    let key = Bytes::from_static(b"user.note");
    let rename = |parent, new_parent, mode| Request::Rename {
        parent,
        name: self::name("mine"),
        new_parent,
        new_name: name.clone(),
        mode,
    };
    match kind {
        "Lookup" => vec![Request::Lookup { parent, name }],
        "GetAttr" => vec![Request::GetAttr { ino }],
        "Check" => [READ, BOTH, Access::default()].map(|access| Request::Check { ino, access }).into(),
        "SetAttr" => set_attr(ino),
        "Create" => [(true, false), (false, false), (false, true)]
            .map(|(exclusive, truncate)| {
                let name = name.clone();
                Request::Create { parent, name, perm: 0o666, access: BOTH, exclusive, truncate }
            })
            .into(),
        "Make" => nodes().map(|node| Request::Make { parent, name: name.clone(), node }).into(),
        "ReadLink" => vec![Request::ReadLink { ino }],
        "Link" => vec![
            Request::Link { ino, parent: inside, name: name.clone() },
            Request::Link { ino: inside, parent, name: name.clone() },
            Request::Link { ino, parent: ino, name },
        ],
        "Unlink" => vec![Request::Unlink { parent, name }],
        "RemoveDir" => vec![Request::RemoveDir { parent, name }],
        "Rename" => [RenameMode::Replace, RenameMode::NoReplace, RenameMode::Exchange]
            .into_iter()
            .flat_map(|mode| [rename(ino, inside, mode), rename(inside, ino, mode), rename(ino, ino, mode)])
            .collect(),
        "OpenDir" => vec![Request::OpenDir { ino }],
        "ReadDir" => {
            [0, 1, u64::MAX].map(|offset| Request::ReadDir { ino, offset, bytes_max: u32::MAX, attrs: true }).into()
        }
        "Open" => vec![
            Request::Open { ino, access: READ, truncate: false },
            Request::Open { ino, access: BOTH, truncate: false },
            Request::Open { ino, access: BOTH, truncate: true },
            Request::Open { ino, access: READ, truncate: true },
            Request::Open { ino, access: Access::default(), truncate: false },
        ],
        "GetLayout" => vec![Request::GetLayout { ino, first: BlockIndex(0), count: 1 }],
        "Commit" => vec![commit_of(ino, &[]), inline(ino)],
        "GetXattr" => vec![Request::GetXattr { ino, name: key }],
        "SetXattr" => vec![Request::SetXattr { ino, name: key, value: Bytes::new(), mode: XattrMode::Any }],
        "ListXattr" => vec![Request::ListXattr { ino }],
        "RemoveXattr" => vec![Request::RemoveXattr { ino, name: key }],
        "Lock" => locks().map(|(kind, span)| Request::Lock { ino, kind, owner: OWNER, span }).into(),
        "Unlock" => [LockKind::Range, LockKind::Whole]
            .map(|kind| Request::Unlock { ino, kind, owner: OWNER, start: 0, end: LockSpan::END })
            .into(),
        "TestLock" => locks().map(|(kind, span)| Request::TestLock { ino, kind, owner: OWNER, span }).into(),
        "AwaitLock" => locks().map(|(kind, span)| Request::AwaitLock { ino, kind, owner: OWNER, span }).into(),
        "Release" | "Reclaim" | "Sync" | "GrantObjects" | "StatFs" => Vec::new(),
        new => panic!("{new} is a new kind of request: say here what a hostile mount would ask with it"),
    }
}

/// What the scoped session tries, by kind, with everything that is not its own.
///
/// `ESTALE` is the answer to what lies outside: the same as to what is gone, so that nothing is learnt by asking.
pub(crate) fn out_of_scope(kind: &str, things: &Things) -> Vec<Attack> {
    let beyond = things.beyond();
    let stale = |request| Attack { request, end: End::Refused(Refused::Error(Errno::ESTALE)) };
    let in_vain = |request, check| Attack { request, end: End::InVain(check) };
    match kind {
        // A list of files, of which those that cannot be held open are named as gone.
        "Reclaim" => vec![in_vain(
            Request::Reclaim { claims: beyond.iter().map(|ino| Claim { ino: *ino, count: 1, write: true }).collect() },
            |reply| matches!(reply, Reply::Claimed { gone } if gone.len() == 12),
        )],
        // What the session does not hold open is passed over; no time is set where it does, but cannot see it any more.
        "Release" => vec![in_vain(
            Request::Release {
                closes: beyond.iter().map(|ino| Close { ino: *ino, count: 0, atime: Some(LATE) }).collect(),
            },
            |reply| *reply == Reply::Done,
        )],
        // Ids of others are passed over when they are given back: they can still be committed.
        "GrantObjects" => vec![in_vain(
            Request::GrantObjects { count: 1, given_back: vec![things.honest_object, things.foreign_object] },
            |reply| matches!(reply, Reply::Granted { count: 1, .. }),
        )],
        // They speak of the volume, not of files: a session of a part sees how full the whole is.
        "StatFs" => vec![in_vain(Request::StatFs, |reply| matches!(reply, Reply::StatFs(_)))],
        "Sync" => vec![in_vain(Request::Sync, |reply| *reply == Reply::Done)],
        // It gives up what is the session's own: nothing, however its owner is called.
        "Unlock" => beyond
            .iter()
            .flat_map(|ino| aimed_at(kind, *ino, things.team))
            .map(|request| in_vain(request, |reply| *reply == Reply::Done))
            .collect(),
        _ => beyond.iter().flat_map(|ino| aimed_at(kind, *ino, things.team)).map(stale).collect(),
    }
}

/// What a read-only session tries on files that it may see. `EROFS` whatever else would be wrong with it.
pub(crate) fn read_only(kind: &str, things: &Things) -> Vec<Attack> {
    let refused = |request: Request| Attack { request, end: End::Refused(Refused::Error(Errno::EROFS)) };
    let in_vain = |request, check| Attack { request, end: End::InVain(check) };
    let files = [things.secret, things.mine, things.team, InodeId(u64::MAX)];
    match kind {
        "GrantObjects" => vec![refused(Request::GrantObjects { count: 1, given_back: Vec::new() })],
        "Reclaim" => vec![in_vain(
            Request::Reclaim { claims: vec![Claim { ino: things.secret, count: 1, write: true }] },
            |reply| matches!(reply, Reply::Claimed { gone } if gone.len() == 1),
        )],
        "Release" => vec![in_vain(
            Request::Release { closes: vec![Close { ino: things.secret, count: 1, atime: Some(LATE) }] },
            |reply| *reply == Reply::Done,
        )],
        "Sync" | "StatFs" => Vec::new(),
        "Commit" => files.iter().map(|ino| refused(commit_of(*ino, &[things.honest_object]))).collect(),
        _ => {
            let changes = |request: &Request| match request {
                Request::Open { access, truncate, .. } => access.write || *truncate,
                Request::Lock { span, .. } | Request::AwaitLock { span, .. } => span.exclusive,
                Request::Unlock { .. } => false,
                request => request.is_mutation(),
            };
            let all = files.iter().flat_map(|ino| aimed_at(kind, *ino, things.team));
            all.filter(changes).map(refused).collect()
        }
    }
}

/// A time that no access came after.
const LATE: Timespec = Timespec { secs: i64::MAX, nanos: 0 };

fn set_attr(ino: InodeId) -> Vec<Request> {
    let none = AttrChanges::default;
    let changes = [
        none(),
        chmod(0o6777),
        AttrChanges { uid: Some(0), ..none() },
        AttrChanges { gid: Some(0), ..none() },
        AttrChanges { size: Some(0), ..none() },
        AttrChanges { size: Some(i64::MAX as u64), ..none() },
        AttrChanges { atime: Some(SetTime::Now), ..none() },
        AttrChanges { mtime: Some(SetTime::At(LATE)), ..none() },
        AttrChanges { kill_privileges: true, ..none() },
    ];
    let both = |changes: AttrChanges| {
        [true, false].map(|by_handle| Request::SetAttr { ino, changes: changes.clone(), by_handle })
    };
    changes.into_iter().flat_map(both).collect()
}

/// Who locks, at every attempt: honest owners have numbers like it.
const OWNER: LockOwner = LockOwner(1);

fn locks() -> [(LockKind, LockSpan); 4] {
    [
        (LockKind::Range, LockSpan { start: 0, end: 0, exclusive: true, pid: 1 }),
        (LockKind::Range, LockSpan::whole(false, 0)),
        (LockKind::Whole, LockSpan::whole(true, u32::MAX)),
        (LockKind::Whole, LockSpan::whole(false, 1)),
    ]
}

fn nodes() -> [NewNode; 4] {
    [
        NewNode::Node { mode: 0o100_666, rdev: 0 },
        NewNode::Node { mode: 0o060_666, rdev: 0x800 },
        NewNode::Directory { perm: 0o777 },
        NewNode::Symlink { target: Bytes::from_static(b"/etc/shadow") },
    ]
}

fn inline(ino: InodeId) -> Request {
    let Request::Commit(commit) = commit_of(ino, &[]) else { unreachable!() };
    Request::Commit(proto::Commit { inline: Some(Bytes::from_static(b"forged")), ..commit })
}

/// What a user without rights must be answered who asks for a directory or a file of root, closed to others; `None` where
/// ids alone let it through, as an open descriptor would.
pub(crate) fn of_a_stranger(request: &Request, is_dir: bool) -> Option<&'static [Refused]> {
    const EACCES: Refused = Refused::Error(Errno::EACCES);
    const EPERM: Refused = Refused::Error(Errno::EPERM);
    const EISDIR: Refused = Refused::Error(Errno::EISDIR);
    const EINVAL: Refused = Refused::Error(Errno::EINVAL);
    const ENOTDIR: Refused = Refused::Error(Errno::ENOTDIR);
    const EBADF: Refused = Refused::Error(Errno::EBADF);
    match request {
        // stat(2) of what is known by its id, names of attributes, the pages behind an open descriptor.
        Request::GetAttr { .. } | Request::ListXattr { .. } | Request::ReadDir { .. } => None,
        Request::SetAttr { changes, .. } if *changes == AttrChanges::default() => None,
        Request::SetAttr { changes, .. } if changes.size.is_some() && is_dir => Some(&[EISDIR]),
        Request::SetAttr { .. } => Some(&[EACCES, EPERM]),
        // Whether it is there.
        Request::Check { access, .. } if *access == Access::default() => None,
        Request::Open { .. } if is_dir => Some(&[EISDIR]),
        Request::GetLayout { .. } if is_dir => Some(&[EINVAL]),
        Request::ReadLink { .. } => Some(&[EINVAL]),
        Request::Commit(_) => Some(&[EBADF]),
        // Only what the session has open is locked.
        Request::Lock { .. } | Request::TestLock { .. } | Request::AwaitLock { .. } => Some(&[EBADF]),
        Request::Unlock { .. } => None,
        // Whoever may write to a directory may put a name of any file there; kernels forbid it where they are told to.
        Request::Link { .. } if !is_dir => None,
        Request::Link { .. } => Some(&[EACCES, EPERM]),
        _ if !is_dir => Some(&[EACCES, ENOTDIR]),
        _ => Some(&[EACCES]),
    }
}
