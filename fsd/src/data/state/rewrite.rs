//! Sealing what is in buffers, and rewriting blocks that would consist of too many pieces.
//!
//! A rewritten block takes along what lies around the written bytes. It does so only when all that was sealed before is
//! committed, so that the map shows it. What another mount commits meanwhile is safe: see [`proto::Rewrite`].

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use proto::{Copied, Piece, Source};

use super::{FileState, Segment};
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
    /// First byte of the block that the segments begin with.
    start: u32,
    /// Where the bytes are that will be copied.
    copied: Vec<Copied>,
    /// All bytes from `start` on.
    pub(crate) segments: Vec<Segment>,
}

impl FileState {
    /// Seals what is in buffers, without a look at what is below. Returns the newest sealed run.
    pub(crate) fn seal_all(&mut self) -> Option<u64> {
        for block in self.buffered_blocks() {
            match self.buffers.get(&block).map(BlockBuffer::run_count) {
                Some(runs) if runs >= RUNS_ALONE_MAX => self.seal_rewritten(block),
                _ => self.seal(block),
            }
        }
        self.newest_sealed()
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
        if count >= pieces_max {
            self.seal_rewritten(block);
        } else {
            self.seal(block);
        }
        Ok(())
    }

    /// Has the content of the inode record copied into the first block, before whatever is committed next: a file that
    /// has grown does not need it there.
    pub(crate) fn move_inline(&mut self) {
        let len = self.inline_len().unwrap_or(0);
        let is_covered = |sealed: &Sealed| match sealed.runs.as_slice() {
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
        let mut copied = Vec::new();
        let mut start = range.start;
        for run in &sealed.runs {
            self.find_sources(&pieces, inline_end, start..run.start, &mut copied);
            start = run.end();
        }
        self.find_sources(&pieces, inline_end, start..range.end, &mut copied);
        let mut segments = Vec::new();
        let is_known = copied.is_empty() || self.plan_committed(block, range.clone(), &mut segments);
        debug_assert!(is_known, "the block's map was looked at above");
        CopyPlan::Read(CopyRead { id, start: range.start, copied, segments })
    }

    /// Takes in the bytes that were read, from the first to the last. `None` where they cannot be had: then the written
    /// ones go alone, with padding in between.
    pub(crate) fn settle_copies(&mut self, read: CopyRead, slices: Option<Vec<Bytes>>) {
        let Some(place) = self.place_of(read.id) else { return };
        let CopyRead { start, mut copied, .. } = read;
        let mut slices = slices.unwrap_or_else(|| {
            copied.iter_mut().for_each(|copied| copied.source = Source::Nowhere);
            let end = copied.last().map_or(start, |copied| copied.end);
            block::zeroes(u64::from(end - start)).collect()
        });
        if self.sealed[place].runs.is_empty() && copied.iter().all(|copied| copied.source == Source::Nowhere) {
            self.remove_sealed(place);
            return;
        }
        slices.reverse();
        let mut position = start;
        let runs = copied.iter().map(|copied| {
            skip(&mut slices, &mut position, copied.start);
            Run { start: copied.start, chunks: skip(&mut slices, &mut position, copied.end) }
        });
        let runs = runs.collect();
        let sealed = &mut self.sealed[place];
        let before = sealed.memory();
        sealed.complete(copied, runs);
        self.pending.memory = self.pending.memory - before + sealed.memory();
    }

    /// Seals a block's buffer to be rewritten, with what is sealed of the block already.
    fn seal_rewritten(&mut self, block: u64) {
        let Some(mut buffer) = self.buffers.remove(&block) else { return };
        self.count_buffer((buffer.len(), buffer.memory()), (0, 0));
        for place in (0..self.sealed.len()).rev().filter(|place| self.sealed[*place].block == block).collect::<Vec<_>>()
        {
            let older = self.remove_sealed(place);
            for run in &older.runs {
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
    fn find_sources(&self, pieces: &[Piece], inline_end: u32, range: Range<u32>, copied: &mut Vec<Copied>) {
        let mut add = |start: u32, end: u32, source| {
            if start < end {
                copied.push(Copied { start, end, source });
            }
        };
        let mut place = range.start;
        let behind = range.end..range.end;
        let pieces = pieces.iter().filter(|piece| piece.start < range.end && range.start < piece.end);
        let found = pieces.map(|piece| (piece.start..piece.end.min(range.end), Some(piece.object)));
        for (shown, object) in found.chain([(behind, None)]) {
            let start = shown.start.max(place);
            let edge = inline_end.clamp(place, start);
            add(place, edge, Source::Inline(self.committed.version));
            add(edge, start, Source::Hole);
            add(start, shown.end, object.map_or(Source::Hole, Source::Object));
            place = shown.end;
        }
    }
}

/// Takes the bytes from `position` to `to` off the slices, of which the next is the last.
fn skip(slices: &mut Vec<Bytes>, position: &mut u32, to: u32) -> Vec<Bytes> {
    let mut taken = Vec::new();
    while *position < to
        && let Some(mut slice) = slices.pop()
    {
        let wanted = (to - *position) as usize;
        if slice.len() > wanted {
            slices.push(slice.split_off(wanted));
        }
        *position += slice.len() as u32;
        taken.push(slice);
    }
    taken
}

/// Runs of a block from which they become one piece, whatever is below.
const RUNS_ALONE_MAX: usize = 16;
/// Runs that one object takes together: a commit says of the gap behind each where its copies come from.
const RUNS_MAX: usize = 1024;
