use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use auth::MountFlags;
use block::MemoryStore;
use bytes::Bytes;
use futures_util::FutureExt;
use proto::dirent::DirRecord;
use proto::{
    Access, AttrChanges, BlockIndex, BlockStoreSettings, Compression, FileKind, Layout, Name, NewNode, RenameMode,
    VolumeId, VolumeSettings, XattrMode,
};

use super::*;
use crate::adapter::{Create, Open, Presentation, Read, ReadDir, Rename, SetAttr, SetXattr, Write};
use crate::data::{DataPlane, DataSettings};
use crate::state::{HandleId, LiveFlags, Permissions};

/// A server that answers as it is told, and remembers what it was asked.
#[derive(Default)]
struct Scripted {
    replies: RefCell<VecDeque<Result<Reply, Errno>>>,
    asked: RefCell<Vec<Request>>,
}

impl MetaClient for Scripted {
    async fn call(&self, _caller: &Caller, request: Request) -> Result<Reply, Errno> {
        self.asked.borrow_mut().push(request);
        self.replies.borrow_mut().pop_front().expect("the script says what is answered")
    }
}

pub(super) const DIR: InodeId = InodeId(9);
const NOW: Timespec = Timespec { secs: 100_000, nanos: 0 };
pub(super) const READ_ONLY: Open =
    Open { read: true, write: false, execute: false, truncate: false, kill_privileges: false };
pub(super) const WRITE: Open = Open { write: true, ..READ_ONLY };

fn world(flags: &str) -> Cx<Scripted> {
    world_with(flags, Scripted::default())
}

/// A mount that asks `client`.
pub(super) fn world_with<C>(flags: &str, client: C) -> Cx<C> {
    world_with_umask(flags, None, client)
}

fn world_with_umask<C>(flags: &str, umask: Option<u16>, client: C) -> Cx<C> {
    let flags = MountFlags::parse(flags).unwrap();
    let volume = VolumeSettings {
        compression: Compression::None,
        ..VolumeSettings::new(VolumeId(uuid::Uuid::nil()), "v", 256 << 10, BlockStoreSettings::local("", ""))
    };
    let data = DataPlane::new(Arc::new(MemoryStore::new()), &volume, DataSettings { memory_max: 16 << 20 }).unwrap();
    let second = Duration::from_secs(1);
    let flags = Arc::new(LiveFlags::new(flags));
    let presentation = Presentation {
        root: DIR,
        attr_valid: second,
        entry_valid: second,
        permissions: Permissions::KernelFirst,
        flags: Arc::clone(&flags),
    };
    let state = State::new(presentation, umask, flags, Arc::default(), Arc::default(), Arc::default(), data);
    let room = Rc::new(WaitingRoom::new(2, Rc::default()));
    let state = Arc::new(state);
    Cx { state, client, caller: Caller::ROOT, ino: DIR, now: NOW, given_up: GivenUp::default(), room }
}

impl Cx<Scripted> {
    /// Carries out an operation that waits for nothing but the script.
    fn run(&self, operation: Operation) -> Result<Answer, Errno> {
        perform(self, operation).now_or_never().expect("the script answers at once")
    }

    fn answer(&self, reply: Result<Reply, Errno>) {
        self.client.replies.borrow_mut().push_back(reply);
    }

    fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.client.asked.borrow_mut())
    }

    /// Opens the file whose attributes are `attr`.
    fn open(&self, attr: Attr, open: Open) -> HandleId {
        self.answer(Ok(Reply::Opened(attr, empty_layout(attr.version))));
        match self.run(Operation::Open(open)) {
            Ok(Answer::Opened { handle, .. }) => handle,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn attr(version: u64, perm: u16) -> Attr {
    let time = Timespec { secs: 1000, nanos: 0 };
    Attr { version, ..Attr::new(DIR, FileKind::Regular, perm, time) }
}

pub(super) fn empty_layout(version: u64) -> Layout {
    Layout { version, inline: None, first: BlockIndex(0), behind: BlockIndex(1), blocks: Vec::new() }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

#[test]
fn umask_of_the_mount_is_taken_from_every_new_mode() {
    let cx = world_with_umask("", Some(0o027), Scripted::default());
    cx.answer(Ok(Reply::Opened(attr(1, 0o640), empty_layout(1))));
    cx.run(Operation::Create(Create { name: name("f"), perm: 0o666, exclusive: false, open: WRITE })).unwrap();
    cx.answer(Ok(Reply::Entry(attr(1, 0o750))));
    cx.run(Operation::MakeDir { name: name("d"), perm: 0o777 }).unwrap();
    cx.answer(Ok(Reply::Entry(attr(1, 0o640))));
    cx.run(Operation::MakeNode { name: name("p"), mode: 0o010_666, rdev: 0 }).unwrap();
    let modes: Vec<u32> = cx
        .asked()
        .into_iter()
        .map(|request| match request {
            Request::Create { perm, .. } | Request::Make { node: NewNode::Directory { perm }, .. } => perm.into(),
            Request::Make { node: NewNode::Node { mode, .. }, .. } => mode,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(modes, [0o640, 0o750, 0o010_640]);
}

#[test]
fn read_only_mount_refuses_changes_without_asking() {
    let cx = world("ro");
    let set = SetAttr { changes: AttrChanges::default(), handle: None };
    let rename = Rename { name: name("a"), new_parent: DIR, new_name: name("b"), mode: RenameMode::Replace };
    let create = Create { name: name("a"), perm: 0, exclusive: false, open: READ_ONLY };
    let changes = [
        Operation::SetAttr(set),
        Operation::Symlink { name: name("a"), target: Bytes::from_static(b"t") },
        Operation::MakeNode { name: name("a"), mode: 0o100644, rdev: 0 },
        Operation::MakeDir { name: name("a"), perm: 0o755 },
        Operation::Unlink { name: name("a") },
        Operation::RemoveDir { name: name("a") },
        Operation::Rename(rename),
        Operation::Link { ino: DIR, name: name("a") },
        Operation::Open(WRITE),
        Operation::Open(Open { truncate: true, ..READ_ONLY }),
        Operation::Create(create),
        Operation::SetXattr(SetXattr { name: Bytes::new(), value: Bytes::new(), mode: XattrMode::Any }),
        Operation::RemoveXattr { name: Bytes::new() },
    ];
    for operation in changes {
        assert_eq!(cx.run(operation.clone()), Err(Errno::EROFS), "{operation:?}");
    }
    assert!(cx.asked().is_empty());
}

#[test]
fn no_exec_mount_refuses_to_execute_and_still_reads() {
    let cx = world("noExec");
    assert_eq!(cx.run(Operation::Open(Open { execute: true, ..READ_ONLY })), Err(Errno::EACCES));
    assert!(cx.asked().is_empty());
    cx.open(attr(1, 0o755), READ_ONLY);
}

#[test]
fn open_notices_that_the_kernel_believes_an_older_version() {
    let cx = world("");
    let open = |version| {
        cx.answer(Ok(Reply::Opened(attr(version, 0o644), empty_layout(version))));
        match cx.run(Operation::Open(READ_ONLY)) {
            Ok(Answer::Opened { attr_changed, .. }) => attr_changed,
            other => panic!("{other:?}"),
        }
    };
    cx.answer(Ok(Reply::Entry(attr(1, 0o644))));
    cx.run(Operation::GetAttr).unwrap();
    assert!(!open(1));
    assert!(open(2), "another mount has written in between");
    assert!(!open(2), "which the kernel is told once");
}

#[test]
fn only_handles_that_may_have_changed_the_file_are_flushed() {
    let cx = world("");
    let empties = Open { truncate: true, ..READ_ONLY };
    for (how, expected) in [(READ_ONLY, true), (WRITE, false), (empties, false)] {
        cx.answer(Ok(Reply::Opened(attr(1, 0o644), empty_layout(1))));
        let Ok(Answer::Opened { hints, .. }) = cx.run(Operation::Open(how)) else { panic!("{how:?}") };
        assert_eq!(hints.no_flush, expected, "{how:?}");
        cx.answer(Ok(Reply::Opened(attr(1, 0o644), empty_layout(1))));
        let create = Create { name: name("f"), perm: 0o644, exclusive: false, open: how };
        let Ok(Answer::Created { hints, .. }) = cx.run(Operation::Create(create)) else { panic!("{how:?}") };
        assert_eq!(hints.no_flush, expected, "{how:?}");
    }
}

#[test]
fn write_by_a_stranger_drops_set_id_bits_first() {
    let cx = world("");
    let handle = cx.open(attr(1, 0o4755), WRITE);
    cx.asked();
    let write = Write { handle, offset: 0, data: Bytes::from_static(b"x"), kill_privileges: true, append: false };
    cx.answer(Ok(Reply::Entry(attr(1, 0o755))));
    assert_eq!(cx.run(Operation::Write(write.clone())), Ok(Answer::Written(1)));
    let changes = AttrChanges { kill_privileges: true, ..Default::default() };
    assert_eq!(cx.asked(), [Request::SetAttr { ino: DIR, changes, by_handle: true }]);
    assert_eq!(cx.run(Operation::Write(write)), Ok(Answer::Written(1)), "they are gone now");
    assert!(cx.asked().is_empty());
}

#[test]
fn bytes_are_appended_where_the_file_ends_whatever_the_kernel_thinks() {
    let cx = world("");
    let handle = cx.open(Attr { size: 10, ..attr(1, 0o644) }, WRITE);
    for (offset, end) in [(0, 13), (99, 16)] {
        let data = Bytes::from_static(b"new");
        let write = Write { handle, offset, data, kill_privileges: false, append: true };
        assert_eq!(cx.run(Operation::Write(write)), Ok(Answer::Written(3)));
        assert_eq!(cx.state.handles.find(handle).unwrap().file.size(), end);
    }
}

#[tokio::test(start_paused = true)]
async fn running_program_is_not_emptied_by_a_read_only_open() {
    let cx = world("");
    let running = cx.open(attr(1, 0o755), Open { execute: true, ..READ_ONLY });
    let empty = Operation::Open(Open { truncate: true, ..READ_ONLY });
    assert_eq!(cx.run(empty.clone()), Err(Errno::ETXTBSY));
    cx.answer(Ok(Reply::Done));
    perform(&cx, Operation::Release { handle: running }).await.unwrap();
    cx.answer(Ok(Reply::Opened(attr(2, 0o755), empty_layout(2))));
    assert!(cx.run(empty).is_ok());
}

#[test]
fn file_the_server_lost_is_stale() {
    let cx = world("");
    let handle = cx.open(attr(1, 0o644), WRITE);
    cx.state.files.mark_gone(&[DIR]);
    let read = Operation::Read(Read { handle, offset: 0, size: 1, direct: false });
    assert_eq!(cx.run(read), Err(Errno::ESTALE));
    assert_eq!(cx.run(Operation::Flush { handle, owner: proto::LockOwner(1) }), Err(Errno::ESTALE));
}

#[test]
fn handle_that_was_never_given_is_refused() {
    let cx = world("");
    let handle = HandleId(77);
    assert_eq!(cx.run(Operation::Read(Read { handle, offset: 0, size: 1, direct: false })), Err(Errno::EBADF));
    assert_eq!(cx.run(Operation::Release { handle }), Err(Errno::EBADF));
    assert_eq!(cx.run(Operation::ReleaseDir { handle }), Err(Errno::EBADF));
    let read = ReadDir { handle, offset: 0, size: 4096, plus: false };
    assert_eq!(cx.run(Operation::ReadDir(read)), Err(Errno::EBADF));
}

#[test]
fn value_is_measured_before_it_is_fetched() {
    let cx = world("");
    let get = |size_max| {
        cx.answer(Ok(Reply::Value(Bytes::from_static(b"value"))));
        cx.run(Operation::GetXattr { name: Bytes::from_static(b"user.x"), size_max })
    };
    assert_eq!(get(0), Ok(Answer::Size(5)));
    assert_eq!(get(4), Err(Errno::ERANGE));
    assert_eq!(get(5), Ok(Answer::Bytes(Bytes::from_static(b"value"))));
}

#[test]
fn answer_of_another_kind_is_an_error_not_a_panic() {
    let cx = world("");
    for operation in [Operation::GetAttr, Operation::StatFs, Operation::ReadLink, Operation::Open(READ_ONLY)] {
        cx.answer(Ok(Reply::Granted { first: proto::ObjectId(1), count: 1 }));
        assert_eq!(cx.run(operation), Err(Errno::EIO));
    }
}

/// What `readdir` handed over: names with the offsets behind them.
fn listed(answer: Result<Answer, Errno>) -> Vec<(String, u64)> {
    let Ok(Answer::Bytes(bytes)) = answer else { panic!("{answer:?}") };
    let mut names = Vec::new();
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let offset = u64::from_ne_bytes(rest[8..16].try_into().unwrap());
        let len = u32::from_ne_bytes(rest[16..20].try_into().unwrap()) as usize;
        names.push((String::from_utf8(rest[24..24 + len].to_vec()).unwrap(), offset));
        rest = &rest[(24 + len).next_multiple_of(8)..];
    }
    names
}

fn page(names: &[(&str, u64)], end: bool) -> Reply {
    let mut records = Vec::new();
    for (name, offset) in names {
        let kind = FileKind::Regular;
        DirRecord { ino: InodeId(50), offset: *offset, kind, name: name.as_bytes(), attr: None }.encode(&mut records);
    }
    Reply::Names { records: records.into(), end }
}

#[test]
fn listing_begins_with_the_dots_and_asks_once_for_each_page() {
    let cx = world("");
    cx.answer(Ok(Reply::Done));
    let Ok(Answer::OpenedDir { handle }) = cx.run(Operation::OpenDir) else { panic!("no handle") };
    cx.asked();
    cx.answer(Ok(page(&[("a", 100), ("b", 50)], false)));
    cx.answer(Ok(page(&[("c", 200)], true)));
    let mut offset = 0;
    let mut names = Vec::new();
    loop {
        // Room for two short names.
        let read = ReadDir { handle, offset, size: 64, plus: false };
        let batch = listed(cx.run(Operation::ReadDir(read)));
        let Some((_, last)) = batch.last() else { break };
        offset = *last;
        names.extend(batch.into_iter().map(|(name, _)| name));
    }
    assert_eq!(names, [".", "..", "a", "b", "c"]);
    let offsets: Vec<u64> = cx
        .asked()
        .into_iter()
        .map(|request| match request {
            Request::ReadDir { offset, .. } => offset,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(offsets, [0, 50]);
}

#[test]
fn rewound_listing_is_asked_for_anew() {
    let cx = world("");
    cx.answer(Ok(Reply::Done));
    let Ok(Answer::OpenedDir { handle }) = cx.run(Operation::OpenDir) else { panic!("no handle") };
    let read = Operation::ReadDir(ReadDir { handle, offset: 0, size: 4096, plus: false });
    cx.answer(Ok(page(&[("a", 100)], true)));
    assert_eq!(listed(cx.run(read.clone())).len(), 3);
    cx.answer(Ok(page(&[("a", 100), ("new", 70)], true)));
    assert_eq!(listed(cx.run(read)).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn undelivered_open_is_given_back() {
    let cx = world("");
    cx.answer(Ok(Reply::Opened(attr(1, 0o644), empty_layout(1))));
    let answer = perform(&cx, Operation::Open(READ_ONLY)).await.unwrap();
    cx.asked();
    cx.answer(Ok(Reply::Done));
    undo(&cx, answer).await;
    let close = proto::Close { ino: DIR, count: 1, atime: None };
    assert_eq!(cx.asked(), [Request::Release { closes: vec![close] }]);
    assert!(cx.state.files.inodes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn access_time_travels_with_the_close_unless_the_mount_keeps_none() {
    for (flags, expected) in [("", Some(NOW)), ("noATime", None)] {
        let cx = world(flags);
        let handle = cx.open(attr(1, 0o644), READ_ONLY);
        assert_eq!(
            perform(&cx, Operation::Read(Read { handle, offset: 0, size: 10, direct: true })).await,
            Ok(Answer::Data(vec![]))
        );
        cx.asked();
        cx.answer(Ok(Reply::Done));
        perform(&cx, Operation::Release { handle }).await.unwrap();
        let close = proto::Close { ino: DIR, count: 1, atime: expected };
        assert_eq!(cx.asked(), [Request::Release { closes: vec![close] }], "{flags}");
    }
}

#[test]
fn directory_that_a_reply_described_is_not_asked_for() {
    let cx = world("");
    let dir = Attr { kind: FileKind::Directory, nlink: 3, ..attr(4, 0o755) };
    cx.state.known_dirs.learn(&[dir], proto::Sequence(5), NOW);
    assert_eq!(cx.run(Operation::GetAttr), Ok(Answer::Attr { attr: dir, age: Duration::ZERO }));
    assert_eq!(cx.asked(), []);
    let later = Cx { now: Timespec { secs: NOW.secs + 1, nanos: 0 }, ..cx };
    later.answer(Ok(Reply::Entry(Attr { nlink: 4, ..dir })));
    assert!(matches!(later.run(Operation::GetAttr), Ok(Answer::Attr { attr: Attr { nlink: 4, .. }, .. })));
    assert_eq!(later.asked(), [Request::GetAttr { ino: DIR }]);
}

#[test]
fn slow_operations_are_told_to_who_runs_the_mount_alone() {
    let mut cx = world("");
    let ask = |cx: &Cx<Scripted>, size_max| {
        cx.run(Operation::GetXattr { name: Bytes::from_static(b"system.flexfs.slow"), size_max })
    };
    assert_eq!(ask(&cx, 64), Ok(Answer::Bytes(Bytes::from_static(b"[]"))));
    assert_eq!(ask(&cx, 0), Ok(Answer::Size(2)));
    assert_eq!(ask(&cx, 1), Err(Errno::ERANGE));
    cx.caller.uid = 12_345;
    assert_eq!(ask(&cx, 64), Err(Errno::ENODATA));
    cx.caller.uid = rustix::process::geteuid().as_raw();
    assert!(ask(&cx, 64).is_ok());
    let set = SetXattr {
        name: Bytes::from_static(b"system.flexfs.slow"),
        value: Bytes::from_static(b"x"),
        mode: XattrMode::Any,
    };
    assert_eq!(cx.run(Operation::SetXattr(set)), Err(Errno::EPERM));
    assert!(cx.asked().is_empty());
}

#[test]
fn access_asks_the_server_for_what_cannot_be_told_here() {
    let all = Access { read: true, write: true, execute: true };
    let cx = world("");
    cx.answer(Err(Errno::EACCES));
    assert_eq!(cx.run(Operation::Access(all)), Err(Errno::EACCES));
    assert_eq!(cx.asked(), [Request::Check { ino: DIR, access: all }]);
    assert_eq!(cx.run(Operation::Access(Access::default())), Ok(Answer::Done));
    assert_eq!(world("ro").run(Operation::Access(all)), Err(Errno::EROFS));
}

#[test]
fn who_is_nobody_special_keeps_no_set_id_bits() {
    let open = Open { truncate: true, ..WRITE };
    let Operation::Open(dropping) = Operation::Open(open).by_nobody_special() else { panic!("an open") };
    assert_eq!(dropping, Open { kill_privileges: true, ..open });
    let change = |size, perm| {
        let changes = AttrChanges { size, perm, ..AttrChanges::default() };
        let Operation::SetAttr(set) = Operation::SetAttr(SetAttr { changes, handle: None }).by_nobody_special() else {
            panic!("a change of attributes")
        };
        set.changes.kill_privileges
    };
    assert!(change(Some(0), None));
    assert!(!change(None, Some(0o4755)), "an owner sets the bits");
    assert_eq!(Operation::GetAttr.by_nobody_special(), Operation::GetAttr);
}
