//! Rewriting a block: one piece in the place of many.
//!
//! A mount that writes to a block of many pieces copies the bytes around its own along, so that one object holds them
//! all. When that piece is committed, another mount may have written there, or cut the file. So the piece says of every
//! copied byte where it came from, and the byte counts only where the block still shows what was copied. Objects never
//! change: what still comes from the same object is still the same. Thus a rewrite is never refused and takes nothing
//! from anybody, however old the map was that it was made by.
//!
//! The same code runs in the metadata server (commits) and in the mount (which keeps its map up to date by it).

use std::ops::{ControlFlow, Range};

use serde::{Deserialize, Serialize};

use crate::{ObjectId, Piece};

/// Where copied bytes were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Source {
    /// In this object. An object is committed once, so that it says which byte it was, too.
    Object(ObjectId),
    /// In the inode record, when the file had this version.
    Inline(u64),
    /// In no piece and not in the inode record: zeroes.
    Hole,
    /// Not found: padding, which nobody is ever shown.
    Nowhere,
}

/// Bytes of a piece that were not written but copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Copied {
    /// First byte in the block.
    pub start: u32,
    /// First byte in the block behind them.
    pub end: u32,
    /// Where they were found.
    pub source: Source,
}

/// A piece that holds copies besides what was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rewrite {
    /// The piece, all of whose bytes are visible where they count.
    pub piece: Piece,
    /// Its copied bytes: ascending, apart from each other; at most [`crate::limits::COPIES_MAX`] in a commit.
    pub copied: Vec<Copied>,
}

/// What a block shows where it has no piece, and how far it reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Below {
    /// Bytes of the block that the inode record holds.
    pub inline_end: u32,
    /// The file's version before the change.
    pub version: u64,
    /// Bytes of the block that lie in the file after the change.
    pub end: u32,
}

impl Rewrite {
    /// Whether the numbers fit together and into a block of `block_size` bytes. A peer's is checked before use.
    #[must_use]
    pub fn is_valid(&self, block_size: u32) -> bool {
        let mut place = self.piece.start;
        let is_ordered = self.copied.iter().all(|copied| {
            let fits = place <= copied.start && copied.start < copied.end;
            place = copied.end;
            fits
        });
        self.piece.is_valid(block_size) && is_ordered && place <= self.piece.end
    }

    /// First byte of the block behind the last one that was written; `None` where all are copies.
    #[must_use]
    pub fn written_end(&self) -> Option<u32> {
        let end = self.copied.iter().rev().try_fold(self.piece.end, |end, copied| match copied.end == end {
            true => ControlFlow::Continue(copied.start),
            false => ControlFlow::Break(end),
        });
        let (ControlFlow::Continue(end) | ControlFlow::Break(end)) = end;
        (end > self.piece.start).then_some(end)
    }

    /// Puts what counts of the piece over `pieces` (sorted, disjoint; stays so).
    pub fn apply(&self, pieces: &mut Vec<Piece>, below: Below) {
        let mut shown: Vec<Range<u32>> = Vec::new();
        let mut show = |range: Range<u32>| match shown.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => shown.push(range),
        };
        let mut place = self.piece.start;
        for copied in &self.copied {
            show(place..copied.start);
            copied.still_shown(pieces, below).into_iter().for_each(&mut show);
            place = copied.end;
        }
        show(place..self.piece.end);
        let mut rest = without(pieces, &shown);
        rest.extend(shown.into_iter().map(|Range { start, end }| Piece { start, end, ..self.piece.clone() }));
        rest.sort_unstable_by_key(|piece| piece.start);
        *pieces = rest;
    }
}

impl Copied {
    /// The parts of the range in which the block shows the same as when it was copied.
    fn still_shown(&self, pieces: &[Piece], below: Below) -> Vec<Range<u32>> {
        match self.source {
            Source::Object(object) => {
                let pieces = overlapping(pieces, self.start, self.end).iter().filter(|piece| piece.object == object);
                pieces.map(|piece| piece.start.max(self.start)..piece.end.min(self.end)).collect()
            }
            Source::Inline(version) if version == below.version => {
                gaps(pieces, self.start, self.end.min(below.inline_end))
            }
            Source::Hole => gaps(pieces, self.start.max(below.inline_end), self.end.min(below.end)),
            Source::Inline(_) | Source::Nowhere => Vec::new(),
        }
    }
}

/// The ranges of `start..end` that no piece holds, ascending. `pieces` is sorted and disjoint.
#[must_use]
pub fn gaps(pieces: &[Piece], start: u32, end: u32) -> Vec<Range<u32>> {
    let mut gaps = Vec::new();
    let mut place = start;
    for piece in overlapping(pieces, start, end) {
        if place < piece.start {
            gaps.push(place..piece.start);
        }
        place = piece.end;
    }
    if place < end {
        gaps.push(place..end);
    }
    gaps
}

/// What is left of pieces without the bytes in `ranges`; both are sorted and disjoint. One walk through both, because
/// neither is short.
fn without(pieces: &[Piece], ranges: &[Range<u32>]) -> Vec<Piece> {
    let mut left = Vec::with_capacity(pieces.len() + ranges.len());
    let mut next = 0;
    for piece in pieces {
        let mut start = piece.start;
        next += ranges[next..].partition_point(|range| range.end <= start);
        for range in ranges[next..].iter().take_while(|range| range.start < piece.end) {
            if start < range.start {
                left.push(Piece { start, end: range.start, ..piece.clone() });
            }
            start = range.end;
        }
        if start < piece.end {
            left.push(Piece { start, ..piece.clone() });
        }
    }
    left
}

/// The pieces with a byte in `start..end`.
fn overlapping(pieces: &[Piece], start: u32, end: u32) -> &[Piece] {
    let first = pieces.partition_point(|piece| piece.end <= start);
    let behind = pieces.partition_point(|piece| piece.start < end);
    &pieces[first.min(behind)..behind]
}

#[cfg(test)]
mod tests;
