//! `Cache`: newest values of records, bounded by weight, written through by the writer.
//!
//! A reader that misses reads the store and fills the cache, unless a write to the same shard came in between: then what
//! it read may be old and is not kept. Each shard has two generations; when the young one is full it becomes the old one
//! and the old one is dropped. What is read from the old generation moves to the young one, so what is used stays.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, MutexGuard};

const SHARDS: usize = 64;

/// A bounded map. Values are cheap to clone.
pub(super) struct Cache<K, V> {
    hasher: RandomState,
    shards: Box<[Mutex<Shard<K, V>>]>,
    /// Weight of one generation of one shard at which it is full.
    generation_max: usize,
}

struct Shard<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    young_weight: usize,
    /// Counts writes.
    writes: u64,
}

/// What a reader that missed gives back with what it read.
#[derive(Clone, Copy)]
pub(super) struct Ticket(u64);

impl<K: Copy + Eq + Hash, V: Clone> Cache<K, V> {
    /// A cache of at most about `weight_max` bytes. Memory is taken as it fills.
    pub(super) fn new(weight_max: usize) -> Self {
        let shard = || Mutex::new(Shard { young: HashMap::new(), old: HashMap::new(), young_weight: 0, writes: 0 });
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Self { hasher: RandomState::new(), shards, generation_max: weight_max / SHARDS / 2 }
    }

    /// The value, or a ticket to fill it with.
    pub(super) fn find(&self, key: K) -> Result<V, Ticket> {
        let mut shard = self.shard(key);
        if let Some((value, _)) = shard.young.get(&key) {
            return Ok(value.clone());
        }
        let Some((value, weight)) = shard.old.remove(&key) else { return Err(Ticket(shard.writes)) };
        shard.insert(key, value.clone(), weight, self.generation_max);
        Ok(value)
    }

    /// Keeps what a reader found in the store.
    pub(super) fn fill(&self, key: K, value: V, weight: usize, ticket: Ticket) {
        let mut shard = self.shard(key);
        if shard.writes == ticket.0 {
            shard.insert(key, value, weight, self.generation_max);
        }
    }

    /// The writer: the record has a new value.
    pub(super) fn put(&self, key: K, value: V, weight: usize) {
        let mut shard = self.shard(key);
        shard.writes += 1;
        shard.insert(key, value, weight, self.generation_max);
    }

    /// The writer: the record is gone.
    pub(super) fn remove(&self, key: K) {
        let mut shard = self.shard(key);
        shard.writes += 1;
        shard.old.remove(&key);
        if let Some((_, weight)) = shard.young.remove(&key) {
            shard.young_weight -= weight;
        }
    }

    fn shard(&self, key: K) -> MutexGuard<'_, Shard<K, V>> {
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[index].lock().expect("no code under this lock panics")
    }

    #[cfg(test)]
    fn weight(&self) -> usize {
        let weight = |shard: &Mutex<Shard<K, V>>| {
            let shard = shard.lock().unwrap();
            shard.young.values().chain(shard.old.values()).map(|(_, weight)| weight).sum::<usize>()
        };
        self.shards.iter().map(weight).sum()
    }
}

impl<K: Copy + Eq + Hash, V> Shard<K, V> {
    fn insert(&mut self, key: K, value: V, weight: usize, generation_max: usize) {
        self.old.remove(&key);
        if let Some((_, replaced)) = self.young.insert(key, (value, weight)) {
            self.young_weight -= replaced;
        }
        self.young_weight += weight;
        if self.young_weight > generation_max {
            self.old = std::mem::take(&mut self.young);
            self.young_weight = 0;
        }
    }
}

#[cfg(test)]
mod tests;
