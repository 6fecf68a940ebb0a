//! Reading: which layer each byte comes from.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proto::{Piece, gaps};

use super::FileState;
use crate::data::map::KnownBlock;

/// What a read takes.
#[derive(Debug)]
pub(crate) enum ReadPlan {
    /// The bytes, in order. Shorter than asked for where the file ends.
    Ready(Vec<Segment>),
    /// The map of this block is needed first.
    NeedLayout(u64),
}

/// Where a part of a read comes from.
#[derive(Debug)]
pub(crate) enum Segment {
    /// From memory.
    Bytes(Bytes),
    /// From nowhere.
    Zeroes(u64),
    /// From the store.
    Pieces(StoredRange),
}

impl Segment {
    /// Takes the segment and leaves none.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::Zeroes(0))
    }
}

/// Bytes of a committed block.
#[derive(Clone, Debug)]
pub(crate) struct StoredRange {
    /// The block's pieces.
    pub(crate) pieces: Arc<Vec<Piece>>,
    /// First byte in the block.
    pub(crate) start: u32,
    /// First byte behind.
    pub(crate) end: u32,
}

#[derive(Clone, Copy)]
enum Source {
    Committed,
    /// By index in the queue.
    Sealed(usize),
    Buffer,
}

/// Bytes of a block that come from one source.
#[derive(Clone, Copy)]
struct Layer {
    start: u32,
    end: u32,
    source: Source,
}

impl FileState {
    /// Plans a read of up to `len` bytes.
    pub(crate) fn plan_read(&self, offset: u64, len: u64) -> ReadPlan {
        let mut segments = Vec::new();
        for (block, range) in self.blocks_of(offset, len, self.size()) {
            if !self.plan_block(block, range, &mut segments) {
                return ReadPlan::NeedLayout(block);
            }
        }
        ReadPlan::Ready(segments)
    }

    /// Where the committed bytes of a range are: what reading ahead fetches.
    ///
    /// # Errors
    /// The first block whose map is needed to tell.
    pub(crate) fn plan_ahead(&self, range: Range<u64>) -> Result<Vec<StoredRange>, u64> {
        let mut stored = Vec::new();
        for (block, range) in self.blocks_of(range.start, range.end - range.start, self.committed.size) {
            match self.base_block(block) {
                KnownBlock::Unknown => return Err(block),
                KnownBlock::Hole => {}
                KnownBlock::Pieces(pieces) => stored.push(StoredRange { pieces, start: range.start, end: range.end }),
            }
        }
        Ok(stored)
    }

    /// Cuts the bytes of a range that lie before `file_end` at the borders of blocks.
    fn blocks_of(&self, offset: u64, len: u64, file_end: u64) -> impl Iterator<Item = (u64, Range<u32>)> + use<> {
        let block_size = u64::from(self.block_size);
        let end = offset.saturating_add(len).min(file_end);
        let blocks = if offset < end { offset / block_size..end.div_ceil(block_size) } else { 0..0 };
        blocks.map(move |block| {
            let block_start = block * block_size;
            let from = offset.saturating_sub(block_start);
            let to = (end - block_start).min(block_size);
            (block, from as u32..to as u32)
        })
    }

    /// Adds the segments of a range of one block. `false` where its map is needed and not known.
    fn plan_block(&self, block: u64, range: Range<u32>, segments: &mut Vec<Segment>) -> bool {
        for layer in self.layers(block, range) {
            match layer.source {
                Source::Committed => {
                    if !self.plan_committed(block, layer.start..layer.end, segments) {
                        return false;
                    }
                }
                Source::Sealed(index) => {
                    let slices = self.sealed[index].slices(layer.start, layer.end);
                    segments.extend(slices.map(|(_, slice)| Segment::Bytes(slice)));
                }
                Source::Buffer => {
                    let slices = self.buffers[&block].slices(layer.start, layer.end);
                    // A buffer may change while the read is answered, hence the copy.
                    segments.extend(slices.map(|(_, slice)| Segment::Bytes(Bytes::copy_from_slice(slice))));
                }
            }
        }
        true
    }

    /// What is on top at each byte of the range.
    fn layers(&self, block: u64, range: Range<u32>) -> Vec<Layer> {
        let mut layers = vec![Layer { start: range.start, end: range.end, source: Source::Committed }];
        for (index, sealed) in self.sealed.iter().enumerate().filter(|(_, sealed)| sealed.block == block) {
            for (start, slice) in sealed.slices(range.start, range.end) {
                paint(&mut layers, Layer { start, end: start + slice.len() as u32, source: Source::Sealed(index) });
            }
        }
        if let Some(buffer) = self.buffers.get(&block) {
            for (start, slice) in buffer.slices(range.start, range.end) {
                paint(&mut layers, Layer { start, end: start + slice.len() as u32, source: Source::Buffer });
            }
        }
        layers
    }

    /// Adds the segments of the committed bytes of a range, zeroes behind the end of the file. `false` where the block's
    /// map is not known.
    fn plan_committed(&self, block: u64, range: Range<u32>, segments: &mut Vec<Segment>) -> bool {
        let block_start = self.offset_of(block);
        let committed_end = self.committed.size.saturating_sub(block_start).min(u64::from(self.block_size)) as u32;
        let held_end = range.end.min(committed_end).max(range.start);
        if range.start < held_end {
            let held = range.start..held_end;
            match self.base_block(block) {
                KnownBlock::Unknown => return false,
                KnownBlock::Hole => self.plan_unstored(block, held, segments),
                KnownBlock::Pieces(pieces) => self.plan_pieces(block, &pieces, held, segments),
            }
        }
        push_zeroes(segments, u64::from(range.end - held_end));
        true
    }

    fn plan_pieces(&self, block: u64, pieces: &Arc<Vec<Piece>>, range: Range<u32>, segments: &mut Vec<Segment>) {
        let stored = |start: u32, end: u32, segments: &mut Vec<Segment>| {
            if start < end {
                segments.push(Segment::Pieces(StoredRange { pieces: Arc::clone(pieces), start, end }));
            }
        };
        // The reader makes zeroes of gaps, but does not know of the bytes in the inode record.
        let inline_end = if block == 0 { self.inline_len().unwrap_or(0) as u32 } else { 0 };
        let mut place = range.start;
        for gap in gaps(pieces, range.start, range.end.min(inline_end)) {
            stored(place, gap.start, segments);
            self.plan_unstored(block, gap.clone(), segments);
            place = gap.end;
        }
        stored(place, range.end, segments);
    }

    /// Adds bytes of no piece: from the inode record, then zeroes.
    fn plan_unstored(&self, block: u64, range: Range<u32>, segments: &mut Vec<Segment>) {
        let mut place = range.start;
        if let Some(inline) = self.map.inline().filter(|_| block == 0) {
            let inline_end = range.end.min(inline.len() as u32);
            if place < inline_end {
                segments.push(Segment::Bytes(inline.slice(place as usize..inline_end as usize)));
                place = inline_end;
            }
        }
        push_zeroes(segments, u64::from(range.end - place));
    }
}

fn push_zeroes(segments: &mut Vec<Segment>, len: u64) {
    if len > 0 {
        segments.push(Segment::Zeroes(len));
    }
}

/// Puts `top` over `layers`, which are sorted and cover the range without gaps.
fn paint(layers: &mut Vec<Layer>, top: Layer) {
    if top.start >= top.end {
        return;
    }
    let first = layers.partition_point(|layer| layer.end <= top.start);
    let behind = layers.partition_point(|layer| layer.start < top.end);
    let (head, tail) = (layers[first], layers[behind - 1]);
    let head = (head.start < top.start).then_some(Layer { end: top.start, ..head });
    let tail = (tail.end > top.end).then_some(Layer { start: top.end, ..tail });
    layers.splice(first..behind, head.into_iter().chain([top]).chain(tail));
}
