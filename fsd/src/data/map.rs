//! `BlockMap`: what this mount knows of where the committed bytes of a file are.
//!
//! A cache of the server's map at one version: whoever learns of another version forgets it. Bounded: a map that grows
//! too large is forgotten but for the part that is asked for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proto::limits::INLINE_MAX;
use proto::{Below, BlockChange, BlockIndex, Layout, Piece, gaps, insert_piece, punch};

/// See the module's text.
#[derive(Clone, Debug, Default)]
pub(super) enum BlockMap {
    /// Nothing is known.
    #[default]
    Unknown,
    /// What the inode record holds, and some of the blocks.
    Known(KnownBlocks),
}

/// Blocks of a file, as far as they are known.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownBlocks {
    /// The file's first bytes, where the inode record keeps them: below all pieces.
    inline: Bytes,
    /// Sorted ranges of blocks that are known, apart from each other.
    known: Vec<Range<u64>>,
    /// Known blocks that have pieces.
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

/// The file around a change that was committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    /// Bytes in a block.
    pub(super) block_size: u32,
    /// Version before the change.
    pub(super) version: u64,
    /// Length behind it.
    pub(super) size: u64,
}

impl BlockMap {
    /// Takes in what the server said of this map's version.
    pub(super) fn learn(&mut self, layout: Layout) {
        let known = match self {
            Self::Known(known) if known.has_room(&layout) => known,
            _ => {
                *self = Self::empty();
                let Self::Known(known) = self else { unreachable!("assigned above") };
                known
            }
        };
        known.inline = layout.inline.unwrap_or_default();
        for (index, pieces) in layout.blocks {
            known.blocks.insert(index.0, Arc::new(pieces));
        }
        known.mark(layout.first.0..layout.behind.0);
    }

    /// Marks blocks that never held anything as known.
    pub(super) fn learn_holes(&mut self, blocks: Range<u64>) {
        if let Self::Known(known) = self {
            known.mark(blocks);
        }
    }

    /// The map of a file that has no bytes.
    pub(super) fn empty() -> Self {
        Self::Known(KnownBlocks::default())
    }

    /// The map of a file of `blocks` blocks, all of whose content is in the inode record.
    pub(super) fn of_inline(inline: Bytes, blocks: u64) -> Self {
        let mut known = KnownBlocks { inline, ..KnownBlocks::default() };
        known.mark(0..blocks);
        Self::Known(known)
    }

    /// The bytes that the inode record holds; `None` where that is not known.
    pub(super) fn inline(&self) -> Option<&Bytes> {
        match self {
            Self::Unknown => None,
            Self::Known(known) => Some(&known.inline),
        }
    }

    /// Which pieces block `index` has.
    pub(super) fn block(&self, index: u64) -> KnownBlock {
        let Self::Known(map) = self else { return KnownBlock::Unknown };
        if !map.knows(index) {
            return KnownBlock::Unknown;
        }
        map.blocks.get(&index).map_or(KnownBlock::Hole, |pieces| KnownBlock::Pieces(Arc::clone(pieces)))
    }

    /// As [`Self::block`], of a file of `blocks` blocks: behind them there is nothing to ask for.
    pub(super) fn block_before(&self, index: u64, blocks: u64) -> KnownBlock {
        if index >= blocks { KnownBlock::Hole } else { self.block(index) }
    }

    /// Applies a change that was committed to the version this is the map of, as the server did. A block that is not
    /// known stays so.
    pub(super) fn apply(&mut self, change: BlockChange, around: Change) {
        let Self::Known(map) = self else { return };
        let index = change.block().0;
        if !map.knows(index) {
            return;
        }
        let below = map.below(index, around);
        let pieces = Arc::make_mut(map.blocks.entry(index).or_default());
        match change {
            BlockChange::Write(_, piece) => insert_piece(pieces, piece),
            BlockChange::Rewrite(_, rewrite) => rewrite.apply(pieces, below),
            BlockChange::Punch(_, start, end) => punch(pieces, start, end),
        }
        if pieces.is_empty() {
            map.blocks.remove(&index);
        }
    }

    /// Forgets inline content that pieces cover, as the server does after each commit.
    pub(super) fn drop_covered_inline(&mut self) {
        if let Self::Known(map) = self
            && let Some(pieces) = map.blocks.get(&0)
            && gaps(pieces, 0, map.inline.len() as u32).is_empty()
        {
            map.inline = Bytes::new();
        }
    }

    /// Drops what lies behind `size`.
    pub(super) fn truncate(&mut self, size: u64, block_size: u32) {
        let Self::Known(map) = self else { return };
        map.inline.truncate(usize::try_from(size).unwrap_or(usize::MAX));
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

    /// Whether this is worth keeping for a file that nobody has open.
    pub(super) fn is_small(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Known(map) => map.blocks.len() <= BLOCKS_KEPT_IDLE,
        }
    }
}

/// Whether a layout keeps to the rules that everything here relies on. It comes from a peer.
pub(super) fn is_sound(layout: &Layout, block_size: u32) -> bool {
    let is_block = |(_, pieces): &(BlockIndex, Vec<Piece>)| {
        pieces.iter().all(|piece| piece.is_valid(block_size))
            && pieces.windows(2).all(|pair| pair[0].end <= pair[1].start)
    };
    let range = layout.first..layout.behind;
    layout.inline.as_ref().is_none_or(|inline| inline.len() <= INLINE_MAX as usize)
        && layout.blocks.iter().all(|block| range.contains(&block.0) && is_block(block))
}

impl KnownBlocks {
    fn has_room(&self, layout: &Layout) -> bool {
        let known = self.blocks.values().map(|pieces| pieces.len());
        let news = layout.blocks.iter().map(|(_, pieces)| pieces.len());
        let pieces: usize = known.chain(news).sum();
        pieces <= PIECES_KEPT_MAX && self.blocks.len() + layout.blocks.len() <= BLOCKS_KEPT_MAX
    }

    fn knows(&self, index: u64) -> bool {
        let place = self.known.partition_point(|range| range.end <= index);
        self.known.get(place).is_some_and(|range| range.start <= index)
    }

    /// What block `index` shows where it has no piece. Only the first block has bytes in the inode record.
    fn below(&self, index: u64, around: Change) -> Below {
        let block_size = u64::from(around.block_size);
        let start = index.saturating_mul(block_size);
        Below {
            inline_end: if index == 0 { self.inline.len() as u32 } else { 0 },
            version: around.version,
            end: around.size.saturating_sub(start).min(block_size) as u32,
        }
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

/// Blocks of one file whose pieces are kept.
const BLOCKS_KEPT_MAX: usize = 8192;
/// Pieces of one file that are kept, unless one page of the map has more: about 4 MiB of memory.
const PIECES_KEPT_MAX: usize = 4 * BLOCKS_KEPT_MAX;
/// Blocks of a file nobody has open.
const BLOCKS_KEPT_IDLE: usize = 16;

#[cfg(test)]
mod tests;
