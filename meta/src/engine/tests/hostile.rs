//! Requests that no honest mount sends, and many threads at once.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use proptest::prelude::*;
use proto::{
    Access, AttrChanges, BlockChange, BlockIndex, Caller, Claim, Close, Commit, Copied, Errno, InodeId, Name, NewNode,
    ObjectId, OperationId, Piece, Refused, RenameMode, Reply, Request, RequestFrame, Rewrite, SetTime, Source,
    StoredFrame, Timespec, XattrMode,
};

use super::world::{BOTH, READ, ROOT, World, at, name, piece};
use crate::engine::{Breach, SessionContext, check};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..8u64, Just(u64::MAX), Just(i64::MAX as u64), Just(1 << 32), any::<u64>()]
}

fn short() -> impl Strategy<Value = u32> {
    prop_oneof![0..20u32, Just(u32::MAX), any::<u32>()]
}

fn ino() -> impl Strategy<Value = InodeId> {
    number().prop_map(InodeId)
}

fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof![Just(name("a")), Just(name("b")), Just(Name::new(&[b'x'; 255]).unwrap())]
}

fn any_bytes() -> impl Strategy<Value = Bytes> {
    let known = prop::sample::select(vec!["user.a", "trusted.b", "user.", "", "security.capability", "system.x"]);
    prop_oneof![known.prop_map(|text| Bytes::from_static(text.as_bytes())), any::<Vec<u8>>().prop_map(Bytes::from)]
}

fn time() -> impl Strategy<Value = Timespec> {
    (any::<i64>(), any::<u32>()).prop_map(|(secs, nanos)| Timespec { secs, nanos })
}

fn access() -> impl Strategy<Value = Access> {
    any::<(bool, bool, bool)>().prop_map(|(read, write, execute)| Access { read, write, execute })
}

fn any_piece() -> impl Strategy<Value = Piece> {
    let frames = prop::collection::vec(short().prop_map(|len| StoredFrame::new(len, true)), 0..3);
    let numbers = (short(), short(), short(), short(), number(), number());
    (numbers, frames).prop_map(|((start, end, origin, len, object, object_offset), frames)| Piece {
        start,
        end,
        origin,
        len,
        object: ObjectId(object),
        object_offset,
        frames,
    })
}

fn change() -> impl Strategy<Value = BlockChange> {
    prop_oneof![
        (number(), any_piece()).prop_map(|(index, piece)| BlockChange::Write(BlockIndex(index), piece)),
        (number(), short(), short()).prop_map(|(index, start, end)| BlockChange::Punch(BlockIndex(index), start, end)),
        (number(), any_piece(), prop::collection::vec(copied(), 0..4))
            .prop_map(|(index, piece, copied)| BlockChange::Rewrite(BlockIndex(index), Rewrite { piece, copied })),
    ]
}

fn copied() -> impl Strategy<Value = Copied> {
    let source = prop_oneof![
        number().prop_map(|object| Source::Object(ObjectId(object))),
        number().prop_map(Source::Inline),
        Just(Source::Hole),
        Just(Source::Nowhere),
    ];
    (short(), short(), source).prop_map(|(start, end, source)| Copied { start, end, source })
}

fn commit() -> impl Strategy<Value = Commit> {
    let parts =
        (ino(), prop::collection::vec(change(), 0..4), prop::option::of(any_bytes()), number(), number(), time());
    parts.prop_map(|(ino, changes, inline, base_version, size_min, mtime)| Commit {
        ino,
        changes,
        inline,
        base_version,
        size_min,
        mtime,
        durable: true,
    })
}

fn changes() -> impl Strategy<Value = AttrChanges> {
    let set_time = || prop::option::of(prop_oneof![Just(SetTime::Now), time().prop_map(SetTime::At)]);
    let parts = (any::<Option<u16>>(), any::<Option<u32>>(), any::<Option<u32>>(), prop::option::of(number()));
    (parts, set_time(), set_time(), any::<bool>()).prop_map(
        |((perm, uid, gid, size), atime, mtime, kill_privileges)| AttrChanges {
            perm,
            uid,
            gid,
            size,
            atime,
            mtime,
            kill_privileges,
        },
    )
}

fn node() -> impl Strategy<Value = NewNode> {
    prop_oneof![
        any::<(u32, u32)>().prop_map(|(mode, rdev)| NewNode::Node { mode, rdev }),
        any::<u16>().prop_map(|perm| NewNode::Directory { perm }),
        any_bytes().prop_map(|target| NewNode::Symlink { target }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let named = || (ino(), any_name());
    let mode = prop::sample::select(vec![RenameMode::Replace, RenameMode::NoReplace, RenameMode::Exchange]);
    let xattr_mode = prop::sample::select(vec![XattrMode::Any, XattrMode::Create, XattrMode::Replace]);
    prop_oneof![
        named().prop_map(|(parent, name)| Request::Lookup { parent, name }),
        (ino(), changes(), any::<bool>()).prop_map(|(ino, changes, by_handle)| Request::SetAttr {
            ino,
            changes,
            by_handle
        }),
        (named(), any::<u16>(), access(), any::<(bool, bool)>()).prop_map(
            |((parent, name), perm, access, (exclusive, truncate))| {
                Request::Create { parent, name, perm, access, exclusive, truncate }
            }
        ),
        (named(), node()).prop_map(|((parent, name), node)| Request::Make { parent, name, node }),
        ino().prop_map(|ino| Request::ReadLink { ino }),
        (ino(), named()).prop_map(|(ino, (parent, name))| Request::Link { ino, parent, name }),
        named().prop_map(|(parent, name)| Request::Unlink { parent, name }),
        named().prop_map(|(parent, name)| Request::RemoveDir { parent, name }),
        (named(), named(), mode).prop_map(|((parent, name), (new_parent, new_name), mode)| Request::Rename {
            parent,
            name,
            new_parent,
            new_name,
            mode
        }),
        (ino(), number(), short(), any::<bool>()).prop_map(|(ino, offset, bytes_max, attrs)| Request::ReadDir {
            ino,
            offset,
            bytes_max,
            attrs
        }),
        (ino(), access(), any::<bool>()).prop_map(|(ino, access, truncate)| Request::Open { ino, access, truncate }),
        prop::collection::vec((ino(), short(), prop::option::of(time())), 0..3).prop_map(|closes| Request::Release {
            closes: closes.into_iter().map(|(ino, count, atime)| Close { ino, count, atime }).collect()
        }),
        prop::collection::vec((ino(), short(), any::<bool>()), 0..3).prop_map(|claims| Request::Reclaim {
            claims: claims.into_iter().map(|(ino, count, write)| Claim { ino, count, write }).collect()
        }),
        (ino(), number(), short()).prop_map(|(ino, first, count)| Request::GetLayout {
            ino,
            first: BlockIndex(first),
            count
        }),
        commit().prop_map(Request::Commit),
        (short(), prop::collection::vec(number().prop_map(ObjectId), 0..4))
            .prop_map(|(count, given_back)| Request::GrantObjects { count, given_back }),
        (ino(), any_bytes()).prop_map(|(ino, name)| Request::GetXattr { ino, name }),
        (ino(), any_bytes(), any_bytes(), xattr_mode).prop_map(|(ino, name, value, mode)| Request::SetXattr {
            ino,
            name,
            value,
            mode
        }),
        (ino(), any_bytes()).prop_map(|(ino, name)| Request::RemoveXattr { ino, name }),
        ino().prop_map(|ino| Request::ListXattr { ino }),
    ]
}

fn frame() -> impl Strategy<Value = RequestFrame> {
    let operation = prop::option::of(prop_oneof![3 => 0..600u64, 1 => any::<u64>()]);
    let caller = (0..3u32, 0..3u32, prop::option::of(prop::collection::vec(0..3u32, 0..3)));
    (operation, caller, request()).prop_map(|(operation, (uid, gid, groups), request)| RequestFrame {
        operation: operation.map(OperationId),
        caller: Caller { uid, gid, groups },
        request,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_request_panics_or_breaks_an_invariant(frames in prop::collection::vec((any::<u8>(), frame()), 1..120)) {
        let world = World::new();
        let root = world.superuser();
        root.chmod(ROOT, 0o777).unwrap();
        let dir = root.mkdir(ROOT, "a", 0o777).unwrap();
        root.create(dir, "a", 0o666).unwrap();
        let sessions = [root.session.clone(), world.mount(2, dir, false), world.mount(3, ROOT, true)];
        for (session, frame) in frames {
            let executed = world.volume.execute(&sessions[usize::from(session) % 3], &frame, world.tick());
            prop_assert_ne!(executed.reply.result, Err(Refused::Error(Errno::EIO)), "{:?}", frame.request);
        }
        prop_assert_eq!(check(&world.volume), [""; 0]);
    }
}

#[test]
fn too_long_lists_are_refused() {
    let world = World::new();
    let root = world.superuser();
    let ask = |request: Request| root.ask(request);
    let close = Close { ino: ROOT, count: 1, atime: None };
    assert_eq!(ask(Request::Release { closes: vec![close; 4097] }), Err(Refused::Malformed));
    let claim = Claim { ino: ROOT, count: 1, write: false };
    assert_eq!(ask(Request::Reclaim { claims: vec![claim; 4097] }), Err(Refused::Malformed));
    assert_eq!(ask(Request::GrantObjects { count: 4097, given_back: Vec::new() }), Err(Refused::Malformed));
    assert_eq!(ask(Request::GrantObjects { count: 0, given_back: Vec::new() }), Err(Refused::Malformed));
    let given_back = vec![ObjectId(1); 4097];
    assert_eq!(ask(Request::GrantObjects { count: 1, given_back }), Err(Refused::Malformed));
    let layout = |count| Request::GetLayout { ino: ROOT, first: BlockIndex(0), count };
    assert_eq!(ask(layout(1025)), Err(Refused::Malformed));
    assert_eq!(ask(layout(0)), Err(Refused::Malformed));
    let many = root.with_groups(1, 1, Some(&[1; 1025]));
    assert_eq!(many.ask(Request::GetAttr { ino: ROOT }), Err(Errno::EINVAL.into()));
    let long = NewNode::Symlink { target: Bytes::from(vec![b'x'; 4096]) };
    assert_eq!(root.make(ROOT, "l", long), Err(Errno::ENAMETOOLONG));
    let (parent, name) = (ROOT, name("l"));
    let empty = Request::Make { parent, name, node: NewNode::Symlink { target: Bytes::new() } };
    assert_eq!(ask(empty), Err(Refused::Malformed));
}

#[test]
fn name_that_is_replaced_over_and_over_is_always_there() {
    let world = World::new();
    let root = world.superuser();
    root.file(ROOT, "target", 0o644).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut found = 0;
                    while !stop.load(Ordering::Relaxed) {
                        root.lookup(ROOT, "target").unwrap();
                        found += 1;
                    }
                    found
                })
            })
            .collect();
        for _ in 0..2000 {
            root.file(ROOT, "new", 0o644).unwrap();
            root.rename((ROOT, "new"), (ROOT, "target")).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() > 0));
    });
    world.check();
}

#[test]
fn file_that_was_opened_in_time_is_kept_for_its_holder() {
    let world = World::new();
    let root = world.superuser();
    let opener = world.user(world.mount(2, ROOT, false), Caller::ROOT);
    for round in 0..500 {
        let ino = root.file(ROOT, "f", 0o644).unwrap();
        let opened = std::thread::scope(|scope| {
            let opening = scope.spawn(|| opener.open(ino, if round % 2 == 0 { READ } else { BOTH }));
            root.unlink(ROOT, "f").unwrap();
            opening.join().unwrap()
        });
        match opened {
            Ok(_) => {
                assert_eq!(opener.stat(ino).unwrap().nlink, 0);
                opener.close(ino);
            }
            Err(errno) => assert_eq!(errno, Errno::ESTALE),
        }
        assert_eq!(opener.stat(ino), Err(Errno::ESTALE));
    }
    assert_eq!(world.volume.stat().inodes_used, 1);
    world.check();
}

#[test]
fn sessions_that_end_in_the_middle_leave_nothing_open() {
    let world = World::new();
    let root = world.superuser();
    for number in 10..200 {
        let session = world.mount(number, ROOT, false);
        let user = world.user(&session, Caller::ROOT);
        std::thread::scope(|scope| {
            let working = scope.spawn(|| {
                let (access, exclusive, truncate) = (BOTH, false, false);
                let create =
                    || Request::Create { parent: ROOT, name: name("f"), perm: 0o644, access, exclusive, truncate };
                while let Ok(Reply::Opened(attr, _)) = user.ask(create()) {
                    let _ = user.ask(Request::Unlink { parent: ROOT, name: name("f") });
                    let _ = user.ask(Request::Open { ino: attr.ino, access, truncate });
                }
            });
            world.volume.close_session(session.id, at(9)).unwrap();
            working.join().unwrap();
        });
    }
    let _ = root.unlink(ROOT, "f");
    assert_eq!(world.volume.stat().inodes_used, 1);
    world.check();
}

#[test]
fn what_a_session_may_not_have_is_told_apart_from_what_is_missing() {
    let world = World::new();
    let root = world.superuser();
    let (inside, outside) = (root.mkdir(ROOT, "in", 0o755).unwrap(), root.mkdir(ROOT, "out", 0o755).unwrap());
    let gone = root.file(outside, "gone", 0o644).unwrap();
    root.unlink(outside, "gone").unwrap();
    let breach = |session: &SessionContext, request: Request| {
        let operation = request.is_mutation().then(|| world.next_operation());
        let frame = RequestFrame { operation, caller: Caller::ROOT, request };
        let executed = world.volume.execute(session, &frame, world.tick());
        if let Some(breach) = executed.breach {
            assert_eq!(executed.reply.result, Err(breach.answer()));
        }
        executed.breach
    };
    let (scoped, reader) = (world.mount(2, inside, false), world.mount(3, ROOT, true));
    assert_eq!(breach(&scoped, Request::GetAttr { ino: outside }), Some(Breach::Scope));
    assert_eq!(breach(&scoped, Request::GetAttr { ino: gone }), None, "mounts may know files that are gone");
    assert_eq!(breach(&scoped, Request::Lookup { parent: inside, name: name("none") }), None);
    let make = Request::Make { parent: ROOT, name: name("d"), node: NewNode::Directory { perm: 0o755 } };
    assert_eq!(breach(&reader, make), Some(Breach::ReadOnly));
    let ino = root.create(inside, "f", 0o644).unwrap();
    let write = Request::Open { ino, access: BOTH, truncate: false };
    assert_eq!(breach(&reader, write.clone()), Some(Breach::ReadOnly));
    assert_eq!(breach(&scoped, write), None);
    let theirs = root.grant(1);
    let changes = vec![BlockChange::Write(BlockIndex(0), piece(0, 4, theirs))];
    assert_eq!(breach(&scoped, Request::Commit(super::world::commit(ino, changes))), Some(Breach::Objects));
    let layout = Request::GetLayout { ino, first: BlockIndex(0), count: 0 };
    assert_eq!(breach(&scoped, layout), Some(Breach::Protocol));
    world.check();
}
