//! Memory for decoded frames. Frames are immutable, so nothing is ever invalidated, only evicted.
//!
//! Owns the ceiling: the frames that are kept never take more than it, not even for a moment. Refuses a frame that is
//! larger than its share. Invariant: of several readers that miss the same frame at once, one fetches it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use proto::ObjectId;
use tokio::sync::watch;

/// A frame: its object and its first byte there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FrameKey {
    pub(crate) object: ObjectId,
    pub(crate) offset: u64,
}

/// What is known of a frame.
pub(crate) enum Found {
    /// It is here.
    Ready(Bytes),
    /// Somebody fetches it: look again when the sender is gone.
    Loading(watch::Receiver<()>),
    /// Nobody has it: the caller fetches it, under its claim.
    Claimed,
}

/// Decoded frames, least used first out. Sharded, so that threads seldom meet at a lock.
pub(crate) struct FrameCache {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

impl FrameCache {
    /// A cache that keeps at most `memory_max` bytes, bookkeeping included.
    pub(crate) fn new(memory_max: usize) -> Self {
        let count = (memory_max / SHARD_MEMORY_MIN).clamp(1, SHARDS_MAX);
        let shards = (0..count).map(|_| Mutex::new(Shard::new(memory_max / count))).collect();
        Self { shards, hasher: RandomState::new() }
    }

    /// The frame, where it is here.
    pub(crate) fn find(&self, key: FrameKey) -> Option<Bytes> {
        let mut shard = self.shard(key);
        let Shard { entries, hits, misses, .. } = &mut *shard;
        match entries.get_mut(&key) {
            Some(Entry::Ready { bytes, used }) => {
                *used = true;
                *hits += 1;
                Some(bytes.clone())
            }
            _ => {
                *misses += 1;
                None
            }
        }
    }

    /// The frame, or who fetches it. A frame nobody fetches is entered under `claim`.
    pub(crate) fn find_or_claim(&self, key: FrameKey, claim: &watch::Receiver<()>) -> Found {
        let mut shard = self.shard(key);
        match shard.entries.get_mut(&key) {
            Some(Entry::Ready { bytes, used }) => {
                *used = true;
                Found::Ready(bytes.clone())
            }
            Some(Entry::Loading(other)) => Found::Loading(other.clone()),
            None => {
                shard.entries.insert(key, Entry::Loading(claim.clone()));
                Found::Claimed
            }
        }
    }

    /// Keeps a fetched frame, evicting others where the ceiling asks for it.
    pub(crate) fn insert(&self, key: FrameKey, bytes: Bytes) {
        self.shard(key).insert(key, bytes);
    }

    /// Gives up a claim that was not fulfilled. One that was, or that is somebody else's, is left alone.
    pub(crate) fn abandon(&self, key: FrameKey, claim: &watch::Receiver<()>) {
        let mut shard = self.shard(key);
        if matches!(shard.entries.get(&key), Some(Entry::Loading(own)) if own.same_channel(claim)) {
            shard.entries.remove(&key);
        }
    }

    /// Bytes in use, bookkeeping included.
    pub(crate) fn memory_used(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).used).sum()
    }

    /// Frames that [`FrameCache::find`] was asked for and had, and those it had not.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        let counts = self.shards.iter().map(|shard| {
            let shard = lock(shard);
            (shard.hits, shard.misses)
        });
        counts.fold((0, 0), |(hits, misses), (more_hits, more_misses)| (hits + more_hits, misses + more_misses))
    }

    fn shard(&self, key: FrameKey) -> MutexGuard<'_, Shard> {
        let hash = self.hasher.hash_one(key);
        lock(&self.shards[hash as usize % self.shards.len()])
    }
}

struct Shard {
    capacity: usize,
    used: usize,
    hits: u64,
    misses: u64,
    entries: HashMap<FrameKey, Entry>,
    /// The ready frames, next to be evicted first. One that was used meanwhile gets a second turn.
    queue: VecDeque<FrameKey>,
}

enum Entry {
    Ready { bytes: Bytes, used: bool },
    Loading(watch::Receiver<()>),
}

impl Shard {
    fn new(capacity: usize) -> Self {
        Self { capacity, used: 0, hits: 0, misses: 0, entries: HashMap::new(), queue: VecDeque::new() }
    }

    fn insert(&mut self, key: FrameKey, bytes: Bytes) {
        let weight = weight(&bytes);
        if weight > self.capacity {
            self.entries.remove(&key);
            return;
        }
        while self.used + weight > self.capacity {
            self.evict_one();
        }
        if let Some(Entry::Ready { bytes: replaced, .. }) =
            self.entries.insert(key, Entry::Ready { bytes, used: false })
        {
            self.used -= self::weight(&replaced);
        } else {
            self.queue.push_back(key);
        }
        self.used += weight;
    }

    fn evict_one(&mut self) {
        let key = self.queue.pop_front().expect("bytes in use belong to a frame in the queue");
        match self.entries.get_mut(&key) {
            Some(Entry::Ready { used, .. }) if *used => {
                *used = false;
                self.queue.push_back(key);
            }
            Some(Entry::Ready { bytes, .. }) => {
                self.used -= weight(bytes);
                self.entries.remove(&key);
            }
            Some(Entry::Loading(_)) | None => {}
        }
    }
}

fn weight(bytes: &Bytes) -> usize {
    bytes.len() + ENTRY_OVERHEAD
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of bookkeeping for a frame: its entry, its place in the queue, the head of its allocation.
const ENTRY_OVERHEAD: usize = 200;
/// A shard below this would hold too few frames.
const SHARD_MEMORY_MIN: usize = 16 << 20;
/// Shards at the most.
const SHARDS_MAX: usize = 16;

#[cfg(test)]
mod tests;
