//! `BlockMap`: what this mount knows of where the committed bytes of a file are.
//!
//! A cache of the server's map at one version: whoever learns of another version forgets it. Bounded: a map that grows
//! too large is forgotten but for the part that is asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proto::{BlockChange, Layout, Piece, insert_piece, punch};

/// See the module's text.
#[derive(Debug, Default)]
pub(super) enum BlockMap {
    /// Nothing is known.
    #[default]
    Unknown,
    /// The content is in the inode record; what misses to the file's size is zero.
    Inline(Bytes),
    /// The content is in blocks.
    Blocks(KnownBlocks),
}

/// Blocks of a file, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct KnownBlocks {
    /// Sorted ranges of blocks that are known, apart from each other.
    known: Vec<Range<u64>>,
    /// Known blocks that are no holes.
    blocks: BTreeMap<u64, Arc<Vec<Piece>>>,
}

/// What is known of one block.
pub(super) enum KnownBlock {
    /// Ask the server.
    Unknown,
    /// It has no pieces.
    Hole,
    /// It has these.
    Pieces(Arc<Vec<Piece>>),
}

impl BlockMap {
    /// Takes in what the server said of this map's version.
    pub(super) fn learn(&mut self, layout: Layout) {
        if let Some(content) = layout.inline {
            *self = Self::Inline(content);
            return;
        }
        let known = match self {
            Self::Blocks(known) if known.blocks.len() + layout.blocks.len() <= BLOCKS_KEPT_MAX => known,
            _ => {
                *self = Self::Blocks(KnownBlocks::default());
                let Self::Blocks(known) = self else { unreachable!("assigned above") };
                known
            }
        };
        for (index, pieces) in layout.blocks {
            known.blocks.insert(index.0, Arc::new(pieces));
        }
        known.mark(layout.first.0..layout.behind.0);
    }

    /// Marks blocks that never held anything as known.
    pub(super) fn learn_holes(&mut self, blocks: Range<u64>) {
        if let Self::Blocks(known) = self {
            known.mark(blocks);
        }
    }

    /// The map of a file that has no bytes.
    pub(super) fn empty() -> Self {
        Self::Blocks(KnownBlocks::default())
    }

    /// Whether it is known where block `index` of a file in blocks is.
    pub(super) fn block(&self, index: u64) -> KnownBlock {
        let Self::Blocks(map) = self else { return KnownBlock::Unknown };
        if !map.knows(index) {
            return KnownBlock::Unknown;
        }
        map.blocks.get(&index).map_or(KnownBlock::Hole, |pieces| KnownBlock::Pieces(Arc::clone(pieces)))
    }

    /// Applies a change that was committed to the version this is the map of. A block that is not known stays so.
    pub(super) fn apply(&mut self, change: BlockChange) {
        let Self::Blocks(map) = self else { return };
        let (BlockChange::Write(index, _) | BlockChange::Punch(index, _, _)) = change;
        if !map.knows(index.0) {
            return;
        }
        let pieces = Arc::make_mut(map.blocks.entry(index.0).or_default());
        match change {
            BlockChange::Write(_, piece) => insert_piece(pieces, piece),
            BlockChange::Punch(_, start, end) => punch(pieces, start, end),
        }
        if pieces.is_empty() {
            map.blocks.remove(&index.0);
        }
    }

    /// Drops what lies behind `size`.
    pub(super) fn truncate(&mut self, size: u64, block_size: u32) {
        match self {
            Self::Unknown => {}
            Self::Inline(content) => content.truncate(usize::try_from(size).unwrap_or(usize::MAX)),
            Self::Blocks(map) => {
                let first_gone = size.div_ceil(u64::from(block_size));
                drop(map.blocks.split_off(&first_gone));
                map.known.retain_mut(|range| {
                    range.end = range.end.min(first_gone);
                    range.start < range.end
                });
                if let Some(pieces) = map.blocks.get_mut(&(size / u64::from(block_size))) {
                    punch(Arc::make_mut(pieces), (size % u64::from(block_size)) as u32, block_size);
                }
                map.blocks.retain(|_, pieces| !pieces.is_empty());
            }
        }
    }

    /// Whether this is worth keeping for a file that nobody has open.
    pub(super) fn is_small(&self) -> bool {
        match self {
            Self::Unknown | Self::Inline(_) => true,
            Self::Blocks(map) => map.blocks.len() <= BLOCKS_KEPT_IDLE,
        }
    }
}

impl KnownBlocks {
    fn knows(&self, index: u64) -> bool {
        let place = self.known.partition_point(|range| range.end <= index);
        self.known.get(place).is_some_and(|range| range.start <= index)
    }

    fn mark(&mut self, blocks: Range<u64>) {
        if blocks.is_empty() {
            return;
        }
        // Ranges that touch the new one are joined with it.
        let first = self.known.partition_point(|range| range.end < blocks.start);
        let behind = self.known.partition_point(|range| range.start <= blocks.end);
        let mut joined = blocks;
        if first < behind {
            joined.start = joined.start.min(self.known[first].start);
            joined.end = joined.end.max(self.known[behind - 1].end);
        }
        self.known.splice(first..behind, [joined]);
    }
}

/// Blocks of one file whose pieces are kept: about 2 MiB of memory.
const BLOCKS_KEPT_MAX: usize = 8192;
/// Blocks of a file nobody has open.
const BLOCKS_KEPT_IDLE: usize = 16;

#[cfg(test)]
mod tests;
