//! Frames: a piece of a block is cut in frames of [`FRAME_SIZE`] bytes, each compressed where that shrinks it, each with
//! a CRC-64/NVME behind it that also covers the object and the place in the object.
//!
//! Refuses bytes that are not exactly what was written there. Invariant: what [`encode`] made, [`decode`] gives back.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use proto::{Compression, FRAME_SIZE, ObjectId, Piece, StoredFrame};

use crate::{StoreError, StoreErrorKind};

/// Bytes of a frame's checksum, little-endian behind the payload.
pub const CHECKSUM_LEN: usize = 8;

/// Makes an object of one piece: `chunks` is what was written at `origin` of the block, one chunk behind the other.
/// Returns the piece, all of it visible, and the object's bytes. Frames that do not shrink are not copied.
///
/// Takes CPU time in proportion to the data (about a millisecond per MiB with LZ4): not for a thread that serves requests.
///
/// # Panics
/// If `chunks` is empty or longer than a block can be: the caller cuts its data.
#[must_use]
pub fn encode(object: ObjectId, origin: u32, chunks: &[Bytes], compression: Compression) -> (Piece, Vec<Bytes>) {
    let len: usize = chunks.iter().map(Bytes::len).sum();
    assert!(0 < len && len <= proto::BLOCK_SIZE_MAX as usize, "a piece of {len} bytes");
    let len = len as u32;
    let mut encoder = Encoder::new(object, compression, len);
    let mut rest = Chunks { chunks, offset: 0 };
    let mut left = len;
    while left > 0 {
        let frame_len = left.min(FRAME_SIZE);
        encoder.add(&rest.take(frame_len as usize));
        left -= frame_len;
    }
    let (frames, body) = encoder.finish();
    let end = origin + len;
    (Piece { start: origin, end, origin, len, object, object_offset: 0, frames }, body)
}

/// Checks and unpacks one frame. `stored` is what the object holds at `offset`, checksum included; `len` the bytes that
/// the frame stands for. The result shares `stored` where the frame is not compressed.
///
/// # Errors
/// [`StoreErrorKind::Corrupt`] where the bytes are not those that were written there.
pub fn decode(object: ObjectId, offset: u64, frame: StoredFrame, len: u32, stored: Bytes) -> Result<Bytes, StoreError> {
    let corrupt = |what: &str| {
        let message = format!("object {object}, frame at byte {offset}: {what}");
        StoreError::new(StoreErrorKind::Corrupt, message)
    };
    let payload_len = stored.len().checked_sub(CHECKSUM_LEN).ok_or_else(|| corrupt("shorter than its checksum"))?;
    let (payload, checksum) = stored.split_at(payload_len);
    if checksum != checksum_of(object, offset, &[payload]).as_slice() {
        return Err(corrupt("the checksum does not match"));
    }
    if !frame.is_compressed() {
        let right = payload_len == len as usize;
        return if right { Ok(stored.slice(..payload_len)) } else { Err(corrupt("the length does not match")) };
    }
    if len > FRAME_SIZE {
        return Err(corrupt("longer than a frame may be"));
    }
    let mut unpacked = vec![0; len as usize];
    match lz4_flex::block::decompress_into(payload, &mut unpacked) {
        Ok(written) if written == unpacked.len() => Ok(unpacked.into()),
        _ => Err(corrupt("the compressed data does not unpack to its length")),
    }
}

/// Offset in the object of frame `index` of `piece`.
#[must_use]
pub fn offset_of(piece: &Piece, index: usize) -> u64 {
    let before: u64 = piece.frames[..index].iter().map(|frame| u64::from(frame.stored_len())).sum();
    piece.object_offset.saturating_add(before)
}

fn checksum_of(object: ObjectId, offset: u64, payload: &[&[u8]]) -> [u8; CHECKSUM_LEN] {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    for part in payload {
        digest.update(part);
    }
    let mut place = [0; 16];
    place[..8].copy_from_slice(&object.0.to_le_bytes());
    place[8..].copy_from_slice(&offset.to_le_bytes());
    digest.update(&place);
    digest.finalize().to_le_bytes()
}

/// Walks a list of chunks as if it were one.
struct Chunks<'a> {
    chunks: &'a [Bytes],
    offset: usize,
}

impl Chunks<'_> {
    /// The next `len` bytes, shared; there are at least as many.
    fn take(&mut self, mut len: usize) -> Vec<Bytes> {
        let mut taken = Vec::with_capacity(1);
        while len > 0 {
            let (first, rest) = self.chunks.split_first().expect("the caller counted the bytes");
            let end = first.len().min(self.offset + len);
            if end > self.offset {
                taken.push(first.slice(self.offset..end));
                len -= end - self.offset;
            }
            self.offset = end;
            if end == first.len() {
                self.chunks = rest;
                self.offset = 0;
            }
        }
        taken
    }
}

/// An object in the making.
struct Encoder {
    object: ObjectId,
    compression: Compression,
    frames: Vec<StoredFrame>,
    body: Vec<Bytes>,
    offset: u64,
    table: lz4_flex::block::CompressTable,
    /// Room for one frame's compressed form, whatever its content.
    scratch: Vec<u8>,
}

impl Encoder {
    fn new(object: ObjectId, compression: Compression, len: u32) -> Self {
        let frames = len.div_ceil(FRAME_SIZE) as usize;
        let scratch = match compression {
            Compression::None => Vec::new(),
            Compression::Lz4 => vec![0; lz4_flex::block::get_maximum_output_size(len.min(FRAME_SIZE) as usize)],
        };
        Self {
            object,
            compression,
            frames: Vec::with_capacity(frames),
            body: Vec::with_capacity(frames * 2),
            offset: 0,
            table: lz4_flex::block::CompressTable::large(),
            scratch,
        }
    }

    fn add(&mut self, payload: &[Bytes]) {
        let stored = match self.compress(payload) {
            Some(packed_len) => {
                let mut frame = Vec::with_capacity(packed_len + CHECKSUM_LEN);
                frame.extend_from_slice(&self.scratch[..packed_len]);
                frame.extend_from_slice(&checksum_of(self.object, self.offset, &[&frame]));
                let stored = StoredFrame::new(frame.len() as u32, true);
                self.body.push(frame.into());
                stored
            }
            None => {
                let parts: Vec<&[u8]> = payload.iter().map(|part| &part[..]).collect();
                let checksum = checksum_of(self.object, self.offset, &parts);
                let len: usize = parts.iter().map(|part| part.len()).sum();
                self.body.extend_from_slice(payload);
                self.body.push(Bytes::copy_from_slice(&checksum));
                StoredFrame::new((len + CHECKSUM_LEN) as u32, false)
            }
        };
        self.offset += u64::from(stored.stored_len());
        self.frames.push(stored);
    }

    /// Length of the compressed form in `scratch`, or `None` where it is not worth it.
    fn compress(&mut self, payload: &[Bytes]) -> Option<usize> {
        if self.compression == Compression::None {
            return None;
        }
        let gathered;
        let plain = match payload {
            [one] => &one[..],
            several => {
                gathered = several.concat();
                &gathered
            }
        };
        let sample_start = (plain.len() / 2).saturating_sub(PROBE_LEN / 2);
        let sample = &plain[sample_start..plain.len().min(sample_start + PROBE_LEN)];
        let worth_it = |packed: usize, plain: usize| packed + plain / 16 <= plain;
        if sample.len() < plain.len() {
            let packed = self.pack(sample)?;
            if !worth_it(packed, sample.len()) {
                return None;
            }
        }
        let packed = self.pack(plain)?;
        worth_it(packed, plain.len()).then_some(packed)
    }

    fn pack(&mut self, plain: &[u8]) -> Option<usize> {
        // The scratch takes the worst case, so this does not fail; if it did, the frame would be stored as it is.
        lz4_flex::block::compress_into_with_table(plain, &mut self.scratch, &mut self.table).ok()
    }

    fn finish(self) -> (Vec<StoredFrame>, Vec<Bytes>) {
        (self.frames, self.body)
    }
}

/// Bytes from the middle of a frame that tell whether the frame is worth compressing.
const PROBE_LEN: usize = 8 << 10;

#[cfg(test)]
mod tests;
