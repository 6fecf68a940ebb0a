//! The block map of a file: which bytes of a block live where in which object.
//!
//! A block is a sorted list of pieces that never overlap; bytes of no piece read as zero. Writing inserts a piece and
//! clips what it covers, so the newest write wins and no reader has to know the order of writes.
//! The same code runs in the metadata server (commits, truncation) and in the mount (data not committed yet).

use serde::{Deserialize, Serialize};

use crate::ObjectId;

/// Uncompressed bytes in a frame, the unit that is compressed, checked and fetched; the last frame of a piece may be shorter.
pub const FRAME_SIZE: u32 = 128 << 10;
/// Largest block size of a volume in bytes.
pub const BLOCK_SIZE_MAX: u32 = 8 << 20;
/// Smallest block size of a volume in bytes.
pub const BLOCK_SIZE_MIN: u32 = 256 << 10;

/// How one frame is stored in its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredFrame(u32);

impl StoredFrame {
    const COMPRESSED: u32 = 1 << 31;

    /// A frame that takes `len` bytes of its object, checksum included; `compressed` by the volume's method.
    #[must_use]
    pub const fn new(len: u32, compressed: bool) -> Self {
        Self(len & !Self::COMPRESSED | if compressed { Self::COMPRESSED } else { 0 })
    }

    /// Bytes in the object, checksum included.
    #[must_use]
    pub const fn stored_len(self) -> u32 {
        self.0 & !Self::COMPRESSED
    }

    /// Whether the payload is compressed.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        self.0 & Self::COMPRESSED != 0
    }
}

/// A byte range of a block that lives in an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Piece {
    /// First byte in the block that reads from this piece.
    pub start: u32,
    /// First byte in the block behind the piece.
    pub end: u32,
    /// Place in the block of the first byte that was written; below `start` where a newer write clipped the head.
    pub origin: u32,
    /// Uncompressed bytes written at `origin`; the last frame is shorter by what misses to whole frames.
    pub len: u32,
    /// The object that holds the frames.
    pub object: ObjectId,
    /// Place of the first frame in the object, in bytes.
    pub object_offset: u64,
    /// The frames, in order and without gaps in the object.
    pub frames: Vec<StoredFrame>,
}

impl Piece {
    /// Whether the numbers fit together and into a block of `block_size` bytes. A peer's piece is checked before use.
    #[must_use]
    pub fn is_valid(&self, block_size: u32) -> bool {
        let Some(written_end) = self.origin.checked_add(self.len) else { return false };
        self.origin <= self.start
            && self.start < self.end
            && self.end <= written_end
            && written_end <= block_size
            && self.frames.len() == self.len.div_ceil(FRAME_SIZE) as usize
    }

    /// Uncompressed length of frame `index`.
    #[must_use]
    pub fn frame_len(&self, index: usize) -> u32 {
        let before = index as u32 * FRAME_SIZE;
        FRAME_SIZE.min(self.len.saturating_sub(before))
    }

    /// Visible bytes.
    #[must_use]
    pub fn visible_len(&self) -> u32 {
        self.end - self.start
    }
}

/// Puts `piece` over `pieces` (sorted, disjoint; stays so), clipping or dropping what it covers.
pub fn insert_piece(pieces: &mut Vec<Piece>, piece: Piece) {
    punch(pieces, piece.start, piece.end);
    let place = pieces.partition_point(|other| other.start < piece.start);
    pieces.insert(place, piece);
}

/// Makes the bytes `start..end` of the block a hole. `pieces` is sorted and disjoint and stays so.
pub fn punch(pieces: &mut Vec<Piece>, start: u32, end: u32) {
    if start >= end {
        return;
    }
    let first = pieces.partition_point(|piece| piece.end <= start);
    let behind = pieces.partition_point(|piece| piece.start < end);
    if first == behind {
        return;
    }
    let mut kept = Vec::with_capacity(2);
    let head = &pieces[first];
    if head.start < start {
        kept.push(Piece { end: start, ..head.clone() });
    }
    let tail = &pieces[behind - 1];
    if tail.end > end {
        kept.push(Piece { start: end, ..tail.clone() });
    }
    pieces.splice(first..behind, kept);
}

/// Bytes of the block that some piece holds.
#[must_use]
pub fn allocated(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| u64::from(piece.visible_len())).sum()
}

#[cfg(test)]
mod tests;
