//! Writing back: sealed runs to the store, then to the server, in the order they were sealed.

use bytes::Bytes;
use proto::limits::{COMMIT_BLOCKS_MAX, COPIES_MAX, INLINE_MAX};
use proto::{Attr, BlockChange, Commit, Errno, InodeId, ObjectId, Piece, Timespec};

use super::{Committed, FileState, Pending};
use crate::data::map::{BlockMap, Change, KnownBlock};
use crate::data::sealed::{Progress, Sealed};

/// A commit that was sent and not answered.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// Last sealed run in it: all before it are in it, too. `None` where there are none.
    last: Option<u64>,
    /// Number of sealed runs in it.
    count: usize,
    /// The version it was sent on top of.
    base: u64,
    /// The whole content, where it went into the inode record.
    inline: Option<Bytes>,
}

/// How many sealed runs are where.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    pub(super) running: usize,
    pub(super) failed: usize,
}

/// An upload to be done.
#[derive(Debug)]
pub(crate) struct Upload {
    /// The sealed run.
    pub(crate) id: u64,
    /// The object to make.
    pub(crate) object: ObjectId,
    /// Whether it may be in the store already, from an attempt that seemed to fail.
    pub(crate) again: bool,
    /// Place in the block of the first byte.
    pub(crate) start: u32,
    /// The bytes.
    pub(crate) chunks: Vec<Bytes>,
}

/// What brings a sealed run nearer to its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is committed.
    Done,
    /// This one, the first in the queue, needs the bytes around it.
    Copy(u64),
    /// Send [`FileState::plan_commit`]; `last` where the run is in it.
    Commit { last: bool },
    /// Uploads are under way, or are waiting to be started.
    Wait,
    /// An upload failed.
    Failed(Errno),
}

/// How a commit ended.
#[derive(Debug)]
pub(crate) enum CommitOutcome {
    /// The server applied it.
    Applied { attr: Attr, durable: bool },
    /// The server refused it and changed nothing.
    Refused,
    /// There was no answer that says what became of it.
    Unknown,
}

impl FileState {
    /// The sealed runs to upload next, so that no more than `at_once` are under way; each with the object it was to be
    /// stored as before.
    pub(crate) fn plan_uploads(&self, at_once: usize) -> Vec<(u64, Option<ObjectId>)> {
        let ready = self.sealed.iter().filter(|sealed| matches!(sealed.progress, Progress::Ready));
        ready.take(at_once.saturating_sub(self.uploads.running)).map(|sealed| (sealed.id, sealed.object)).collect()
    }

    /// Begins the upload of a sealed run under `object`. `None` where it is not there any more, or under way already.
    pub(crate) fn begin_upload(&mut self, id: u64, object: ObjectId) -> Option<Upload> {
        let place = self.place_of(id)?;
        let sealed = &mut self.sealed[place];
        if !matches!(sealed.progress, Progress::Ready) {
            return None;
        }
        let again = sealed.object.replace(object) == Some(object);
        sealed.progress = Progress::Uploading;
        self.uploads.running += 1;
        let (start, chunks) = sealed.body();
        Some(Upload { id, object, again, start, chunks })
    }

    /// Notes how an upload ended. `false` where nobody has a use for the object any more.
    pub(crate) fn settle_upload(&mut self, id: u64, object: ObjectId, result: Result<Piece, Errno>) -> bool {
        let Some(place) = self.place_of(id) else { return false };
        let sealed = &mut self.sealed[place];
        if sealed.object != Some(object) || !matches!(sealed.progress, Progress::Uploading) {
            return false;
        }
        self.uploads.running -= 1;
        sealed.progress = match result {
            Ok(piece) => Progress::Stored(piece),
            Err(errno) => {
                self.uploads.failed += 1;
                Progress::Failed(errno)
            }
        };
        true
    }

    /// Lets failed uploads be tried again.
    pub(crate) fn retry_failed(&mut self) {
        if std::mem::take(&mut self.uploads.failed) > 0 {
            for sealed in self.sealed.iter_mut().filter(|sealed| matches!(sealed.progress, Progress::Failed(_))) {
                sealed.progress = Progress::Ready;
            }
        }
    }

    /// Lets everything that is not being uploaded be stored anew: the objects it was stored as are not ours any more.
    pub(crate) fn restore_all(&mut self) {
        self.uploads.failed = 0;
        for sealed in self.sealed.iter_mut().filter(|sealed| !matches!(sealed.progress, Progress::Uploading)) {
            let _ = sealed.renew();
        }
    }

    pub(super) fn place_of(&self, id: u64) -> Option<usize> {
        self.sealed.binary_search_by_key(&id, |sealed| sealed.id).ok()
    }

    /// The newest sealed run.
    pub(crate) fn newest_sealed(&self) -> Option<u64> {
        self.sealed.back().map(|sealed| sealed.id)
    }

    /// The oldest sealed run.
    pub(crate) fn oldest_sealed(&self) -> Option<u64> {
        self.sealed.front().map(|sealed| sealed.id)
    }

    /// What brings the sealed run `id` nearer to its commit. `eager`: runs that are worth a commit of their own.
    pub(crate) fn step(&self, id: u64, eager: usize) -> Step {
        let Some(place) = self.place_of(id) else { return Step::Done };
        let stored = self.stored_in_front();
        if stored > place || stored >= eager {
            return Step::Commit { last: stored > place };
        }
        let next = &self.sealed[stored];
        match next.progress {
            Progress::Incomplete if stored == 0 => return Step::Copy(next.id),
            // Nothing more goes into one commit.
            Progress::Incomplete | Progress::Stored(_) => return Step::Commit { last: false },
            Progress::Ready | Progress::Uploading | Progress::Failed(_) => {}
        }
        if self.uploads.failed == 0 {
            return Step::Wait;
        }
        let failed = self.sealed.iter().take(place + 1).find_map(|sealed| match sealed.progress {
            Progress::Failed(errno) => Some(errno),
            _ => None,
        });
        failed.map_or(Step::Wait, Step::Failed)
    }

    /// Whether `eager` runs could be committed at once.
    pub(crate) fn is_worth_commit(&self, eager: usize) -> bool {
        self.stored_in_front() >= eager
    }

    /// The commit of the oldest sealed runs that are stored.
    pub(crate) fn plan_commit(&mut self, ino: InodeId, durable: bool) -> Commit {
        let count = self.stored_in_front();
        let mut changes = Vec::with_capacity(count);
        let mut size_min = 0;
        for sealed in self.sealed.iter().take(count) {
            if let Progress::Stored(piece) = &sealed.progress {
                changes.push(sealed.change(piece.clone()));
            }
            if !sealed.runs.is_empty() {
                size_min = size_min.max(self.offset_of(sealed.block) + u64::from(sealed.written_end()));
            }
        }
        self.in_flight = Some(self.in_flight(count, None));
        self.commit_of(ino, changes, None, size_min, durable)
    }

    fn in_flight(&self, count: usize, inline: Option<Bytes>) -> InFlight {
        let last = count.checked_sub(1).map(|last| self.sealed[last].id);
        InFlight { last, count, base: self.committed.version, inline }
    }

    /// The commit of a small file's whole content, where all of it is known here and nothing is on its way yet.
    pub(crate) fn plan_inline(&mut self, ino: InodeId, durable: bool) -> Option<Commit> {
        let size = self.size();
        let touched = |sealed: &Sealed| matches!(sealed.progress, Progress::Uploading | Progress::Stored(_));
        if !self.is_small() || self.sealed.iter().any(touched) || !matches!(self.base_block(0), KnownBlock::Hole) {
            return None;
        }
        let base = self.map.inline()?;
        let mut content = vec![0; size as usize];
        let len = base.len().min(content.len());
        content[..len].copy_from_slice(&base[..len]);
        for block in self.buffered_blocks() {
            self.seal(block);
        }
        for sealed in &self.sealed {
            for (start, bytes) in sealed.slices(0, self.block_size) {
                content[start as usize..start as usize + bytes.len()].copy_from_slice(&bytes);
            }
        }
        let content = Bytes::from(content);
        self.in_flight = Some(self.in_flight(self.sealed.len(), Some(content.clone())));
        Some(self.commit_of(ino, Vec::new(), Some(content), size, durable))
    }

    /// Whether all of the content fits into the inode record.
    pub(crate) fn is_small(&self) -> bool {
        self.size() <= u64::from(INLINE_MAX)
    }

    /// Notes how the commit that is in flight ended.
    pub(crate) fn settle_commit(&mut self, outcome: CommitOutcome) {
        let Some(in_flight) = self.in_flight.take() else { return };
        match outcome {
            CommitOutcome::Applied { attr, durable } => self.settle_applied(in_flight, &attr, durable),
            CommitOutcome::Refused => {}
            CommitOutcome::Unknown => {
                // Perhaps the pieces are part of the file by now. Their bytes are stored and committed once more, under
                // other ids: the server takes an id only once.
                let sent = self.sent(&in_flight);
                self.given_up.extend(self.sealed.iter_mut().take(sent).filter_map(Sealed::renew));
                self.forget_map();
            }
        }
    }

    /// Notes that everything committed so far is on the server's disk.
    pub(crate) fn settle_durable(&mut self) {
        self.undurable = false;
    }

    /// Sealed runs in front of the queue that were in a commit.
    fn sent(&self, in_flight: &InFlight) -> usize {
        in_flight.last.map_or(0, |last| self.sealed.partition_point(|sealed| sealed.id <= last))
    }

    fn settle_applied(&mut self, in_flight: InFlight, attr: &Attr, durable: bool) {
        let sent = self.sent(&in_flight);
        let sealed: Vec<Sealed> = self.sealed.drain(..sent).collect();
        for sealed in &sealed {
            self.pending.len -= sealed.len();
            self.pending.memory -= sealed.memory();
        }
        if self.pending.len == 0 && self.sealed.is_empty() {
            self.pending = Pending::default();
        }
        self.undurable = !durable;
        if in_flight.inline.is_some() {
            self.given_up.extend(sealed.iter().filter_map(|sealed| sealed.object));
        }
        // A server that lost power goes back to what it had on disk.
        let went_back = attr.version <= in_flight.base;
        if attr.version <= self.committed.version && !went_back {
            // What is known is of this commit or of a later time: the map has it all.
            return;
        }
        // What was dropped meanwhile was committed all the same, and cannot be put into the map any more.
        if attr.version != self.committed.version + 1 || sealed.len() < in_flight.count {
            self.change_foreign(attr);
            return;
        }
        let (blocks_before, version) = (self.committed_blocks(), self.committed.version);
        self.committed = Committed::of(attr);
        match in_flight.inline {
            Some(content) => self.map = BlockMap::of_inline(content, self.committed_blocks()),
            None => self.apply_pieces(sealed, blocks_before, version),
        }
    }

    fn apply_pieces(&mut self, sealed: Vec<Sealed>, blocks_before: u64, version: u64) {
        self.map.learn_holes(blocks_before..self.committed_blocks());
        let around = Change { block_size: self.block_size, version, size: self.committed.size };
        for sealed in sealed {
            if let Progress::Stored(piece) = &sealed.progress {
                self.map.apply(sealed.change(piece.clone()), around);
            }
        }
        self.map.drop_covered_inline();
    }

    /// Sealed runs at the front of the queue that one commit can carry.
    pub(super) fn stored_in_front(&self) -> usize {
        let mut copies = 0;
        let stored = self.sealed.iter().take(COMMIT_BLOCKS_MAX).take_while(|sealed| {
            copies += sealed.copied_count();
            matches!(sealed.progress, Progress::Stored(_)) && copies <= COPIES_MAX
        });
        stored.count()
    }

    /// A commit of nothing, for others to fill in.
    pub(crate) fn empty_commit(&self, ino: InodeId, mtime: Timespec) -> Commit {
        let base_version = self.committed.version;
        Commit { ino, changes: Vec::new(), inline: None, base_version, size_min: 0, mtime, durable: false }
    }

    fn commit_of(
        &self,
        ino: InodeId,
        changes: Vec<BlockChange>,
        inline: Option<Bytes>,
        size_min: u64,
        durable: bool,
    ) -> Commit {
        let mtime = self.pending.mtime.unwrap_or(self.committed.mtime);
        Commit { changes, inline, size_min, durable, ..self.empty_commit(ino, mtime) }
    }
}
