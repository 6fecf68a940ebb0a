//! A metadata server for one file and mounts of it: the server follows the protocol's text and nothing more.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use block::MemoryStore;
use bytes::Bytes;
use proto::limits::{COMMIT_BLOCKS_MAX, COPIES_MAX, INLINE_MAX, PIECES_MAX};
use proto::{
    Attr, Below, BlockChange, BlockIndex, BlockStoreSettings, Caller, Commit, Errno, FileKind, InodeId, Layout,
    ObjectId, Piece, Reply, Request, Timespec, VolumeId, VolumeSettings, gaps, insert_piece, punch,
};

use tokio::sync::Semaphore;

use crate::client::MetaClient;
use crate::data::{DataPlane, DataSettings, File};

pub(super) const BLOCK: u32 = 256 << 10;
pub(super) const PAGE: u64 = 4096;
pub(super) const INO: InodeId = InodeId(7);
pub(super) const NOW: Timespec = Timespec { secs: 1000, nanos: 5 };

/// The server. What it was asked is counted.
#[derive(Default)]
pub(super) struct Server {
    state: Mutex<ServerState>,
    gates: Mutex<Vec<Arc<Gate>>>,
}

/// Where a request of some kind is held up: scripts who overtakes whom.
pub(super) struct Gate {
    holds: fn(&Request) -> bool,
    at: Side,
    reached: Semaphore,
    opened: Semaphore,
}

/// Where on its way a request is held up.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Before the server sees it.
    Request,
    /// When the server has carried it out, before the answer arrives.
    Reply,
}

impl Gate {
    /// Waits until a request stands at the gate.
    pub(super) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    /// Lets it through, and every later one.
    pub(super) fn open(&self) {
        self.opened.add_permits(1 << 20);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.opened.acquire().await.unwrap().forget();
    }
}

#[derive(Default)]
pub(super) struct ServerState {
    pub(super) attr: Option<Attr>,
    pub(super) inline: Option<Bytes>,
    pub(super) blocks: BTreeMap<u64, Vec<Piece>>,
    pub(super) granted: BTreeSet<ObjectId>,
    /// Ids that were taken back.
    pub(super) given_back: Vec<ObjectId>,
    next_object: u64,
    /// Answers of the next commits, where they are to fail.
    pub(super) commit_failures: VecDeque<Errno>,
    /// Answers of commits that get lost with the session: nobody knows whether it was carried out.
    pub(super) lost_replies: usize,
    /// Somebody else changes the file before each request.
    pub(super) restless: bool,
    /// Every request and every answer takes this long.
    pub(super) delay: Option<Duration>,
    /// Commits of files that small go into blocks all the same.
    pub(super) refuse_inline: bool,
    pub(super) commits: usize,
    pub(super) rewrites: usize,
    /// Commits refused because a block would consist of too many pieces.
    pub(super) too_many_pieces: usize,
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
        server.state().attr = Some(Attr::new(INO, FileKind::Regular, 0o644, NOW));
        server.state().next_object = 100;
        Arc::new(server)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap()
    }

    pub(super) fn attr(&self) -> Attr {
        self.state().attr.unwrap()
    }

    /// Holds up the requests that `holds` knows, until the gate is opened.
    pub(super) fn gate(&self, at: Side, holds: fn(&Request) -> bool) -> Arc<Gate> {
        let gate = Gate { holds, at, reached: Semaphore::new(0), opened: Semaphore::new(0) };
        let gate = Arc::new(gate);
        self.gates.lock().unwrap().push(gate.clone());
        gate
    }

    /// Takes all gates away. Who stands at one goes on when it is opened.
    pub(super) fn remove_gates(&self) {
        self.gates.lock().unwrap().clear();
    }

    async fn pass_gates(&self, at: Side, request: &Request) {
        let gates = self.gates.lock().unwrap().clone();
        for gate in gates.into_iter().filter(|gate| gate.at == at && (gate.holds)(request)) {
            gate.pass().await;
        }
    }

    /// What an open would be told: the attributes and the first block of the map.
    pub(super) fn open(&self) -> (Attr, Layout) {
        let state = self.state();
        (state.attr.unwrap(), state.layout(0, 1))
    }
}

impl ServerState {
    fn answer(&mut self, request: Request) -> Result<Reply, Errno> {
        self.attr.as_mut().unwrap().version += u64::from(self.restless);
        match request {
            Request::GetAttr { .. } => Ok(Reply::Entry(self.attr.unwrap())),
            Request::GetLayout { first, count, .. } => {
                self.layouts += 1;
                Ok(Reply::Layout(self.attr.unwrap(), self.layout(first.0, u64::from(count))))
            }
            Request::GrantObjects { count, given_back } => {
                self.grants += 1;
                for object in given_back.iter().filter(|object| self.granted.remove(object)) {
                    self.given_back.push(*object);
                }
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
            let objects: Vec<ObjectId> =
                commit.changes.iter().filter_map(BlockChange::piece).map(|piece| piece.object).collect();
            if !objects.iter().all(|object| self.granted.contains(object)) {
                self.strange_ids += 1;
                return Err(Errno::EPERM);
            }
            let ends = commit.changes.iter().filter_map(|change| Some((change.block().0, change.written_end()?)));
            let end = ends.map(|(index, end)| index * u64::from(BLOCK) + u64::from(end)).max().unwrap_or(0);
            let size = attr.size.max(commit.size_min).max(end);
            let blocks = self.blocks.clone();
            for change in commit.changes {
                self.apply(change, size);
            }
            if self.blocks.values().any(|pieces| pieces.len() > PIECES_MAX) {
                self.blocks = blocks;
                self.too_many_pieces += 1;
                return Err(Errno::EAGAIN);
            }
            self.granted.retain(|object| !objects.contains(object));
            let inline_len = self.inline.as_ref().map_or(0, Bytes::len) as u32;
            if self.blocks.get(&0).is_some_and(|pieces| gaps(pieces, 0, inline_len).is_empty()) {
                self.inline = None;
            }
            self.attr.as_mut().unwrap().size = size;
        }
        self.durable_commits += usize::from(commit.durable);
        let attr = self.attr.as_mut().unwrap();
        attr.size = attr.size.max(commit.size_min);
        let is_newest = commit.base_version == attr.version;
        attr.mtime = if is_newest { commit.mtime } else { commit.mtime.max(attr.mtime) };
        attr.version += 1;
        Ok(*attr)
    }

    fn apply(&mut self, change: BlockChange, size: u64) {
        let index = change.block().0;
        let inline_len = self.inline.as_ref().map_or(0, Bytes::len) as u32;
        let below = Below {
            inline_end: if index == 0 { inline_len } else { 0 },
            version: self.attr.unwrap().version,
            end: size.saturating_sub(index * u64::from(BLOCK)).min(BLOCK.into()) as u32,
        };
        match change {
            BlockChange::Write(_, piece) => {
                assert!(piece.is_valid(BLOCK));
                insert_piece(self.blocks.entry(index).or_default(), piece);
            }
            BlockChange::Rewrite(_, rewrite) => {
                assert!(rewrite.is_valid(BLOCK) && rewrite.copied.len() <= COPIES_MAX);
                self.rewrites += 1;
                rewrite.apply(self.blocks.entry(index).or_default(), below);
            }
            BlockChange::Punch(_, start, end) => self.punch(index, start, end),
        }
    }

    fn punch(&mut self, index: u64, start: u32, end: u32) {
        if let Some(inline) = self.inline.as_mut().filter(|_| index == 0) {
            let mut content = inline.to_vec();
            let len = content.len();
            content[len.min(start as usize)..len.min(end as usize)].fill(0);
            *inline = content.into();
        }
        punch(self.blocks.entry(index).or_default(), start, end);
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

    /// Goes back to what the file was like then, as a server does that lost power.
    pub(super) fn go_back(&mut self, (attr, inline, blocks): Content) {
        (self.attr, self.inline, self.blocks) = (Some(attr), inline, blocks);
    }

    /// The file as it is.
    pub(super) fn content(&self) -> Content {
        (self.attr.unwrap(), self.inline.clone(), self.blocks.clone())
    }

    /// Forgets what was granted, as a server does when a session ends.
    pub(super) fn end_session(&mut self) {
        self.granted.clear();
    }
}

/// A file: attributes, inline content, blocks.
pub(super) type Content = (Attr, Option<Bytes>, BTreeMap<u64, Vec<Piece>>);

impl MetaClient for Server {
    async fn call(&self, _caller: &Caller, request: Request) -> Result<Reply, Errno> {
        let delay = self.state().delay;
        travel(delay).await;
        self.pass_gates(Side::Request, &request).await;
        let reply = self.state().answer(request.clone());
        self.pass_gates(Side::Reply, &request).await;
        travel(delay).await;
        let mut state = self.state();
        if matches!(request, Request::Commit(_)) && state.lost_replies > 0 {
            state.lost_replies -= 1;
            return Err(Errno::EIO);
        }
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
        self.plane.write(&*self.server, &self.file, offset, data, NOW, || false).await
    }

    /// Reads as the kernel does that knows how long the file is: no page behind its end.
    pub(super) async fn read(&self, offset: u64, len: u32) -> Result<Vec<u8>, Errno> {
        let pages_end = self.file.size().next_multiple_of(PAGE);
        match u64::from(len).min(pages_end.saturating_sub(offset)) {
            0 => Ok(Vec::new()),
            len => self.read_pages(offset, len as u32).await,
        }
    }

    /// Reads as a kernel does that believes the file to be so long.
    pub(super) async fn read_pages(&self, offset: u64, len: u32) -> Result<Vec<u8>, Errno> {
        Ok(self.plane.read(&*self.server, &self.file, offset, len, true).await?.concat())
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
    VolumeSettings::new(VolumeId(uuid::Uuid::nil()), "test", BLOCK, BlockStoreSettings::local("/", ""))
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
