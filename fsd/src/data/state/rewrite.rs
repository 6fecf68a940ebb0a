//! Sealing what is in buffers, and rewriting blocks that would consist of too many pieces.
//!
//! A rewritten block takes along what lies around the written bytes. It does so only when all that was sealed before is
//! committed, so that the map shows it. What another mount commits meanwhile is safe: see [`proto::Rewrite`].

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proto::{Copied, Piece, Source};

use super::{FileState, Segment, StoredRange};
use crate::data::dirty::{BlockBuffer, Run};
use crate::data::map::KnownBlock;
use crate::data::sealed::{Progress, Sealed};

/// What a rewritten block needs next.
#[derive(Debug)]
pub(crate) enum CopyPlan {
    /// It is not to be rewritten any more, or has all it needs.
    Done,
    /// The map of this block.
    NeedLayout(u64),
    /// These bytes.
    Read(CopyRead),
}

/// Bytes to be read for a rewritten block.
#[derive(Debug)]
pub(crate) struct CopyRead {
    id: u64,
    /// All of the block that is stored and will be copied, for one look at the store.
    pub(crate) stored: StoredRange,
    /// What will be copied, each with where its bytes are.
    pub(crate) parts: Vec<(Copied, Segment)>,
}

impl FileState {
    /// Seals what is in buffers, without a look at what is below. Returns the newest sealed run.
    pub(crate) fn seal_all(&mut self) -> Option<u64> {
        while let Some((&block, _)) = self.buffers.first_key_value() {
            self.seal_alone(block);
        }
        self.newest_sealed()
    }

    /// Seals what is in the buffer of a block, without a look at what is below.
    pub(crate) fn seal_alone(&mut self, block: u64) {
        match self.take_buffer(block) {
            Some(buffer) if buffer.has_runs(RUNS_ALONE_MAX) => self.seal_rewritten(block, buffer),
            Some(buffer) => self.seal_runs(block, buffer),
            None => {}
        }
    }

    /// Blocks with bytes in buffers.
    pub(crate) fn buffered_blocks(&self) -> Vec<u64> {
        self.buffers.keys().copied().collect()
    }

    /// Seals what is in the buffer of a block: a piece for each run, or one piece where there would be `pieces_max` or
    /// more.
    ///
    /// # Errors
    /// The block, where its map is needed to tell.
    pub(crate) fn seal_for_commit(&mut self, block: u64, pieces_max: usize) -> Result<(), u64> {
        let Some(buffer) = self.buffers.get(&block) else { return Ok(()) };
        let mut count = buffer.run_count();
        count +=
            self.sealed.iter().filter(|sealed| sealed.block == block).map(|sealed| sealed.runs.len()).sum::<usize>();
        match self.base_block(block) {
            KnownBlock::Unknown => return Err(block),
            KnownBlock::Hole => {}
            KnownBlock::Pieces(pieces) => {
                let covers = |piece: &Piece| buffer.start() <= piece.start && piece.end <= buffer.end();
                let is_covered = buffer.run_count() == 1 && pieces.first().is_some_and(covers);
                count += if is_covered && pieces.last().is_some_and(covers) { 0 } else { pieces.len() };
            }
        }
        let Some(buffer) = self.take_buffer(block) else { return Ok(()) };
        if count >= pieces_max {
            self.seal_rewritten(block, buffer);
        } else {
            self.seal_runs(block, buffer);
        }
        Ok(())
    }

    /// Has the content of the inode record copied into the first block, before whatever is committed next: a file that
    /// has grown does not need it there.
    pub(crate) fn move_inline(&mut self) {
        let len = self.inline_len().unwrap_or(0);
        let is_covered = |sealed: &Sealed| match &*sealed.runs {
            _ if sealed.block != 0 => false,
            [run] => run.start == 0 && run.end() as usize >= len,
            _ => sealed.within().is_some_and(|within| within.start == 0),
        };
        if len > 0 && !self.sealed.iter().any(is_covered) {
            self.rewrite_first(0);
        }
    }

    /// Takes in that the server refused a commit because a block would consist of too many pieces: other mounts put them
    /// there. The blocks of the refused runs are rewritten first, by a new map.
    pub(crate) fn rewrite_refused(&mut self) {
        self.forget_map();
        let mut others = BTreeSet::new();
        for place in 0..self.stored_in_front() {
            let sealed = &mut self.sealed[place];
            if sealed.within().is_none() {
                others.insert(sealed.block);
                continue;
            }
            let before = sealed.memory();
            let object = sealed.reread();
            self.pending.memory = self.pending.memory - before + self.sealed[place].memory();
            self.given_up.extend(object);
        }
        let waits = |sealed: &&Sealed| matches!(sealed.progress, Progress::Incomplete);
        for sealed in self.sealed.iter().filter(waits) {
            others.remove(&sealed.block);
        }
        for block in others {
            self.rewrite_first(block);
        }
    }

    /// Plans what is read for the rewritten block `id`, which is the first in the queue.
    pub(crate) fn plan_copies(&mut self, id: u64, pieces_max: usize) -> CopyPlan {
        let Some(place) = self.place_of(id) else { return CopyPlan::Done };
        let sealed = &self.sealed[place];
        let (block, Some(within)) = (sealed.block, sealed.within()) else { return CopyPlan::Done };
        let pieces = match self.base_block(block) {
            KnownBlock::Unknown => return CopyPlan::NeedLayout(block),
            KnownBlock::Hole => Default::default(),
            KnownBlock::Pieces(pieces) => pieces,
        };
        let inline_end = if block == 0 { self.inline_len().unwrap_or(0) as u32 } else { 0 };
        if sealed.runs.is_empty() && inline_end == 0 && pieces.len() < pieces_max {
            self.remove_sealed(place);
            return CopyPlan::Done;
        }
        let shown = pieces.iter().map(|piece| piece.start..piece.end).chain(std::iter::once(0..inline_end));
        let shown = shown.map(|range| range.start.max(within.start)..range.end.min(within.end));
        let written = sealed.runs.iter().map(|run| run.start..run.end());
        let ranges = shown.filter(|range| !range.is_empty()).chain(written);
        let Some(range) = ranges.reduce(|all, range| all.start.min(range.start)..all.end.max(range.end)) else {
            self.remove_sealed(place);
            return CopyPlan::Done;
        };
        let mut parts = Vec::new();
        let mut start = range.start;
        for run in sealed.runs.iter() {
            self.find_sources(&pieces, inline_end, start..run.start, &mut parts);
            start = run.end();
        }
        self.find_sources(&pieces, inline_end, start..range.end, &mut parts);
        CopyPlan::Read(CopyRead { id, stored: StoredRange { pieces, start: range.start, end: range.end }, parts })
    }

    /// Takes in the bytes that were read, in the order of the parts. What cannot be had stays where it is: the piece has
    /// padding there.
    pub(crate) fn settle_copies(&mut self, read: CopyRead, bytes: Vec<Option<Vec<Bytes>>>) {
        let Some(place) = self.place_of(read.id) else { return };
        let (mut copied, mut runs) = (Vec::new(), Vec::new());
        for ((mut part, _), chunks) in read.parts.into_iter().zip(bytes) {
            let chunks = chunks.unwrap_or_else(|| {
                part.source = Source::Nowhere;
                block::zeroes(u64::from(part.end - part.start)).collect()
            });
            copied.push(part);
            runs.push(Run { start: part.start, chunks });
        }
        if self.sealed[place].runs.is_empty() && copied.iter().all(|copied| copied.source == Source::Nowhere) {
            self.remove_sealed(place);
            return;
        }
        let sealed = &mut self.sealed[place];
        let before = sealed.memory();
        sealed.complete(copied, runs);
        self.pending.memory = self.pending.memory - before + sealed.memory();
    }

    /// Takes in that there was no room for a commit. Returns whether it needs less now: zeroes that were copied need not
    /// be stored.
    pub(crate) fn spare_holes(&mut self) -> bool {
        let count = self.stored_in_front();
        self.sealed.iter_mut().take(count).map(Sealed::spare_holes).sum::<usize>() > 0
    }

    /// Seals a block's buffer to be rewritten, with what is sealed of the block already.
    fn seal_rewritten(&mut self, block: u64, mut buffer: BlockBuffer) {
        for place in (0..self.sealed.len()).rev().filter(|place| self.sealed[*place].block == block).collect::<Vec<_>>()
        {
            let older = self.remove_sealed(place);
            for run in older.runs.iter() {
                for (start, bytes) in run.slices(run.start, run.end()) {
                    buffer.fill_gaps(start, &bytes, self.block_size);
                }
            }
        }
        let mut runs = BlockBuffer::into_runs(buffer);
        let mut start = 0;
        while !runs.is_empty() {
            let rest = runs.split_off(runs.len().min(RUNS_MAX));
            let end = rest.first().map_or(self.block_size, |run| run.start);
            let id = self.take_id();
            self.push_sealed(Sealed::rewriting(id, block, runs, start..end));
            (runs, start) = (rest, end);
        }
    }

    /// Has a block rewritten, before whatever is committed next.
    fn rewrite_first(&mut self, block: u64) {
        let id = self.sealed.front().map_or(self.next_id, |front| front.id) - 1;
        let sealed = Sealed::rewriting(id, block, Vec::new(), 0..self.block_size);
        self.pending.memory += sealed.memory();
        self.sealed.push_front(sealed);
    }

    /// Where the committed bytes of a range of a block come from.
    fn find_sources(
        &self,
        pieces: &Arc<Vec<Piece>>,
        inline_end: u32,
        range: Range<u32>,
        parts: &mut Vec<(Copied, Segment)>,
    ) {
        let mut place = range.start;
        let found = pieces.iter().filter(|piece| piece.start < range.end && range.start < piece.end);
        for piece in found {
            let (start, end) = (piece.start.max(place), piece.end.min(range.end));
            self.find_unstored(inline_end, place..start, parts);
            let stored = StoredRange { pieces: Arc::clone(pieces), start, end };
            parts.push((Copied { start, end, source: Source::Object(piece.object) }, Segment::Pieces(stored)));
            place = end;
        }
        self.find_unstored(inline_end, place..range.end, parts);
    }

    /// Bytes of no piece: those in the inode record, then a hole. A large one stays a hole: as zeroes it would count as
    /// room that the file takes.
    fn find_unstored(&self, inline_end: u32, range: Range<u32>, parts: &mut Vec<(Copied, Segment)>) {
        let Range { start, end } = range;
        let edge = inline_end.clamp(start, end.max(start));
        if let Some(inline) = self.map.inline().filter(|_| start < edge) {
            let bytes = Segment::Bytes(inline.slice(start as usize..edge as usize));
            parts.push((Copied { start, end: edge, source: Source::Inline(self.committed.version) }, bytes));
        }
        if edge < end {
            let is_large = end - edge >= self.block_size / HOLES_KEPT_MAX;
            let source = if is_large { Source::Nowhere } else { Source::Hole };
            parts.push((Copied { start: edge, end, source }, Segment::Zeroes(u64::from(end - edge))));
        }
    }
}

/// Holes that a rewritten block may keep: of this part of the block at least.
const HOLES_KEPT_MAX: u32 = 8;
/// Runs of a block from which they become one piece, whatever is below.
const RUNS_ALONE_MAX: usize = 16;
/// Runs that one object takes together: a commit says of the gap behind each where its copies come from.
const RUNS_MAX: usize = 1024;
