use proptest::prelude::*;

use super::*;
use crate::adapter::bytes_of;

const ROOT: InodeId = InodeId(77);

fn message(opcode: Opcode, node: u64, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let header = abi::InHeader {
        len: (40 + body.len()) as u32,
        opcode: opcode as u32,
        unique: 5,
        nodeid: node,
        uid: 1000,
        gid: 100,
        pid: 4321,
        padding: 0,
    };
    [bytes_of(&header), &body].concat()
}

fn parsed(message: &[u8]) -> Incoming {
    parse(message, ROOT, |place| Bytes::copy_from_slice(&message[place])).unwrap()
}

fn operation(opcode: Opcode, parts: &[&[u8]]) -> Result<Operation, Errno> {
    parsed(&message(opcode, 9, parts)).operation
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

#[test]
fn header_says_who_asks_about_what() {
    let incoming = parsed(&message(Opcode::Getattr, 9, &[&[0; 16]]));
    let header = (incoming.unique, incoming.ino, incoming.uid, incoming.gid, incoming.pid);
    assert_eq!(header, (5, InodeId(9), 1000, 100, 4321));
}

#[test]
fn root_of_the_kernel_is_the_root_of_the_session() {
    assert_eq!(parsed(&message(Opcode::Getattr, 1, &[&[0; 16]])).ino, ROOT);
    let link = abi::LinkIn { oldnodeid: 1 };
    let expected = Operation::Link { ino: ROOT, name: name("x") };
    assert_eq!(operation(Opcode::Link, &[bytes_of(&link), b"x\0"]), Ok(expected));
}

#[test]
fn names_are_checked_where_they_enter() {
    assert_eq!(operation(Opcode::Lookup, &[b"file\0"]), Ok(Operation::Lookup { name: name("file") }));
    assert_eq!(operation(Opcode::Lookup, &[&[b'x'; 256], b"\0"]), Err(Errno::ENAMETOOLONG));
    assert!(operation(Opcode::Lookup, &[&[b'x'; 255], b"\0"]).is_ok());
    assert_eq!(operation(Opcode::Lookup, &[b"no end"]), Err(Errno::EINVAL));
    assert_eq!(operation(Opcode::Unlink, &[b"..\0"]), Err(Errno::EINVAL));
}

#[test]
fn access_asks_by_bits() {
    let asked = |mask| operation(Opcode::Access, &[bytes_of(&abi::AccessIn { mask, padding: 0 })]);
    let access = |read, write, execute| Ok(Operation::Access(Access { read, write, execute }));
    assert_eq!(asked(0), access(false, false, false));
    assert_eq!(asked(4), access(true, false, false));
    assert_eq!(asked(3), access(false, true, true));
    assert_eq!(asked(u32::MAX), access(true, true, true));
    assert_eq!(operation(Opcode::Access, &[&[0; 7]]), Err(Errno::EINVAL));
}

#[test]
fn symlink_carries_name_before_target() {
    let expected = Operation::Symlink { name: name("link"), target: Bytes::from_static(b"to") };
    assert_eq!(operation(Opcode::Symlink, &[b"link\0to\0"]), Ok(expected));
    assert_eq!(operation(Opcode::Symlink, &[b"link\0", &[b't'; SYMLINK_MAX + 1], b"\0"]), Err(Errno::ENAMETOOLONG));
    assert_eq!(operation(Opcode::Symlink, &[b"link\0\0"]), Err(Errno::ENOENT));
}

#[test]
fn rename_flags_become_modes_and_unknown_ones_are_refused() {
    let rename = |flags| {
        let body = abi::Rename2In { newdir: 1, flags, padding: 0 };
        operation(Opcode::Rename2, &[bytes_of(&body), b"a\0b\0"])
    };
    let expected = |mode| Rename { name: name("a"), new_parent: ROOT, new_name: name("b"), mode };
    assert_eq!(rename(0), Ok(Operation::Rename(expected(RenameMode::Replace))));
    assert_eq!(rename(1), Ok(Operation::Rename(expected(RenameMode::NoReplace))));
    assert_eq!(rename(2), Ok(Operation::Rename(expected(RenameMode::Exchange))));
    assert_eq!(rename(4), Err(Errno::EINVAL));
    let plain = operation(Opcode::Rename, &[bytes_of(&abi::RenameIn { newdir: 1 }), b"a\0b\0"]);
    assert_eq!(plain, Ok(Operation::Rename(expected(RenameMode::Replace))));
}

#[test]
fn open_flags_say_what_is_meant() {
    let open = |flags, fuse_flags| match operation(Opcode::Open, &[bytes_of(&abi::OpenIn { flags, fuse_flags })]) {
        Ok(Operation::Open(open)) => open,
        other => panic!("{other:?}"),
    };
    assert_eq!(open(0, 0), Open { read: true, ..Default::default() });
    assert_eq!(open(1, 0), Open { write: true, ..Default::default() });
    assert_eq!(open(2, 0), Open { read: true, write: true, ..Default::default() });
    assert_eq!(open(0x20, 0), Open { read: true, execute: true, ..Default::default() });
    let truncate = Open { write: true, truncate: true, kill_privileges: true, ..Default::default() };
    assert_eq!(open(0o1001, 1), truncate);
}

#[test]
fn set_attr_takes_only_what_is_marked() {
    let set = |valid, edit: fn(&mut abi::SetattrIn)| {
        let mut body = abi::SetattrIn { valid, fh: 3, mode: 0o104755, uid: 7, gid: 8, size: 9, ..Default::default() };
        edit(&mut body);
        operation(Opcode::Setattr, &[bytes_of(&body)])
    };
    let changed = |changes, handle| Ok(Operation::SetAttr(SetAttr { changes, handle }));
    assert_eq!(set(0, |_| {}), changed(AttrChanges::default(), None));
    assert_eq!(set(0x1, |_| {}), changed(AttrChanges { perm: Some(0o4755), ..Default::default() }, None));
    let size = AttrChanges { size: Some(9), kill_privileges: true, ..Default::default() };
    assert_eq!(set(0x8 | 0x40 | 0x800, |_| {}), changed(size, Some(HandleId(3))));
    let times = AttrChanges {
        atime: Some(SetTime::Now),
        mtime: Some(SetTime::At(Timespec { secs: -1, nanos: 5 })),
        ..Default::default()
    };
    let outcome = set(0x10 | 0x80 | 0x20, |body| (body.mtime, body.mtimensec) = (u64::MAX, 5));
    assert_eq!(outcome, changed(times, None));
    assert_eq!(set(0x20, |body| body.mtimensec = 1_000_000_000), Err(Errno::EINVAL));
    assert_eq!(set(0x8, |body| body.size = u64::MAX), Err(Errno::EFBIG));
}

#[test]
fn written_bytes_are_those_behind_the_header() {
    let write = |size, offset, data: &[u8]| {
        let body = abi::WriteIn { fh: 3, offset, size, fuse_flags: 4, ..Default::default() };
        operation(Opcode::Write, &[bytes_of(&body), data])
    };
    let data = Bytes::from_static(b"abc");
    let expected = Write { handle: HandleId(3), offset: 10, data, kill_privileges: true, append: false };
    assert_eq!(write(3, 10, b"abc"), Ok(Operation::Write(expected)));
    assert_eq!(write(4, 10, b"abc"), Err(Errno::EINVAL));
    assert_eq!(write(2, 10, b"abc"), Err(Errno::EINVAL));
    assert_eq!(write(3, FILE_SIZE_MAX, b"abc"), Err(Errno::EFBIG));
}

#[test]
fn appended_bytes_are_told_apart_from_pages_that_are_written_back_and_pieces_of_direct_writes() {
    let direct = O_APPEND | O_DIRECT;
    let cases = [(0, 0, false), (O_APPEND, 0, true), (O_APPEND, abi::WRITE_CACHE, false), (direct, 0, false)];
    for (flags, fuse_flags, append) in cases {
        let body = abi::WriteIn { size: 1, flags, fuse_flags, ..Default::default() };
        let Ok(Operation::Write(write)) = operation(Opcode::Write, &[bytes_of(&body), b"x"]) else { panic!() };
        assert_eq!(write.append, append);
    }
}

#[test]
fn fallocate_modes_are_told_apart() {
    let fallocate = |mode, offset, length| {
        let body = abi::FallocateIn { fh: 3, offset, length, mode, padding: 0 };
        match operation(Opcode::Fallocate, &[bytes_of(&body)]) {
            Ok(Operation::Fallocate(range)) => Ok(range.mode),
            Ok(other) => panic!("{other:?}"),
            Err(errno) => Err(errno),
        }
    };
    assert_eq!(fallocate(0, 0, 1), Ok(FallocateMode::Reserve { keep_size: false }));
    assert_eq!(fallocate(1, 0, 1), Ok(FallocateMode::Reserve { keep_size: true }));
    assert_eq!(fallocate(3, 0, 1), Ok(FallocateMode::Punch));
    assert_eq!(fallocate(2, 0, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(fallocate(0x10, 0, 1), Ok(FallocateMode::Zero { keep_size: false }));
    assert_eq!(fallocate(0x11, 0, 1), Ok(FallocateMode::Zero { keep_size: true }));
    assert_eq!(fallocate(0x8, 0, 1), Err(Errno::EOPNOTSUPP));
    assert_eq!(fallocate(0, 0, 0), Err(Errno::EINVAL));
    assert_eq!(fallocate(0, u64::MAX, 1), Err(Errno::EFBIG));
}

fn lock(opcode: Opcode, start: u64, end: u64, type_: u32, lk_flags: u32) -> Result<Operation, Errno> {
    let lk = abi::FileLock { start, end, type_, pid: 7 };
    operation(opcode, &[bytes_of(&abi::LkIn { fh: 3, owner: 11, lk, lk_flags, padding: 0 })])
}

#[test]
fn locks_say_of_whom_what_and_whether_to_wait() {
    let (handle, owner) = (HandleId(3), LockOwner(11));
    let span = LockSpan { start: 5, end: 9, exclusive: true, pid: 7 };
    let range = Lock { handle, kind: LockKind::Range, owner, span, wait: false };
    assert_eq!(lock(Opcode::Setlk, 5, 9, 1, 0), Ok(Operation::Lock(range)));
    assert_eq!(lock(Opcode::Setlkw, 5, 9, 1, 0), Ok(Operation::Lock(Lock { wait: true, ..range })));
    let shared = LockSpan { exclusive: false, ..span };
    assert_eq!(lock(Opcode::Setlk, 5, 9, 0, 0), Ok(Operation::Lock(Lock { span: shared, ..range })));
    assert_eq!(lock(Opcode::Setlk, 5, 9, 2, 0), Ok(Operation::Unlock(Lock { span: shared, ..range })));
    assert_eq!(lock(Opcode::Getlk, 5, 9, 1, 0), Ok(Operation::TestLock(range)));
    let whole = Lock { kind: LockKind::Whole, span: LockSpan::whole(true, 7), ..range };
    assert_eq!(lock(Opcode::Setlk, 0, LockSpan::END, 1, 1), Ok(Operation::Lock(whole)));
}

#[test]
fn locks_of_no_range_or_kind_are_refused() {
    assert_eq!(lock(Opcode::Setlk, 9, 5, 0, 0), Err(Errno::EINVAL));
    assert_eq!(lock(Opcode::Setlk, 0, LockSpan::END + 1, 0, 0), Err(Errno::EINVAL));
    assert_eq!(lock(Opcode::Setlk, 0, 9, 3, 0), Err(Errno::EINVAL));
    assert_eq!(lock(Opcode::Getlk, 0, 9, 2, 0), Err(Errno::EINVAL));
    assert_eq!(operation(Opcode::Setlkw, &[&[0; 47]]), Err(Errno::EINVAL));
}

#[test]
fn close_says_whose_locks_end() {
    let flush = abi::FlushIn { fh: 3, lock_owner: 11, ..Default::default() };
    let expected = Operation::Flush { handle: HandleId(3), owner: LockOwner(11) };
    assert_eq!(operation(Opcode::Flush, &[bytes_of(&flush)]), Ok(expected));
}

#[test]
fn opcodes_of_other_file_systems_are_unsupported() {
    for opcode in [Opcode::Ioctl, Opcode::Poll, Opcode::Lseek, Opcode::CopyFileRange, Opcode::Bmap] {
        assert_eq!(operation(opcode, &[&[0; 64]]), Ok(Operation::Unsupported), "{opcode:?}");
    }
}

#[test]
fn reads_past_the_kernels_pages_are_told_apart() {
    for (flags, direct) in [(0, false), (O_RDWR, false), (O_DIRECT, true), (O_DIRECT | O_RDWR, true)] {
        let body = abi::ReadIn { fh: 7, offset: 4096, size: 8192, flags, ..Default::default() };
        let read = Read { handle: HandleId(7), offset: 4096, size: 8192, direct };
        assert_eq!(operation(Opcode::Read, &[bytes_of(&body)]), Ok(Operation::Read(read)));
    }
}

#[test]
fn what_commits_data_is_never_given_up_half_way() {
    let handle = HandleId(1);
    let set = SetAttr { changes: AttrChanges::default(), handle: None };
    let range = Fallocate { handle, offset: 0, length: 1, mode: FallocateMode::Punch };
    let write = Write { handle, offset: 0, data: Bytes::new(), kill_privileges: false, append: false };
    let changing = [
        Operation::Write(write),
        Operation::Flush { handle, owner: LockOwner(1) },
        Operation::Fsync { handle },
        Operation::Release { handle },
        Operation::SyncFs,
        Operation::SetAttr(set),
        Operation::Fallocate(range),
        lock(Opcode::Setlk, 0, 9, 0, 0).unwrap(),
        lock(Opcode::Setlkw, 0, 9, 0, 0).unwrap(),
        lock(Opcode::Setlk, 0, 9, 2, 0).unwrap(),
    ];
    for operation in changing {
        assert!(!operation.is_droppable(), "{operation:?}");
    }
}

#[test]
fn message_that_lies_about_its_length_is_refused() {
    let mut lying = message(Opcode::Lookup, 9, &[b"file\0"]);
    lying.push(0);
    assert_eq!(parsed(&lying).operation, Err(Errno::EINVAL));
    assert!(parse(&lying[..39], ROOT, |_| Bytes::new()).is_none());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(opcode in 0u32..60, node: u64, mut body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = message(Opcode::Lookup, node, &[&body]);
        bytes[4..8].copy_from_slice(&opcode.to_ne_bytes());
        let _ = parse(&bytes, ROOT, |place| Bytes::copy_from_slice(&bytes[place]));
        body.truncate(39);
        prop_assert!(parse(&body, ROOT, |_| Bytes::new()).is_none());
    }

    #[test]
    fn cut_message_is_never_taken_for_another(cut in 1usize..40) {
        let body = abi::SetattrIn::default();
        let mut whole = message(Opcode::Setattr, 9, &[bytes_of(&body)]);
        whole.truncate(whole.len() - cut);
        let len = whole.len() as u32;
        whole[..4].copy_from_slice(&len.to_ne_bytes());
        prop_assert_eq!(parsed(&whole).operation, Err(Errno::EINVAL));
    }
}
