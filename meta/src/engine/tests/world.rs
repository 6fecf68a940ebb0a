//! The world of the scenarios.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use proto::dirent::DirRecords;
use proto::limits::DIRS_CHANGED_MAX;
use proto::{
    Access, Attr, AttrChanges, BlockChange, BlockIndex, Caller, Close, Commit, Errno, InodeId, Layout, Name, NewNode,
    ObjectId, OperationId, Piece, Refused, RenameMode, Reply, ReplyFrame, Request, RequestFrame, Sequence, SessionId,
    SessionKey, StoredFrame, Timespec,
};
use uuid::Uuid;

use crate::engine::view::View;
use crate::engine::{SessionContext, SessionRecord, Volume, VolumeLimits, check};
use crate::store::{MemoryKv, MetaKv};

/// Blocks are tiny, so that few bytes make many of them.
pub(super) const BLOCK_SIZE: u32 = 16;

pub(super) const LIMITS: VolumeLimits =
    VolumeLimits { block_size: BLOCK_SIZE, blocks_max: 0, inodes_max: 0, retention_secs: 0 };

pub(super) const READ: Access = Access { read: true, write: false, execute: false };
pub(super) const WRITE: Access = Access { read: false, write: true, execute: false };
pub(super) const BOTH: Access = Access { read: true, write: true, execute: false };
pub(super) const EXECUTE: Access = Access { read: false, write: false, execute: true };

pub(super) const ROOT: InodeId = InodeId::ROOT;

/// A volume, and what its scenarios count.
pub(super) struct World<K: MetaKv = MemoryKv> {
    pub(super) volume: Volume<K>,
    seconds: AtomicU64,
    /// Ids below 100 are for scenarios that choose their own.
    operations: AtomicU64,
    /// The directories as replies told of them, each with the reply's sequence.
    dirs: Mutex<BTreeMap<InodeId, (Sequence, Attr)>>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with_limits(LIMITS)
    }

    pub(super) fn with_limits(limits: VolumeLimits) -> Self {
        Self::on(MemoryKv::default(), limits)
    }
}

impl<K: MetaKv> World<K> {
    pub(super) fn on(kv: K, limits: VolumeLimits) -> Self {
        Self::of(Volume::open(kv, limits, at(1)).unwrap())
    }

    pub(super) fn of(volume: Volume<K>) -> Self {
        Self { volume, seconds: AtomicU64::new(1), operations: AtomicU64::new(100), dirs: Mutex::default() }
    }

    /// The same world with another process serving its volume.
    pub(super) fn restarted(self, kv: K) -> Self {
        self.reopened(|| kv)
    }

    /// As `restarted`, where the store can be opened only when the other process has ended.
    pub(super) fn reopened(self, open: impl FnOnce() -> K) -> Self {
        let limits = self.volume.limits();
        drop(self.volume);
        Self { volume: Volume::open(open(), limits, at(1)).unwrap(), ..self }
    }

    /// A later second than ever before.
    pub(super) fn tick(&self) -> Timespec {
        at(self.seconds.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(super) fn now(&self) -> Timespec {
        at(self.seconds.load(Ordering::Relaxed))
    }

    /// Opens a session.
    pub(super) fn mount(&self, number: u128, root: InodeId, read_only: bool) -> SessionContext {
        let context = SessionContext { read_only, ..SessionContext::new(SessionId(Uuid::from_u128(number)), root) };
        let record = SessionRecord::new(&context, &SessionKey([7; 16]), Uuid::from_u128(99), self.now());
        self.volume.open_session(record).unwrap();
        context
    }

    /// The superuser on a new mount of the whole volume.
    pub(super) fn superuser(&self) -> User<'_, K> {
        self.user(self.mount(1, ROOT, false), Caller::ROOT)
    }

    pub(super) fn user(&self, session: impl Borrow<SessionContext>, caller: Caller) -> User<'_, K> {
        User { world: self, session: session.borrow().clone(), caller }
    }

    pub(super) fn next_operation(&self) -> OperationId {
        OperationId(self.operations.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn follow_dirs(&self, reply: &ReplyFrame) {
        assert!(reply.dirs.len() <= DIRS_CHANGED_MAX && (reply.result.is_ok() || reply.dirs.is_empty()), "{reply:?}");
        let mut told = self.dirs.lock().unwrap();
        for attr in &reply.dirs {
            let newest = told.entry(attr.ino).or_insert((reply.sequence, *attr));
            if newest.0 < reply.sequence {
                *newest = (reply.sequence, *attr);
            }
        }
    }

    /// Whoever takes in the directories of every reply knows them as they are. For moments when nobody writes.
    pub(super) fn check_dirs(&self) {
        for (ino, (_, attr)) in &*self.dirs.lock().unwrap() {
            let found = self.volume.find_inode(*ino).unwrap().map(|inode| inode.attr);
            assert_eq!(found, Some(*attr).filter(|attr| attr.nlink > 0), "directory {ino}");
        }
    }

    /// Every invariant holds.
    pub(super) fn check(&self) {
        self.check_dirs();
        assert_eq!(check(&self.volume), [""; 0]);
    }
}

pub(super) fn at(secs: u64) -> Timespec {
    Timespec { secs: secs as i64, nanos: 0 }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

/// A piece that writes `start..end` of a block as one object.
pub(super) fn piece(start: u32, end: u32, object: u64) -> Piece {
    let frames = vec![StoredFrame::new(end - start + 8, false)];
    Piece { start, end, origin: start, len: end - start, object: ObjectId(object), object_offset: 0, frames }
}

/// Somebody at a mount.
#[derive(Clone)]
pub(super) struct User<'w, K: MetaKv = MemoryKv> {
    pub(super) world: &'w World<K>,
    pub(super) session: SessionContext,
    pub(super) caller: Caller,
}

impl<K: MetaKv> User<'_, K> {
    /// Somebody else at the same mount.
    pub(super) fn other(&self, uid: u32, gid: u32) -> Self {
        self.with_groups(uid, gid, Some(&[]))
    }

    pub(super) fn with_groups(&self, uid: u32, gid: u32, groups: Option<&[u32]>) -> Self {
        Self {
            world: self.world,
            session: self.session.clone(),
            caller: Caller { uid, gid, groups: groups.map(<[u32]>::to_vec) },
        }
    }

    pub(super) fn ask(&self, request: Request) -> Result<Reply, Refused> {
        let operation = request.is_mutation().then(|| self.world.next_operation());
        self.ask_as(operation, request)
    }

    pub(super) fn ask_as(&self, operation: Option<OperationId>, request: Request) -> Result<Reply, Refused> {
        let frame = RequestFrame { operation, caller: self.caller.clone(), request };
        let reply = self.world.volume.execute(&self.session, &frame, self.world.tick()).reply;
        self.world.follow_dirs(&reply);
        reply.result
    }

    fn try_ask(&self, request: Request) -> Result<Reply, Errno> {
        self.ask(request).map_err(|refused| match refused {
            Refused::Error(errno) => errno,
            other => panic!("{other:?}"),
        })
    }

    fn entry(&self, request: Request) -> Result<Attr, Errno> {
        match self.try_ask(request)? {
            Reply::Entry(attr) => Ok(attr),
            other => panic!("{other:?}"),
        }
    }

    fn done(&self, request: Request) -> Result<(), Errno> {
        match self.try_ask(request)? {
            Reply::Done => Ok(()),
            other => panic!("{other:?}"),
        }
    }

    fn opened(&self, request: Request) -> Result<(Attr, Layout), Errno> {
        match self.try_ask(request)? {
            Reply::Opened(attr, layout) => Ok((attr, layout)),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn lookup(&self, parent: InodeId, text: &str) -> Result<Attr, Errno> {
        self.entry(Request::Lookup { parent, name: name(text) })
    }

    pub(super) fn stat(&self, ino: InodeId) -> Result<Attr, Errno> {
        self.entry(Request::GetAttr { ino })
    }

    pub(super) fn mkdir(&self, parent: InodeId, text: &str, perm: u16) -> Result<InodeId, Errno> {
        self.make(parent, text, NewNode::Directory { perm }).map(|attr| attr.ino)
    }

    pub(super) fn make(&self, parent: InodeId, text: &str, node: NewNode) -> Result<Attr, Errno> {
        self.entry(Request::Make { parent, name: name(text), node })
    }

    /// An empty regular file that nobody opened.
    pub(super) fn file(&self, parent: InodeId, text: &str, perm: u16) -> Result<InodeId, Errno> {
        let node = NewNode::Node { mode: 0o100_000 | u32::from(perm), rdev: 0 };
        self.make(parent, text, node).map(|attr| attr.ino)
    }

    pub(super) fn create(&self, parent: InodeId, text: &str, perm: u16) -> Result<InodeId, Errno> {
        let request =
            Request::Create { parent, name: name(text), perm, access: BOTH, exclusive: true, truncate: false };
        self.opened(request).map(|(attr, _)| attr.ino)
    }

    pub(super) fn link(&self, ino: InodeId, parent: InodeId, text: &str) -> Result<Attr, Errno> {
        self.entry(Request::Link { ino, parent, name: name(text) })
    }

    pub(super) fn unlink(&self, parent: InodeId, text: &str) -> Result<(), Errno> {
        self.done(Request::Unlink { parent, name: name(text) })
    }

    pub(super) fn rmdir(&self, parent: InodeId, text: &str) -> Result<(), Errno> {
        self.done(Request::RemoveDir { parent, name: name(text) })
    }

    pub(super) fn rename(&self, from: (InodeId, &str), to: (InodeId, &str)) -> Result<(), Errno> {
        self.rename_with(from, to, RenameMode::Replace)
    }

    pub(super) fn rename_with(
        &self,
        from: (InodeId, &str),
        to: (InodeId, &str),
        mode: RenameMode,
    ) -> Result<(), Errno> {
        let (parent, new_parent) = (from.0, to.0);
        self.done(Request::Rename { parent, name: name(from.1), new_parent, new_name: name(to.1), mode })
    }

    pub(super) fn set(&self, ino: InodeId, changes: AttrChanges) -> Result<Attr, Errno> {
        self.entry(Request::SetAttr { ino, changes, by_handle: false })
    }

    pub(super) fn chmod(&self, ino: InodeId, perm: u16) -> Result<Attr, Errno> {
        self.set(ino, AttrChanges { perm: Some(perm), ..AttrChanges::default() })
    }

    pub(super) fn chown(&self, ino: InodeId, uid: Option<u32>, gid: Option<u32>) -> Result<Attr, Errno> {
        self.set(ino, AttrChanges { uid, gid, ..AttrChanges::default() })
    }

    pub(super) fn truncate(&self, ino: InodeId, size: u64) -> Result<Attr, Errno> {
        self.set(ino, AttrChanges { size: Some(size), ..AttrChanges::default() })
    }

    pub(super) fn open(&self, ino: InodeId, access: Access) -> Result<(Attr, Layout), Errno> {
        self.opened(Request::Open { ino, access, truncate: false })
    }

    pub(super) fn open_truncated(&self, ino: InodeId) -> Result<(Attr, Layout), Errno> {
        self.opened(Request::Open { ino, access: WRITE, truncate: true })
    }

    pub(super) fn close(&self, ino: InodeId) {
        self.done(Request::Release { closes: vec![Close { ino, count: 1, atime: None }] }).unwrap();
    }

    pub(super) fn grant(&self, count: u32) -> u64 {
        match self.ask(Request::GrantObjects { count, given_back: Vec::new() }).unwrap() {
            Reply::Granted { first, count: granted } if granted == count => first.0,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn commit(&self, ino: InodeId, changes: Vec<BlockChange>) -> Result<Attr, Errno> {
        self.entry(Request::Commit(commit(ino, changes)))
    }

    /// Writes `start..end` of a block as a new object, and tells its id.
    pub(super) fn write(&self, ino: InodeId, index: u64, start: u32, end: u32) -> u64 {
        let object = self.grant(1);
        self.commit(ino, vec![BlockChange::Write(BlockIndex(index), piece(start, end, object))]).unwrap();
        object
    }

    pub(super) fn commit_inline(&self, ino: InodeId, bytes: &'static [u8], base_version: u64) -> Result<Attr, Errno> {
        let inline = Some(Bytes::from_static(bytes));
        self.entry(Request::Commit(Commit { inline, base_version, ..commit(ino, Vec::new()) }))
    }

    /// The whole block map: block, start, end, object.
    pub(super) fn map(&self, ino: InodeId) -> Vec<(u64, u32, u32, u64)> {
        let layout = self.layout(ino, 0, 1024).unwrap();
        let flat = |(index, pieces): (BlockIndex, Vec<Piece>)| {
            pieces.into_iter().map(move |piece| (index.0, piece.start, piece.end, piece.object.0))
        };
        layout.blocks.into_iter().flat_map(flat).collect()
    }

    pub(super) fn layout(&self, ino: InodeId, first: u64, count: u32) -> Result<Layout, Errno> {
        match self.try_ask(Request::GetLayout { ino, first: BlockIndex(first), count })? {
            Reply::Layout(attr, layout) => {
                assert_eq!(attr.version, layout.version);
                Ok(layout)
            }
            other => panic!("{other:?}"),
        }
    }

    /// Names of a directory, sorted.
    pub(super) fn names(&self, ino: InodeId) -> Vec<String> {
        let mut names = Vec::new();
        let mut offset = 0;
        loop {
            let request = Request::ReadDir { ino, offset, bytes_max: 256, attrs: false };
            let Ok(Reply::Names { records, end }) = self.ask(request) else { panic!("cannot list {ino}") };
            for record in DirRecords::new(&records) {
                names.push(String::from_utf8_lossy(record.name).into_owned());
                offset = record.offset;
            }
            if end {
                names.sort();
                return names;
            }
        }
    }

    /// Objects that may be deleted now.
    pub(super) fn dead(&self) -> Vec<u64> {
        let mut dead: Vec<u64> =
            self.world.volume.dead_objects(self.world.now(), 10_000).unwrap().iter().map(|object| object.0).collect();
        dead.sort_unstable();
        dead
    }
}

pub(super) fn commit(ino: InodeId, changes: Vec<BlockChange>) -> Commit {
    Commit { ino, changes, inline: None, base_version: 0, size_min: 0, mtime: at(5), durable: false }
}
