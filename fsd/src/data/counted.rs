//! A file's block map and its written bytes, for whoever counts instructions.

use proto::{Attr, BlockIndex, Layout, ObjectId, Piece, StoredFrame, Timespec};

use super::state::{FileState, ReadPlan};

/// Bytes of a block.
const BLOCK: u32 = 4 << 20;
/// Pieces of each block that is stored.
const PIECES: u32 = 8;

/// One open file.
#[derive(Debug)]
pub struct CountedFile(FileState);

impl CountedFile {
    /// A file with `blocks` blocks of eight pieces each.
    #[must_use]
    pub fn new(attr: &Attr, blocks: u64) -> Self {
        let block = |index: u64| {
            let piece = |number: u32| {
                let len = BLOCK / PIECES;
                let start = number * len;
                Piece {
                    start,
                    end: start + len,
                    origin: start,
                    len,
                    object: ObjectId(index * u64::from(PIECES) + u64::from(number)),
                    object_offset: 0,
                    frames: vec![StoredFrame::new(128 << 10, false); (len / (128 << 10)) as usize],
                }
            };
            (BlockIndex(index), (0..PIECES).map(piece).collect())
        };
        let layout = Layout {
            version: attr.version,
            inline: None,
            first: BlockIndex(0),
            behind: BlockIndex(blocks),
            blocks: (0..blocks).map(block).collect(),
        };
        let mut state = FileState::new(attr, BLOCK);
        state.settle_open(attr, layout);
        Self(state)
    }

    /// Plans `count` reads of 128 KiB one behind the other; segments they consist of.
    #[must_use]
    pub fn plan_reads(&self, count: u64) -> usize {
        let plan = |number: u64| match self.0.plan_read(number * (128 << 10), 128 << 10, Some(4096)) {
            ReadPlan::Ready(segments) => segments.len(),
            ReadPlan::NeedLayout(_) | ReadPlan::Gone => 0,
        };
        (0..count).map(plan).sum()
    }

    /// Writes `data` `count` times, 1 MiB apart, and seals what was written; blocks that were full.
    pub fn write(&mut self, data: &[u8], count: u64) -> usize {
        let now = Timespec { secs: 1_700_000_001, nanos: 0 };
        let write = |number: &u64| {
            let offset = number << 20;
            self.0.write(offset / u64::from(BLOCK), (offset % u64::from(BLOCK)) as u32, data, now)
        };
        let full = (0..count).filter(write).count();
        self.0.seal_all();
        full
    }
}
