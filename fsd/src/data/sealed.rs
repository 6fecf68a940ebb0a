//! `Sealed`: written bytes that will not change any more, on their way into the store and into the block map.

use bytes::Bytes;
use proto::{Errno, ObjectId, Piece};

use super::dirty::{EXTENT_OVERHEAD, Run};

/// A run of bytes of one block: becomes one object and one piece. Kept in memory until the commit is answered, so that
/// reads find it here and a step that failed can be done again.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Names it within its file.
    pub(super) id: u64,
    /// The block.
    pub(super) block: u64,
    /// Place of the first byte in the block.
    pub(super) start: u32,
    /// The bytes, one chunk behind the other.
    pub(super) chunks: Vec<Bytes>,
    /// How far it came.
    pub(super) progress: Progress,
    /// The object it is stored as, once an id was taken. Kept for the next attempt where one fails: ids that are neither
    /// committed nor used again are lost to the session.
    pub(super) object: Option<ObjectId>,
    len: u32,
}

/// How far sealed bytes came.
#[derive(Debug)]
pub(super) enum Progress {
    /// To be uploaded.
    Ready,
    /// Being uploaded.
    Uploading,
    /// In the store, to be committed.
    Stored(Piece),
    /// Could not be uploaded; the next flush tries again.
    Failed(Errno),
}

impl Sealed {
    pub(super) fn new(id: u64, block: u64, run: Run) -> Self {
        let len: usize = run.chunks.iter().map(Bytes::len).sum();
        Self {
            id,
            block,
            start: run.start,
            chunks: run.chunks,
            progress: Progress::Ready,
            object: None,
            len: len as u32,
        }
    }

    /// Back to the start, as another object.
    pub(super) fn renew(&mut self) {
        self.progress = Progress::Ready;
        self.object = None;
    }

    /// First byte of the block behind it.
    pub(super) fn end(&self) -> u32 {
        self.start + self.len
    }

    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// Memory it takes, bookkeeping included.
    pub(super) fn memory(&self) -> usize {
        self.len() + self.chunks.len() * EXTENT_OVERHEAD
    }

    /// The bytes `start..end` of the block, which are all in here.
    pub(super) fn slices(&self, start: u32, end: u32) -> impl Iterator<Item = Bytes> {
        let mut chunk_start = self.start;
        self.chunks.iter().filter_map(move |chunk| {
            let chunk_end = chunk_start + chunk.len() as u32;
            let (from, to) = (start.max(chunk_start), end.min(chunk_end));
            let offset = chunk_start;
            chunk_start = chunk_end;
            (from < to).then(|| chunk.slice((from - offset) as usize..(to - offset) as usize))
        })
    }
}
