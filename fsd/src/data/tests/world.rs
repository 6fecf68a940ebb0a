//! A metadata server for one file and mounts of it: the server follows the protocol's text and nothing more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use block::MemoryStore;
use bytes::Bytes;
use proto::limits::{COMMIT_BLOCKS_MAX, INLINE_MAX, PIECES_MAX};
use proto::{
    Attr, BlockChange, BlockIndex, BlockStoreSettings, Caller, Commit, Compression, Errno, FileKind, InodeId, Layout,
    ObjectId, Piece, Reply, Request, Timespec, VolumeId, VolumeSettings, insert_piece, punch,
};

use crate::client::MetaClient;
use crate::data::{DataPlane, DataSettings, File};

pub(super) const BLOCK: u32 = 256 << 10;
pub(super) const INO: InodeId = InodeId(7);
pub(super) const NOW: Timespec = Timespec { secs: 1000, nanos: 5 };

/// The server. What it was asked is counted.
#[derive(Default)]
pub(super) struct Server {
    state: Mutex<ServerState>,
}

#[derive(Default)]
pub(super) struct ServerState {
    pub(super) attr: Option<Attr>,
    pub(super) inline: Option<Bytes>,
    pub(super) blocks: BTreeMap<u64, Vec<Piece>>,
    granted: BTreeSet<ObjectId>,
    next_object: u64,
    /// Answers of the next commits, where they are to fail.
    pub(super) commit_failures: VecDeque<Errno>,
    /// Every request and every answer takes this long.
    pub(super) delay: Option<Duration>,
    /// Commits of files that small go into blocks all the same.
    pub(super) refuse_inline: bool,
    pub(super) commits: usize,
    pub(super) inline_commits: usize,
    pub(super) durable_commits: usize,
    pub(super) layouts: usize,
    pub(super) grants: usize,
    /// Commits of ids that are not granted, or were committed before.
    pub(super) strange_ids: usize,
    pub(super) syncs: usize,
}

impl Server {
    pub(super) fn new() -> Arc<Self> {
        let server = Self::default();
        server.state().attr = Some(Attr {
            ino: INO,
            kind: FileKind::Regular,
            perm: 0o644,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            allocated: 0,
            atime: NOW,
            mtime: NOW,
            ctime: NOW,
            btime: NOW,
            version: 1,
        });
        server.state().next_object = 100;
        Arc::new(server)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap()
    }

    pub(super) fn attr(&self) -> Attr {
        self.state().attr.unwrap()
    }

    /// What an open would be told: the attributes and the first block of the map.
    pub(super) fn open(&self) -> (Attr, Layout) {
        let state = self.state();
        (state.attr.unwrap(), state.layout(0, 1))
    }
}

impl ServerState {
    fn answer(&mut self, request: Request) -> Result<Reply, Errno> {
        match request {
            Request::GetAttr { .. } => Ok(Reply::Entry(self.attr.unwrap())),
            Request::GetLayout { first, count, .. } => {
                self.layouts += 1;
                Ok(Reply::Layout(self.layout(first.0, u64::from(count))))
            }
            Request::GrantObjects { count } => {
                self.grants += 1;
                let first = self.next_object;
                self.next_object += u64::from(count);
                self.granted.extend((first..self.next_object).map(ObjectId));
                Ok(Reply::Granted { first: ObjectId(first), count })
            }
            Request::Sync => {
                self.syncs += 1;
                Ok(Reply::Done)
            }
            Request::SetAttr { changes, .. } => {
                let attr = self.attr.as_mut().unwrap();
                if let Some(size) = changes.size {
                    attr.size = size;
                    attr.version += 1;
                    self.clip(size);
                }
                if let Some(proto::SetTime::At(mtime)) = changes.mtime {
                    self.attr.as_mut().unwrap().mtime = mtime;
                }
                Ok(Reply::Entry(self.attr.unwrap()))
            }
            Request::Commit(commit) => self.commit(commit).map(Reply::Entry),
            other => panic!("the data path does not ask {other:?}"),
        }
    }

    fn commit(&mut self, commit: Commit) -> Result<Attr, Errno> {
        self.commits += 1;
        if let Some(errno) = self.commit_failures.pop_front() {
            return Err(errno);
        }
        let attr = self.attr.as_mut().unwrap();
        if let Some(content) = commit.inline {
            assert!(content.len() <= INLINE_MAX as usize && commit.changes.is_empty());
            if commit.base_version != attr.version || self.refuse_inline {
                return Err(Errno::EAGAIN);
            }
            self.inline_commits += 1;
            self.inline = Some(content);
            self.blocks.clear();
        } else {
            assert!(commit.changes.len() <= COMMIT_BLOCKS_MAX);
            let objects: Vec<ObjectId> = commit.changes.iter().filter_map(object_of).collect();
            if !objects.iter().all(|object| self.granted.contains(object)) {
                self.strange_ids += 1;
                return Err(Errno::EPERM);
            }
            // Pieces take the content out of the inode record, and must replace all of it.
            if let Some(inline) = &self.inline
                && !objects.is_empty()
            {
                if !covers(&commit.changes, inline.len() as u32) {
                    return Err(Errno::EAGAIN);
                }
                self.inline = None;
            }
            self.granted.retain(|object| !objects.contains(object));
            for change in commit.changes {
                match change {
                    BlockChange::Write(index, piece) => {
                        assert!(piece.is_valid(BLOCK));
                        insert_piece(self.blocks.entry(index.0).or_default(), piece);
                        assert!(self.blocks[&index.0].len() <= PIECES_MAX);
                    }
                    BlockChange::Punch(index, start, end) => {
                        self.punch(index.0, start, end);
                    }
                }
            }
        }
        self.durable_commits += usize::from(commit.durable);
        let attr = self.attr.as_mut().unwrap();
        attr.size = attr.size.max(commit.size_min);
        attr.mtime = commit.mtime;
        attr.version += 1;
        Ok(*attr)
    }

    fn punch(&mut self, index: u64, start: u32, end: u32) {
        match &mut self.inline {
            Some(inline) if index == 0 => {
                let mut content = inline.to_vec();
                let len = content.len();
                content[len.min(start as usize)..len.min(end as usize)].fill(0);
                *inline = content.into();
            }
            Some(_) => {}
            None => punch(self.blocks.entry(index).or_default(), start, end),
        }
    }

    fn clip(&mut self, size: u64) {
        let block_size = u64::from(BLOCK);
        if let Some(inline) = &mut self.inline {
            inline.truncate(size as usize);
        }
        self.blocks.retain(|index, _| index * block_size < size);
        if let Some(pieces) = self.blocks.get_mut(&(size / block_size)) {
            punch(pieces, (size % block_size) as u32, BLOCK);
        }
    }

    fn layout(&self, first: u64, count: u64) -> Layout {
        let version = self.attr.unwrap().version;
        let blocks = self.blocks.range(first..first + count).filter(|(_, pieces)| !pieces.is_empty());
        Layout {
            version,
            inline: self.inline.clone(),
            first: BlockIndex(first),
            behind: BlockIndex(first + count),
            blocks: blocks.map(|(index, pieces)| (BlockIndex(*index), pieces.clone())).collect(),
        }
    }

    /// Forgets what was granted, as a server does when a session ends.
    pub(super) fn end_session(&mut self) {
        self.granted.clear();
    }
}

/// Whether pieces of the first block replace its first `len` bytes.
fn covers(changes: &[BlockChange], len: u32) -> bool {
    let mut covered = vec![false; len as usize];
    for change in changes {
        if let BlockChange::Write(BlockIndex(0), piece) = change {
            covered[len.min(piece.start) as usize..len.min(piece.end) as usize].fill(true);
        }
    }
    covered.iter().all(|covered| *covered)
}

fn object_of(change: &BlockChange) -> Option<ObjectId> {
    match change {
        BlockChange::Write(_, piece) => Some(piece.object),
        BlockChange::Punch(..) => None,
    }
}

impl MetaClient for Server {
    async fn call(&self, _caller: &Caller, request: Request) -> Result<Reply, Errno> {
        let delay = self.state().delay;
        travel(delay).await;
        let reply = self.state().answer(request);
        travel(delay).await;
        reply
    }
}

/// A message is on its way.
async fn travel(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => tokio::task::yield_now().await,
    }
}

/// A mount with the file open.
pub(super) struct Mount {
    pub(super) server: Arc<Server>,
    pub(super) store: Arc<MemoryStore>,
    pub(super) plane: DataPlane,
    pub(super) file: Arc<File>,
    pub(super) keep_cache: bool,
}

impl Mount {
    pub(super) fn new() -> Self {
        Self::of(&Server::new(), &Arc::new(MemoryStore::new()), 0)
    }

    pub(super) fn of(server: &Arc<Server>, store: &Arc<MemoryStore>, memory_max: u64) -> Self {
        let plane = DataPlane::new(store.clone(), &volume(), DataSettings { memory_max }).unwrap();
        let (attr, layout) = server.open();
        let opened = plane.open(&attr, layout);
        let keep_cache = opened.keep_cache;
        Self { server: server.clone(), store: store.clone(), plane, file: opened.file, keep_cache }
    }

    /// Closes the file and opens it again.
    pub(super) async fn reopen(&mut self) {
        self.flush().await.unwrap();
        self.plane.close(INO);
        let (attr, layout) = self.server.open();
        let opened = self.plane.open(&attr, layout);
        (self.file, self.keep_cache) = (opened.file, opened.keep_cache);
    }

    pub(super) async fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.plane.write(&*self.server, &self.file, offset, data, NOW).await
    }

    pub(super) async fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, Errno> {
        Ok(self.plane.read(&*self.server, &self.file, offset, len).await?.concat())
    }

    pub(super) async fn flush(&self) -> Result<(), Errno> {
        self.plane.flush(&*self.server, &self.file, true).await
    }

    pub(super) async fn truncate(&self, size: u64) -> Result<Attr, Errno> {
        let changes = proto::AttrChanges { size: Some(size), ..Default::default() };
        self.plane.set_attr(&*self.server, &Caller::ROOT, INO, changes, true).await
    }

    /// Attributes as stat(2) would show them.
    pub(super) fn stat(&self) -> Attr {
        let mut attr = self.server.attr();
        self.plane.overlay(&mut attr);
        attr
    }

    /// Reads the file through another mount, which knows only what was committed.
    pub(super) async fn committed(&self) -> Vec<u8> {
        let other = Self::of(&self.server, &self.store, 0);
        other.read(0, u32::MAX).await.unwrap()
    }
}

pub(super) fn volume() -> VolumeSettings {
    VolumeSettings {
        id: VolumeId(uuid::Uuid::nil()),
        name: "test".into(),
        block_size: BLOCK,
        compression: Compression::Lz4,
        retention_secs: 0,
        blocks_max: 0,
        inodes_max: 0,
        block_store: BlockStoreSettings {
            api_code: "local".into(),
            address: "/".into(),
            bucket: String::new(),
            prefix: String::new(),
        },
    }
}

/// Bytes that differ from those of any other seed, and do not compress to nothing.
pub(super) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % 23 + 1) as u8
    };
    (0..len).map(|_| next()).collect()
}
