//! `FileState`: everything this mount knows of one file's content. Pure: no I/O, no clock, no task.
//!
//! A byte is looked for in three layers, the newest first: buffers (written, may still change), sealed runs (on their
//! way to the server, in the order they were written) and the committed map. Sealed runs are committed in order and
//! leave memory only when the server has answered. Invariant: no layer above the map knows of a foreign change, and the
//! map is of exactly `committed.version`.

mod commit;
mod read;
mod rewrite;

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use proto::{Attr, Layout, ObjectId, Timespec};

pub(super) use commit::{CommitOutcome, Step, Upload};
pub(super) use read::{ReadPlan, Segment, StoredRange};
pub(super) use rewrite::CopyPlan;

use super::dirty::BlockBuffer;
use super::map::{BlockMap, KnownBlock, is_sound};
use super::readahead::ReadAhead;
use super::sealed::{Progress, Sealed};
use commit::{InFlight, Uploads};

/// See the module's text.
#[derive(Debug)]
pub(super) struct FileState {
    block_size: u32,
    committed: Committed,
    map: BlockMap,
    buffers: BTreeMap<u64, BlockBuffer>,
    /// In the order they are committed in, which is that of their ids.
    sealed: VecDeque<Sealed>,
    uploads: Uploads,
    next_id: u64,
    in_flight: Option<InFlight>,
    pending: Pending,
    /// Objects that were written and will not be committed.
    given_up: Vec<ObjectId>,
    /// Something was committed that may not be on the server's disk yet.
    undurable: bool,
    /// The version that somebody else made of the content: the kernel's pages may be older.
    foreign: Option<u64>,
    /// The file before it was cut: for requests of a kernel that does not know of that yet.
    before_cut: Option<BeforeCut>,
    read_ahead: ReadAhead,
    opens: u32,
}

/// The server's newest state of the file, as far as it was seen.
#[derive(Clone, Copy, Debug)]
struct Committed {
    version: u64,
    size: u64,
    allocated: u64,
    mtime: Timespec,
}

impl Committed {
    fn of(attr: &Attr) -> Self {
        Self { version: attr.version, size: attr.size, allocated: attr.allocated, mtime: attr.mtime }
    }
}

/// What the file was like before it was cut.
#[derive(Debug)]
struct BeforeCut {
    size: u64,
    map: BlockMap,
}

/// What is written and not committed.
#[derive(Debug, Default)]
struct Pending {
    /// Bytes in buffers and sealed runs.
    len: usize,
    /// Memory they take.
    memory: usize,
    /// End of the last one in the file; 0 where there are none.
    end: u64,
    /// Time of the last write.
    mtime: Option<Timespec>,
    /// Time of the write that made the file dirty.
    since: Timespec,
}

impl FileState {
    pub(super) fn new(attr: &Attr, block_size: u32) -> Self {
        let mut state = Self {
            block_size,
            committed: Committed::of(attr),
            map: BlockMap::Unknown,
            buffers: BTreeMap::new(),
            sealed: VecDeque::new(),
            uploads: Uploads::default(),
            next_id: FIRST_ID,
            in_flight: None,
            pending: Pending::default(),
            given_up: Vec::new(),
            undurable: false,
            // The kernel may have pages of before this state was made.
            foreign: Some(attr.version),
            before_cut: None,
            read_ahead: ReadAhead::default(),
            opens: 0,
        };
        state.forget_map();
        state
    }

    /// Counts an open and takes in what it told. Returns whether the kernel's pages of the file are still right.
    pub(super) fn settle_open(&mut self, attr: &Attr, layout: Layout) -> bool {
        self.opens += 1;
        // Whoever opens sees what was closed before: no guess that the news may be our own.
        if attr.version > self.committed.version {
            self.change_foreign(attr);
        }
        let says_something = layout.first < layout.behind && is_sound(&layout, self.block_size);
        if attr.version == self.committed.version && says_something {
            self.map.learn(layout);
        }
        self.foreign.take().is_none()
    }

    /// Takes in what came with a lock, as with an open. Returns the version of which the kernel's pages may be older.
    pub(super) fn settle_lock(&mut self, attr: &Attr) -> Option<u64> {
        if attr.version > self.committed.version {
            self.change_foreign(attr);
        }
        self.foreign
    }

    /// Takes in that the kernel has no pages that are older than `version`.
    pub(super) fn settle_dropped(&mut self, version: u64) {
        if self.foreign == Some(version) {
            self.foreign = None;
        }
    }

    /// Counts a close. Returns whether it was the last one.
    pub(super) fn settle_close(&mut self) -> bool {
        self.opens = self.opens.saturating_sub(1);
        if self.opens == 0 {
            self.read_ahead = ReadAhead::default();
            self.before_cut = None;
            if !self.map.is_small() {
                self.map = BlockMap::Unknown;
            }
        }
        self.opens == 0
    }

    pub(super) fn is_open(&self) -> bool {
        self.opens > 0
    }

    /// Takes notice of attributes that any reply carried.
    pub(super) fn observe(&mut self, attr: &Attr) {
        let version = self.committed.version;
        // The next version is probably the commit that is under way; its own reply tells.
        let maybe_ours = self.in_flight.is_some() && attr.version == version + 1;
        if attr.version > version && !maybe_ours {
            self.change_foreign(attr);
        }
    }

    /// Puts over a reply's attributes what this mount knows better.
    pub(super) fn overlay(&self, attr: &mut Attr) {
        if attr.version < self.committed.version {
            attr.version = self.committed.version;
            attr.size = self.committed.size;
            attr.allocated = self.committed.allocated;
            attr.mtime = self.committed.mtime;
        }
        if let Some(mtime) = self.pending.mtime {
            attr.size = attr.size.max(self.pending.end);
            attr.allocated = attr.allocated.saturating_add(self.pending.len as u64);
            attr.mtime = mtime;
            attr.ctime = attr.ctime.max(mtime);
        }
    }

    /// Length of the file for its readers here.
    pub(super) fn size(&self) -> u64 {
        self.committed.size.max(self.pending.end)
    }

    /// Memory that written and uncommitted bytes take.
    pub(super) fn memory(&self) -> usize {
        self.pending.memory
    }

    /// Whether something is written that the server was not told of.
    pub(super) fn has_pending(&self) -> bool {
        self.pending.len > 0 || !self.sealed.is_empty()
    }

    /// Whether something that was committed may not be on the server's disk.
    pub(super) fn is_undurable(&self) -> bool {
        self.undurable
    }

    /// Since when there are uncommitted bytes.
    pub(super) fn pending_since(&self) -> Option<Timespec> {
        self.has_pending().then_some(self.pending.since)
    }

    /// Bytes that the inode record holds; `None` where that is not known.
    pub(super) fn inline_len(&self) -> Option<usize> {
        self.map.inline().map(bytes::Bytes::len)
    }

    /// Forgets where the committed bytes are.
    pub(super) fn forget_map(&mut self) {
        self.map = if self.committed.size == 0 { BlockMap::empty() } else { BlockMap::Unknown };
    }

    /// Takes in a part of the block map and the attributes of the same version. `false` where that is older than what is
    /// known, or cannot be told from a commit of our own that is under way: ask again. `known`: what [`Self::version`]
    /// was when it was asked for.
    pub(super) fn settle_layout(&mut self, attr: &Attr, layout: Layout, known: u64) -> bool {
        let version = self.committed.version;
        let is_news = attr.version > version && self.in_flight.is_none();
        // A server that lost power goes back to what it had on disk. Any other knows more than was known before.
        let went_back = attr.version < known;
        if is_news || went_back {
            self.change_foreign(attr);
        } else if attr.version != version {
            return false;
        }
        self.map.learn(layout);
        true
    }

    /// The newest version that was seen.
    pub(super) fn version(&self) -> u64 {
        self.committed.version
    }

    /// Notes written bytes. They lie within one block; a block that is full is sealed. Returns whether one was.
    pub(super) fn write(&mut self, block: u64, start: u32, data: &[u8], now: Timespec) -> bool {
        if !self.has_pending() {
            self.pending.since = now;
        }
        let buffer = self.buffers.entry(block).or_default();
        let before = (buffer.len(), buffer.memory());
        buffer.write(start, data, self.block_size);
        let after = (buffer.len(), buffer.memory());
        let full = buffer.len() == self.block_size as usize;
        self.count_buffer(before, after);
        self.pending.end = self.pending.end.max(self.offset_of(block) + u64::from(start) + data.len() as u64);
        self.pending.mtime = Some(now);
        if full {
            self.seal(block);
        }
        full
    }

    /// Takes in that this mount set the size. That makes exactly one new version; more are somebody else's.
    pub(super) fn settle_resize(&mut self, attr: &Attr) {
        let version = self.committed.version;
        if attr.version == version + 1 {
            let blocks_before = self.committed_blocks();
            self.note_cut(attr.size);
            if attr.size < self.committed.size {
                self.map.truncate(attr.size, self.block_size);
            }
            self.committed = Committed::of(attr);
            self.map.learn_holes(blocks_before..self.committed_blocks());
            if attr.size == 0 {
                self.map = BlockMap::empty();
            }
        } else {
            self.observe(attr);
        }
    }

    /// Takes in that this mount asked for a length at least: perhaps others had made the file as long.
    pub(super) fn settle_growth(&mut self, attr: &Attr) {
        self.undurable = true;
        self.observe(attr);
    }

    /// Takes in that this mount made a hole. The map of before is forgotten already.
    pub(super) fn settle_punch(&mut self, attr: &Attr) {
        self.undurable = true;
        if attr.version == self.committed.version + 1 {
            self.committed = Committed::of(attr);
        } else {
            self.observe(attr);
        }
        self.forget_map();
    }

    /// Drops everything that is not committed.
    pub(super) fn discard(&mut self) {
        while !self.sealed.is_empty() {
            self.remove_sealed(0);
        }
        self.buffers.clear();
        self.pending = Pending::default();
    }

    /// Takes in that the file was emptied: what was written up to the sealed run `written` belongs to the time before.
    pub(super) fn settle_emptied(&mut self, written: Option<u64>) {
        while self.sealed.front().is_some_and(|sealed| written.is_some_and(|written| sealed.id <= written)) {
            self.remove_sealed(0);
        }
        let sealed = self.sealed.iter().map(|sealed| (sealed.block, sealed.written_end()));
        let buffered = self.buffers.iter().map(|(block, buffer)| (*block, buffer.end()));
        let ends = sealed.chain(buffered).map(|(block, end)| self.offset_of(block) + u64::from(end));
        self.pending.end = ends.max().unwrap_or(0);
        if !self.has_pending() {
            self.pending = Pending::default();
        }
    }

    /// Objects that were written and will not be committed, for the server to delete.
    pub(super) fn take_given_up(&mut self) -> Vec<ObjectId> {
        std::mem::take(&mut self.given_up)
    }

    /// The bytes to fetch in the background after a read of `offset..offset + len`.
    pub(super) fn note_read(&mut self, offset: u64, len: u64, window_max: u64) -> Option<Range<u64>> {
        let size = self.committed.size;
        self.read_ahead.note(offset, len, size, window_max)
    }

    fn change_foreign(&mut self, attr: &Attr) {
        self.note_cut(attr.size);
        self.foreign = Some(attr.version);
        self.committed = Committed::of(attr);
        self.forget_map();
    }

    /// The file becomes this long: what is known of it is kept for a while if that is shorter.
    fn note_cut(&mut self, size: u64) {
        if size < self.committed.size && self.is_open() {
            self.before_cut = Some(BeforeCut { size: self.committed.size, map: self.map.clone() });
        }
    }

    /// What is known of a block of the committed file. Behind its end there is nothing to ask for.
    fn base_block(&self, block: u64) -> KnownBlock {
        self.map.block_before(block, self.committed_blocks())
    }

    fn committed_blocks(&self) -> u64 {
        self.committed.size.div_ceil(u64::from(self.block_size))
    }

    fn offset_of(&self, block: u64) -> u64 {
        block * u64::from(self.block_size)
    }

    fn seal(&mut self, block: u64) {
        if let Some(buffer) = self.take_buffer(block) {
            self.seal_runs(block, buffer);
        }
    }

    /// Each run becomes a piece.
    fn seal_runs(&mut self, block: u64, buffer: BlockBuffer) {
        for run in buffer.into_runs() {
            let id = self.take_id();
            self.push_sealed(Sealed::new(id, block, run));
        }
    }

    fn take_buffer(&mut self, block: u64) -> Option<BlockBuffer> {
        let buffer = self.buffers.remove(&block)?;
        self.count_buffer((buffer.len(), buffer.memory()), (0, 0));
        Some(buffer)
    }

    fn push_sealed(&mut self, sealed: Sealed) {
        self.pending.len += sealed.len();
        self.pending.memory += sealed.memory();
        self.sealed.push_back(sealed);
    }

    /// Takes a sealed run out of the queue. An upload of it that is under way ends in vain.
    fn remove_sealed(&mut self, place: usize) -> Sealed {
        let sealed = self.sealed.remove(place).expect("the place was looked up under the same lock");
        self.pending.len -= sealed.len();
        self.pending.memory -= sealed.memory();
        match sealed.progress {
            Progress::Uploading => self.uploads.running -= 1,
            Progress::Failed(_) => self.uploads.failed = self.uploads.failed.saturating_sub(1),
            Progress::Incomplete | Progress::Ready | Progress::Stored(_) => {}
        }
        if !matches!(sealed.progress, Progress::Uploading) {
            self.given_up.extend(sealed.object);
        }
        sealed
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn count_buffer(&mut self, before: (usize, usize), after: (usize, usize)) {
        self.pending.len = self.pending.len - before.0 + after.0;
        self.pending.memory = self.pending.memory - before.1 + after.1;
    }
}

/// Id of the first sealed run. Those that are put in front of all others count down from there.
const FIRST_ID: u64 = 1 << 32;
