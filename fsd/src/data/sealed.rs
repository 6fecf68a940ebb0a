//! `Sealed`: written bytes that will not change any more, on their way into the store and into the block map.

use std::ops::{Deref, Range};

use bytes::Bytes;
use proto::{BlockChange, BlockIndex, Copied, Errno, ObjectId, Piece, Rewrite, Source};

use super::dirty::{EXTENT_OVERHEAD, Run};

/// Written bytes of one block: become one object and one piece. Kept in memory until the commit is answered, so that
/// reads find them here and a step that failed can be done again.
#[derive(Debug)]
pub(super) struct Sealed {
    /// Names it within its file.
    pub(super) id: u64,
    /// The block.
    pub(super) block: u64,
    /// The bytes, ascending. One run; more or none only where the block is rewritten.
    pub(super) runs: Runs,
    /// How far it came.
    pub(super) progress: Progress,
    /// The object it is stored as, once an id was taken. Kept for the next attempt where one fails.
    pub(super) object: Option<ObjectId>,
    /// What is copied along, where the block is rewritten.
    copies: Option<Box<Copies>>,
    len: usize,
    memory: usize,
}

/// Runs of bytes. Nearly always it is one, which needs no list.
#[derive(Debug)]
pub(super) enum Runs {
    One(Run),
    Many(Vec<Run>),
}

impl Deref for Runs {
    type Target = [Run];

    fn deref(&self) -> &[Run] {
        match self {
            Self::One(run) => std::slice::from_ref(run),
            Self::Many(runs) => runs,
        }
    }
}

/// What a rewritten block takes along of what is there already.
#[derive(Debug)]
struct Copies {
    /// The part of the block that is rewritten, as far as something is there.
    within: Range<u32>,
    /// Where the copies come from.
    copied: Vec<Copied>,
    /// The copies, one run for each.
    runs: Vec<Run>,
}

/// How far sealed bytes came.
#[derive(Debug)]
pub(super) enum Progress {
    /// What is to be copied has to be read first.
    Incomplete,
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
    /// A run that becomes a piece of its own.
    pub(super) fn new(id: u64, block: u64, run: Run) -> Self {
        Self::of(id, block, Runs::One(run), Progress::Ready, None)
    }

    /// Runs that become one piece, with what is around them in a part of the block.
    pub(super) fn rewriting(id: u64, block: u64, runs: Vec<Run>, within: Range<u32>) -> Self {
        let copies = Box::new(Copies { within, copied: Vec::new(), runs: Vec::new() });
        Self::of(id, block, Runs::Many(runs), Progress::Incomplete, Some(copies))
    }

    fn of(id: u64, block: u64, runs: Runs, progress: Progress, copies: Option<Box<Copies>>) -> Self {
        let (len, memory) = size_of_runs(&runs);
        Self { id, block, runs, progress, object: None, copies, len, memory }
    }

    /// The part of the block that is rewritten.
    pub(super) fn within(&self) -> Option<Range<u32>> {
        self.copies.as_ref().map(|copies| copies.within.clone())
    }

    /// Takes in what is copied: its places and a run for each.
    pub(super) fn complete(&mut self, copied: Vec<Copied>, runs: Vec<Run>) {
        if let Some(copies) = &mut self.copies {
            self.memory = size_of_runs(&self.runs).1 + size_of_runs(&runs).1;
            (copies.copied, copies.runs) = (copied, runs);
            self.progress = Progress::Ready;
        }
    }

    /// Leaves copied zeroes out of the commit. Returns in how many places.
    pub(super) fn spare_holes(&mut self) -> usize {
        let copied = self.copies.iter_mut().flat_map(|copies| &mut copies.copied);
        let holes = copied.filter(|copied| copied.source == Source::Hole);
        holes.map(|copied| copied.source = Source::Nowhere).count()
    }

    /// Back to before the copies were read. Returns the object that it will not be stored as any more.
    pub(super) fn reread(&mut self) -> Option<ObjectId> {
        if let Some(copies) = &mut self.copies {
            (copies.copied, copies.runs) = (Vec::new(), Vec::new());
            self.memory = size_of_runs(&self.runs).1;
            self.progress = Progress::Incomplete;
            return self.object.take();
        }
        None
    }

    /// Back to the start, as another object. Returns the one it was to be.
    pub(super) fn renew(&mut self) -> Option<ObjectId> {
        if !matches!(self.progress, Progress::Incomplete) {
            self.progress = Progress::Ready;
        }
        self.object.take()
    }

    /// Written bytes.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Memory it takes, copies and bookkeeping included.
    pub(super) fn memory(&self) -> usize {
        self.memory
    }

    /// First byte of the block behind the written ones; 0 where there are none.
    pub(super) fn written_end(&self) -> u32 {
        self.runs.last().map_or(0, Run::end)
    }

    /// The written bytes of `start..end`, each slice with its place.
    pub(super) fn slices(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, Bytes)> {
        let first = self.runs.partition_point(|run| run.end() <= start);
        let runs = self.runs[first..].iter().take_while(move |run| run.start < end);
        runs.flat_map(move |run| run.slices(start, end))
    }

    /// What the object holds: the place of its first byte in the block, and its bytes.
    pub(super) fn body(&self) -> (u32, Vec<Bytes>) {
        let copies = self.copies.iter().flat_map(|copies| &copies.runs);
        let mut runs: Vec<&Run> = self.runs.iter().chain(copies).collect();
        runs.sort_by_key(|run| run.start);
        let start = runs.first().map_or(0, |run| run.start);
        (start, runs.into_iter().flat_map(|run| run.chunks.iter().cloned()).collect())
    }

    /// The change of the block map, once the bytes are stored as `piece`.
    pub(super) fn change(&self, piece: Piece) -> BlockChange {
        let index = BlockIndex(self.block);
        match &self.copies {
            Some(copies) if !copies.copied.is_empty() => {
                BlockChange::Rewrite(index, Rewrite { piece, copied: copies.copied.clone() })
            }
            _ => BlockChange::Write(index, piece),
        }
    }

    /// Ranges of copies in the change.
    pub(super) fn copied_count(&self) -> usize {
        self.copies.as_ref().map_or(0, |copies| copies.copied.len())
    }
}

/// Bytes of runs, and the memory they take.
fn size_of_runs(runs: &[Run]) -> (usize, usize) {
    runs.iter().fold((0, 0), |(len, memory), run| {
        let bytes = run.len();
        (len + bytes, memory + bytes + run.chunks.len() * EXTENT_OVERHEAD)
    })
}
