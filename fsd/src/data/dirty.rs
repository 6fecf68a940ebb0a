//! `BlockBuffer`: bytes of one block that were written here and are not on their way to the store yet.
//!
//! A buffer is a sorted list of extents that do not overlap. Writing on behind an extent appends to it, so a sequential
//! writer's bytes are copied once. Extents that touch stay apart until the block is sealed, or until there are many:
//! a writer that goes backwards does not copy the block again and again.

use bytes::Bytes;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct BlockBuffer {
    extents: Vec<Extent>,
    /// Bytes in the extents.
    len: usize,
    /// Number of extents at which those that touch are joined.
    join_at: usize,
}

#[derive(Debug)]
struct Extent {
    start: u32,
    bytes: Vec<u8>,
}

/// Bytes that lie side by side in a block: from `start`, one chunk behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u32,
    pub(super) chunks: Vec<Bytes>,
}

impl Run {
    /// Bytes.
    pub(super) fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum()
    }

    /// First byte of the block behind it.
    pub(super) fn end(&self) -> u32 {
        self.start + self.len() as u32
    }

    /// The bytes of it that are in `start..end`, each slice with its place.
    pub(super) fn slices(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, Bytes)> {
        let mut behind = self.start;
        self.chunks.iter().filter_map(move |chunk| {
            let chunk_start = behind;
            behind += chunk.len() as u32;
            let (from, to) = (start.max(chunk_start), end.min(behind));
            (from < to).then(|| (from, chunk.slice((from - chunk_start) as usize..(to - chunk_start) as usize)))
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Replace,
    Keep,
}

impl BlockBuffer {
    /// Puts `data` at `start`, over what is there. `start + data.len()` is at most `block_size`.
    pub(super) fn write(&mut self, start: u32, data: &[u8], block_size: u32) {
        self.put(start, data, block_size, Existing::Replace);
        if self.extents.len() > self.join_at.max(EXTENTS_FREE) {
            self.join();
        }
    }

    /// Puts `data` at `start`, under what is there: only gaps are filled.
    pub(super) fn fill_gaps(&mut self, start: u32, data: &[u8], block_size: u32) {
        self.put(start, data, block_size, Existing::Keep);
    }

    /// Memory the buffer takes, bookkeeping included.
    pub(super) fn memory(&self) -> usize {
        self.len + self.extents.len() * EXTENT_OVERHEAD
    }

    /// Bytes held.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// First byte held.
    pub(super) fn start(&self) -> u32 {
        self.extents.first().map_or(0, |extent| extent.start)
    }

    /// First byte behind the last one held.
    pub(super) fn end(&self) -> u32 {
        self.extents.last().map_or(0, Extent::end)
    }

    /// Number of runs of bytes without a gap.
    pub(super) fn run_count(&self) -> usize {
        let gaps = self.extents.windows(2).filter(|pair| pair[0].end() < pair[1].start).count();
        gaps + usize::from(!self.extents.is_empty())
    }

    /// Whether there are so many runs.
    pub(super) fn has_runs(&self, count: usize) -> bool {
        self.extents.len() >= count && self.run_count() >= count
    }

    /// The held bytes of `start..end`, in order, each with its place.
    pub(super) fn slices(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, &[u8])> {
        let first = self.extents.partition_point(|extent| extent.end() <= start);
        self.extents[first..].iter().take_while(move |extent| extent.start < end).map(move |extent| {
            let (from, to) = (extent.start.max(start), extent.end().min(end));
            (from, &extent.bytes[(from - extent.start) as usize..(to - extent.start) as usize])
        })
    }

    /// The runs, for good: nothing is copied.
    pub(super) fn into_runs(self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let mut place = None;
        for Extent { start, bytes } in self.extents {
            let end = start + bytes.len() as u32;
            match runs.last_mut() {
                Some(run) if place == Some(start) => run.chunks.push(bytes.into()),
                _ => runs.push(Run { start, chunks: vec![bytes.into()] }),
            }
            place = Some(end);
        }
        runs
    }

    fn put(&mut self, start: u32, mut data: &[u8], block_size: u32, existing: Existing) {
        let mut place = start;
        while !data.is_empty() {
            let index = self.extents.partition_point(|extent| extent.end() <= place);
            let taken = match self.extents.get_mut(index) {
                Some(extent) if extent.start <= place => {
                    let offset = (place - extent.start) as usize;
                    let taken = data.len().min(extent.bytes.len() - offset);
                    if existing == Existing::Replace {
                        extent.bytes[offset..offset + taken].copy_from_slice(&data[..taken]);
                    }
                    taken
                }
                behind => {
                    let limit = behind.map_or(block_size, |extent| extent.start);
                    let taken = data.len().min((limit - place) as usize);
                    self.add(index, place, &data[..taken], limit);
                    taken
                }
            };
            place += taken as u32;
            data = &data[taken..];
        }
    }

    /// Adds bytes to a gap: to the extent before `index` where it ends at `place`, else as an extent of their own.
    /// The gap ends at `limit`.
    fn add(&mut self, index: usize, place: u32, data: &[u8], limit: u32) {
        let before = index.checked_sub(1).map(|before| &mut self.extents[before]);
        match before {
            Some(before) if before.end() == place => before.append(data, limit),
            _ => {
                let mut extent = Extent { start: place, bytes: Vec::new() };
                extent.append(data, limit);
                self.extents.insert(index, extent);
            }
        }
        self.len += data.len();
    }

    /// Joins extents that touch, so that their number stays in proportion to the gaps.
    fn join(&mut self) {
        let mut joined: Vec<Extent> = Vec::with_capacity(self.extents.len());
        for extent in self.extents.drain(..) {
            match joined.last_mut() {
                Some(before) if before.end() == extent.start => before.bytes.extend_from_slice(&extent.bytes),
                _ => joined.push(extent),
            }
        }
        self.extents = joined;
        self.join_at = self.extents.len() * 2;
    }
}

impl Extent {
    fn end(&self) -> u32 {
        self.start + self.bytes.len() as u32
    }

    /// Appends in a gap that ends at `limit`. An extent that proved large gets room for the whole gap at once: memory
    /// is only touched where bytes are written, and nothing is copied again.
    fn append(&mut self, data: &[u8], limit: u32) {
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            let whole = (limit - self.start) as usize;
            let room = if needed >= LARGE_EXTENT { whole } else { needed.next_power_of_two().min(whole) };
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
    }
}

/// Bytes from which an extent is given room for all that may follow.
const LARGE_EXTENT: usize = 256 << 10;
/// Extents of a block that are never joined.
const EXTENTS_FREE: usize = 64;
/// Bytes of bookkeeping for an extent and its allocation.
pub(super) const EXTENT_OVERHEAD: usize = 64;

#[cfg(test)]
mod tests;
