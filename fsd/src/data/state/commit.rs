//! Writing back: sealed runs to the store, then to the server, in the order they were sealed.

use bytes::Bytes;
use proto::limits::{COMMIT_BLOCKS_MAX, INLINE_MAX};
use proto::{Attr, BlockChange, BlockIndex, Commit, Errno, InodeId, ObjectId, Piece};

use super::{Committed, FileState, Pending};
use crate::data::dirty::Run;
use crate::data::map::{BlockMap, KnownBlock};
use crate::data::sealed::{Progress, Sealed};

/// A commit that was sent and not answered.
#[derive(Debug)]
pub(crate) struct InFlight {
    /// Sealed runs in it: the first of the queue.
    count: usize,
    /// The whole content, where it went into the inode record.
    inline: Option<Bytes>,
}

/// How many sealed runs are where.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    running: usize,
    failed: usize,
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
    /// It has to be known in which form the server keeps the file.
    NeedForm,
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
    /// Nobody waited for the answer.
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
        Some(Upload { id, object, again, start: sealed.start, chunks: sealed.chunks.clone() })
    }

    /// Notes how an upload ended.
    pub(crate) fn settle_upload(&mut self, id: u64, object: ObjectId, result: Result<Piece, Errno>) {
        let Some(place) = self.place_of(id) else { return };
        let sealed = &mut self.sealed[place];
        if sealed.object != Some(object) || !matches!(sealed.progress, Progress::Uploading) {
            return;
        }
        self.uploads.running -= 1;
        sealed.progress = match result {
            Ok(piece) => Progress::Stored(piece),
            Err(errno) => {
                self.uploads.failed += 1;
                Progress::Failed(errno)
            }
        };
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
            sealed.renew();
        }
    }

    fn place_of(&self, id: u64) -> Option<usize> {
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
    pub(crate) fn step(&mut self, id: u64, eager: usize) -> Step {
        let Some(place) = self.place_of(id) else { return Step::Done };
        if !self.knows_form() {
            return Step::NeedForm;
        }
        let place = place + usize::from(self.underlay_inline());
        let stored = self.stored_in_front();
        if stored > place || stored >= eager {
            return Step::Commit { last: stored > place };
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
        self.knows_form() && self.stored_in_front() >= eager
    }

    /// The commit of the oldest sealed runs that are stored.
    pub(crate) fn plan_commit(&mut self, ino: InodeId, durable: bool) -> Commit {
        let count = self.stored_in_front();
        let mut changes = Vec::with_capacity(count);
        let mut size_min = 0;
        for sealed in self.sealed.iter().take(count) {
            if let Progress::Stored(piece) = &sealed.progress {
                changes.push(BlockChange::Write(BlockIndex(sealed.block), piece.clone()));
            }
            size_min = size_min.max(self.offset_of(sealed.block) + u64::from(sealed.end()));
        }
        self.in_flight = Some(InFlight { count, inline: None });
        self.commit_of(ino, changes, None, size_min, durable)
    }

    /// The commit of a small file's whole content, where all of it is known here and nothing is on its way yet.
    pub(crate) fn plan_inline(&mut self, ino: InodeId, durable: bool) -> Option<Commit> {
        let size = self.size();
        let untouched = |sealed: &Sealed| matches!(sealed.progress, Progress::Ready | Progress::Failed(_));
        if size > u64::from(INLINE_MAX) || !self.sealed.iter().all(untouched) {
            return None;
        }
        let mut content = vec![0; size as usize];
        match &self.map {
            BlockMap::Inline(base) => {
                let len = base.len().min(content.len());
                content[..len].copy_from_slice(&base[..len]);
            }
            _ if matches!(self.base_block(0), KnownBlock::Hole) => {}
            _ => return None,
        }
        self.seal_all();
        for sealed in &self.sealed {
            let mut place = sealed.start as usize;
            for chunk in &sealed.chunks {
                content[place..place + chunk.len()].copy_from_slice(chunk);
                place += chunk.len();
            }
        }
        let content = Bytes::from(content);
        self.in_flight = Some(InFlight { count: self.sealed.len(), inline: Some(content.clone()) });
        Some(self.commit_of(ino, Vec::new(), Some(content), size, durable))
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
                self.sealed.iter_mut().take(in_flight.count).for_each(Sealed::renew);
                self.forget_map();
            }
        }
    }

    /// Notes that everything committed so far is on the server's disk.
    pub(crate) fn settle_durable(&mut self) {
        self.undurable = false;
    }

    fn settle_applied(&mut self, in_flight: InFlight, attr: &Attr, durable: bool) {
        let count = in_flight.count.min(self.sealed.len());
        let sealed: Vec<Sealed> = self.sealed.drain(..count).collect();
        for sealed in &sealed {
            self.pending.len -= sealed.len();
            self.pending.memory -= sealed.memory();
        }
        if self.pending.len == 0 {
            self.pending = Pending::default();
        }
        self.undurable = !durable;
        if attr.version <= self.committed.version {
            // What is known is of this commit or of a later time: the map has it all.
            return;
        }
        if attr.version > self.committed.version + 1 {
            self.change_foreign(attr);
            return;
        }
        let blocks_before = self.committed_blocks();
        self.committed = Committed::of(attr);
        match in_flight.inline {
            Some(content) => self.map = BlockMap::Inline(content),
            None => self.apply_pieces(sealed, blocks_before),
        }
    }

    fn apply_pieces(&mut self, sealed: Vec<Sealed>, blocks_before: u64) {
        if self.inline_len().is_some() {
            // The inode record held all the content there was, so that no block had pieces.
            self.map = BlockMap::empty();
            self.map.learn_holes(0..blocks_before);
        }
        self.map.learn_holes(blocks_before..self.committed_blocks());
        for sealed in sealed {
            if let Progress::Stored(piece) = sealed.progress {
                self.map.apply(BlockChange::Write(BlockIndex(sealed.block), piece));
            }
        }
    }

    /// The first piece of a file takes its content out of the inode record: that content becomes a piece below all
    /// others. Returns whether it was put in front of the queue.
    fn underlay_inline(&mut self) -> bool {
        let BlockMap::Inline(content) = &self.map else { return false };
        let len = content.len().min(usize::try_from(self.committed.size).unwrap_or(usize::MAX));
        let covers = |sealed: &Sealed| sealed.block == 0 && sealed.start == 0 && sealed.end() as usize >= len;
        if len == 0 || self.sealed.front().is_some_and(covers) {
            return false;
        }
        let run = Run { start: 0, chunks: vec![content.slice(..len)] };
        let id = self.sealed.front().map_or(self.next_id, |front| front.id) - 1;
        let sealed = Sealed::new(id, 0, run);
        self.pending.len += sealed.len();
        self.pending.memory += sealed.memory();
        self.sealed.push_front(sealed);
        true
    }

    /// Sealed runs at the front of the queue that one commit can carry.
    fn stored_in_front(&self) -> usize {
        let stored = self.sealed.iter().take_while(|sealed| matches!(sealed.progress, Progress::Stored(_)));
        stored.take(COMMIT_BLOCKS_MAX).count()
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
        Commit { ino, changes, inline, base_version: self.committed.version, size_min, mtime, durable }
    }
}
