//! Reads blocks: from the pieces of a block map to bytes, through a memory cache of frames.
//!
//! Refuses pieces whose numbers do not fit together. Invariant: a byte that some piece holds is returned as it was
//! written or not at all; a byte of no piece is zero.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use futures_util::stream::{StreamExt, TryStreamExt};
use proto::{FRAME_SIZE, Piece, StoredFrame};
use tokio::sync::watch;

use crate::cache::{Found, FrameCache, FrameKey};
use crate::frame::{self, CHECKSUM_LEN};
use crate::{BlockStore, StoreError, StoreErrorKind};

/// Reads pieces of one store.
pub struct BlockReader {
    store: Arc<dyn BlockStore>,
    cache: FrameCache,
}

impl BlockReader {
    /// A reader whose cache takes at most `memory_max` bytes. Frames that are being fetched or handed out come on top:
    /// at most [`RUN_FRAMES`] x [`RUNS_AT_ONCE`] for each read that is under way.
    #[must_use]
    pub fn new(store: Arc<dyn BlockStore>, memory_max: usize) -> Self {
        Self { store, cache: FrameCache::new(memory_max) }
    }

    /// The bytes `start..end` of a block that consists of `pieces` (sorted, disjoint), in slices of cached frames.
    ///
    /// # Errors
    /// What the store answers; [`StoreErrorKind::NotFound`] where an object was deleted since the map was read, and
    /// [`StoreErrorKind::Corrupt`] where bytes are not those that were written.
    pub async fn read(&self, pieces: &[Piece], start: u32, end: u32) -> Result<Vec<Bytes>, StoreError> {
        let wanted = wanted(pieces, start, end)?;
        let frames = self.frames(&wanted).await?;
        let mut slices = Vec::with_capacity(frames.len() + 2);
        let mut place = start;
        for (wanted, frame) in wanted.iter().zip(frames) {
            slices.extend(zeroes(u64::from(wanted.start - place)));
            slices.push(frame.slice(wanted.skip as usize..(wanted.skip + wanted.end - wanted.start) as usize));
            place = wanted.end;
        }
        slices.extend(zeroes(u64::from(end.saturating_sub(place))));
        Ok(slices)
    }

    /// Brings the frames of the bytes `start..end` into the cache, for a reader that comes later.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn warm(&self, pieces: &[Piece], start: u32, end: u32) -> Result<(), StoreError> {
        let wanted = wanted(pieces, start, end)?;
        self.frames(&wanted).await.map(drop)
    }

    /// Frames that readers found in memory, and those they did not, of all they asked for.
    #[must_use]
    pub fn hits_and_misses(&self) -> (u64, u64) {
        self.cache.hits_and_misses()
    }

    /// Bytes that cached frames take.
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.cache.memory_used()
    }

    /// The wanted frames, in order. What nobody fetches yet is fetched here; what others fetch is waited for.
    async fn frames(&self, wanted: &[Wanted<'_>]) -> Result<Vec<Bytes>, StoreError> {
        let mut found: Vec<Option<Bytes>> = wanted.iter().map(|wanted| self.cache.find(wanted.key)).collect();
        while found.contains(&None) {
            let mut claim = Claim::new(&self.cache);
            let mut claimed = Vec::new();
            let mut loading = None;
            for (index, wanted) in wanted.iter().enumerate() {
                if found[index].is_some() {
                    continue;
                }
                match claim.find(wanted.key) {
                    Found::Ready(bytes) => found[index] = Some(bytes),
                    Found::Loading(other) => loading = Some(other),
                    Found::Claimed => claimed.push(index),
                }
            }
            let mut fetches = futures_util::stream::iter(runs(wanted, &claimed))
                .map(|run| async move { self.fetch(&wanted[run.clone()]).await.map(|frames| (run, frames)) })
                .buffer_unordered(RUNS_AT_ONCE);
            while let Some((run, frames)) = fetches.try_next().await? {
                for (index, frame) in run.zip(frames) {
                    self.cache.insert(wanted[index].key, frame.clone());
                    found[index] = Some(frame);
                }
            }
            drop(claim);
            if let Some(mut other) = loading {
                // Fails when the other fetch is over, which is what is waited for; nothing is ever sent.
                drop(other.changed().await);
            }
        }
        Ok(found.into_iter().map(|frame| frame.expect("the loop ends when every frame is there")).collect())
    }

    /// Fetches frames that lie one behind the other in one object.
    async fn fetch(&self, run: &[Wanted<'_>]) -> Result<Vec<Bytes>, StoreError> {
        let (first, last) = (&run[0], &run[run.len() - 1]);
        let range = first.key.offset..last.key.offset + u64::from(last.frame.stored_len());
        let stored = self.store.get(first.key.object, range).await?;
        if let [only] = run {
            return Ok(vec![frame::decode(only.key.object, only.key.offset, only.frame, only.len, stored)?]);
        }
        let parts: Vec<_> = run.iter().map(|wanted| (wanted.key, wanted.frame, wanted.len)).collect();
        let decoded = tokio::task::spawn_blocking(move || decode_run(&parts, &stored)).await;
        decoded.map_err(|error| StoreError::new(StoreErrorKind::Internal, format!("frame decoder: {error}")))?
    }
}

/// Zeroes in slices of shared memory.
pub fn zeroes(len: u64) -> impl Iterator<Item = Bytes> {
    static ZEROES: LazyLock<Bytes> = LazyLock::new(|| vec![0; FRAME_SIZE as usize].into());
    let step = u64::from(FRAME_SIZE);
    (0..len.div_ceil(step)).map(move |index| ZEROES.slice(..(len - index * step).min(step) as usize))
}

/// A frame that a read needs, and which of its bytes.
struct Wanted<'a> {
    piece: &'a Piece,
    index: usize,
    key: FrameKey,
    frame: StoredFrame,
    /// Uncompressed bytes of the frame.
    len: u32,
    /// The bytes of the block that are read from the frame.
    start: u32,
    end: u32,
    /// Bytes of the frame before `start`.
    skip: u32,
}

/// The frames that hold the bytes `start..end` of the block, in the block's order.
fn wanted(pieces: &[Piece], start: u32, end: u32) -> Result<Vec<Wanted<'_>>, StoreError> {
    let first = pieces.partition_point(|piece| piece.end <= start);
    let mut wanted = Vec::new();
    let mut place = start;
    for piece in pieces[first..].iter().take_while(|piece| piece.start < end) {
        check(piece, place)?;
        let (from, to) = (piece.start.max(place), piece.end.min(end));
        let indexes = (from - piece.origin) / FRAME_SIZE..(to - piece.origin).div_ceil(FRAME_SIZE);
        let mut offset = frame::offset_of(piece, indexes.start as usize);
        for index in indexes {
            let frame = piece.frames[index as usize];
            let frame_start = piece.origin + index * FRAME_SIZE;
            let len = piece.frame_len(index as usize);
            let (start, end) = (from.max(frame_start), to.min(frame_start + len));
            let key = FrameKey { object: piece.object, offset };
            let skip = start - frame_start;
            wanted.push(Wanted { piece, index: index as usize, key, frame, len, start, end, skip });
            offset = offset.saturating_add(u64::from(frame.stored_len()));
        }
        place = to;
    }
    Ok(wanted)
}

/// A piece comes from a peer: one whose numbers do not fit is refused before any sum is done with them.
fn check(piece: &Piece, place: u32) -> Result<(), StoreError> {
    let frames_fit = piece.frames.iter().all(|frame| {
        let len = frame.stored_len();
        CHECKSUM_LEN as u32 <= len && len <= FRAME_STORED_MAX
    });
    let ends = piece.object_offset.checked_add(u64::from(FRAME_STORED_MAX) * piece.frames.len() as u64).is_some();
    if piece.is_valid(proto::BLOCK_SIZE_MAX) && frames_fit && ends && piece.end > place {
        return Ok(());
    }
    let message = format!("object {}: the block map's piece of it makes no sense", piece.object);
    Err(StoreError::new(StoreErrorKind::Corrupt, message))
}

/// Cuts the claimed indexes in runs of neighbouring frames of one piece.
fn runs(wanted: &[Wanted<'_>], claimed: &[usize]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for &index in claimed {
        match runs.last_mut() {
            Some(run) if run.end == index && run.len() < RUN_FRAMES && wanted[index].follows(&wanted[index - 1]) => {
                run.end += 1;
            }
            _ => runs.push(index..index + 1),
        }
    }
    runs
}

impl Wanted<'_> {
    fn follows(&self, other: &Self) -> bool {
        std::ptr::eq(self.piece, other.piece) && self.index == other.index + 1
    }
}

/// Unpacks a run. A frame that is not compressed is copied: as a slice it would keep the whole run's memory alive,
/// and the cache's ceiling would not hold.
fn decode_run(parts: &[(FrameKey, StoredFrame, u32)], stored: &Bytes) -> Result<Vec<Bytes>, StoreError> {
    let mut place = 0;
    let mut frames = Vec::with_capacity(parts.len());
    for &(FrameKey { object, offset }, frame, len) in parts {
        let end = place + frame.stored_len() as usize;
        if end > stored.len() {
            let message = format!("object {object}, frame at byte {offset}: cut off");
            return Err(StoreError::new(StoreErrorKind::Corrupt, message));
        }
        let decoded = frame::decode(object, offset, frame, len, stored.slice(place..end))?;
        frames.push(if frame.is_compressed() { decoded } else { Bytes::copy_from_slice(&decoded) });
        place = end;
    }
    Ok(frames)
}

/// The frames that one read fetches. Dropped, it wakes those who wait for them; what was not fetched is free again.
struct Claim<'a> {
    cache: &'a FrameCache,
    keys: Vec<FrameKey>,
    receiver: watch::Receiver<()>,
    _sender: watch::Sender<()>,
}

impl<'a> Claim<'a> {
    fn new(cache: &'a FrameCache) -> Self {
        let (sender, receiver) = watch::channel(());
        Self { cache, keys: Vec::new(), receiver, _sender: sender }
    }

    fn find(&mut self, key: FrameKey) -> Found {
        let found = self.cache.find_or_claim(key, &self.receiver);
        if matches!(found, Found::Claimed) {
            self.keys.push(key);
        }
        found
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        for key in &self.keys {
            self.cache.abandon(*key, &self.receiver);
        }
    }
}

/// Frames fetched with one get: 1 MiB.
const RUN_FRAMES: usize = 8;
/// Gets that one read has under way at once.
const RUNS_AT_ONCE: usize = 4;
/// Longest stored form of a frame: not compressed, with its checksum.
const FRAME_STORED_MAX: u32 = FRAME_SIZE + CHECKSUM_LEN as u32;

#[cfg(test)]
mod tests;
