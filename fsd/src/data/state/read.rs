//! Reading: which layer each byte comes from.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use proto::{Piece, gaps};

use super::{BeforeCut, FileState};
use crate::data::map::{BlockMap, KnownBlock};

/// What a read takes.
#[derive(Debug)]
pub(crate) enum ReadPlan {
    /// The bytes, in order. Shorter than asked for where the file ends.
    Ready(Vec<Segment>),
    /// The map of this block is needed first.
    NeedLayout(u64),
    /// Others cut the bytes off, the kernel does not know of it, and what they were is not known any more.
    Gone,
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
    /// Plans a read of up to `len` bytes. `page`: the kernel asks for pages of this size, and not for any behind the end
    /// of the file as it knows it.
    ///
    /// Where it asks for more than there is, the file was cut and it does not know of that yet. An answer that ends early
    /// will not do: of several of them it believes one, and makes zeroes of the rest. So it gets the bytes that were there.
    pub(crate) fn plan_read(&self, offset: u64, len: u64, page: Option<u64>) -> ReadPlan {
        let mut segments = Vec::new();
        let (end, size) = (offset.saturating_add(len), self.size());
        for (block, range) in self.blocks_of(offset, end, size) {
            if !self.plan_block(block, range, &mut segments) {
                return ReadPlan::NeedLayout(block);
            }
        }
        match page {
            Some(page)
                if end > pages_end(size, page) && !self.plan_cut_off(offset.max(size)..end, page, &mut segments) =>
            {
                ReadPlan::Gone
            }
            _ => ReadPlan::Ready(segments),
        }
    }

    /// Adds the segments of bytes that are behind the end of the file now. `false` where it is not known what they were.
    fn plan_cut_off(&self, range: Range<u64>, page: u64, segments: &mut Vec<Segment>) -> bool {
        let Some(BeforeCut { size, map }) = &self.before_cut else { return false };
        range.end <= pages_end(*size, page)
            && self
                .blocks_of(range.start, range.end, *size)
                .all(|(block, range)| self.plan_stored(map, *size, block, range, segments))
    }

    /// Where the committed bytes of a range are: what reading ahead fetches.
    ///
    /// # Errors
    /// The first block whose map is needed to tell.
    pub(crate) fn plan_ahead(&self, range: Range<u64>) -> Result<Vec<StoredRange>, u64> {
        let mut stored = Vec::new();
        for (block, range) in self.blocks_of(range.start, range.end, self.committed.size) {
            match self.base_block(block) {
                KnownBlock::Unknown => return Err(block),
                KnownBlock::Hole => {}
                KnownBlock::Pieces(pieces) => stored.push(StoredRange { pieces, start: range.start, end: range.end }),
            }
        }
        Ok(stored)
    }

    /// Cuts the bytes of a range that lie before `file_end` at the borders of blocks.
    fn blocks_of(&self, offset: u64, end: u64, file_end: u64) -> impl Iterator<Item = (u64, Range<u32>)> + use<> {
        let block_size = u64::from(self.block_size);
        let end = end.min(file_end);
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

    fn plan_committed(&self, block: u64, range: Range<u32>, segments: &mut Vec<Segment>) -> bool {
        self.plan_stored(&self.map, self.committed.size, block, range, segments)
    }

    /// Adds the segments of a range of a file of `size` bytes, zeroes behind its end. `false` where the block's map is not
    /// known.
    fn plan_stored(
        &self,
        map: &BlockMap,
        size: u64,
        block: u64,
        range: Range<u32>,
        segments: &mut Vec<Segment>,
    ) -> bool {
        let block_size = u64::from(self.block_size);
        let size_here = size.saturating_sub(self.offset_of(block)).min(block_size) as u32;
        let held = range.start..range.end.min(size_here).max(range.start);
        if !held.is_empty() {
            let inline = map.inline().filter(|inline| block == 0 && !inline.is_empty());
            match map.block_before(block, size.div_ceil(block_size)) {
                KnownBlock::Unknown => return false,
                KnownBlock::Hole => plan_unstored(inline, held.clone(), segments),
                KnownBlock::Pieces(pieces) => plan_pieces(pieces, inline, held.clone(), segments),
            }
        }
        push_zeroes(segments, u64::from(range.end - held.end));
        true
    }
}

/// End of the last page of a file of `size` bytes.
fn pages_end(size: u64, page: u64) -> u64 {
    size.checked_next_multiple_of(page).unwrap_or(u64::MAX)
}

fn plan_pieces(pieces: Arc<Vec<Piece>>, inline: Option<&Bytes>, range: Range<u32>, segments: &mut Vec<Segment>) {
    let mut place = range.start;
    // The reader makes zeroes of gaps, but does not know of the bytes in the inode record.
    if let Some(inline) = inline {
        for gap in gaps(&pieces, range.start, range.end.min(inline.len() as u32)) {
            if place < gap.start {
                let stored = StoredRange { pieces: Arc::clone(&pieces), start: place, end: gap.start };
                segments.push(Segment::Pieces(stored));
            }
            place = gap.end;
            plan_unstored(Some(inline), gap, segments);
        }
    }
    if place < range.end {
        segments.push(Segment::Pieces(StoredRange { pieces, start: place, end: range.end }));
    }
}

/// Adds bytes of no piece: from the inode record, then zeroes.
fn plan_unstored(inline: Option<&Bytes>, range: Range<u32>, segments: &mut Vec<Segment>) {
    let mut place = range.start;
    if let Some(inline) = inline
        && (place as usize) < inline.len()
    {
        let end = range.end.min(inline.len() as u32);
        segments.push(Segment::Bytes(inline.slice(place as usize..end as usize)));
        place = end;
    }
    push_zeroes(segments, u64::from(range.end - place));
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
