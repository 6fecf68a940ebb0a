//! What one thread counts and any thread may read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A number that one thread adds to. Two that add at once lose counts, nothing else.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `amount`. For the thread that the counter belongs to.
    pub fn add(&self, amount: u64) {
        // No locked instruction: nobody else writes here.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The sum so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper ends of the buckets, in nanoseconds: from what a core does at once to what a dead server makes one wait.
const ENDS: [u64; 20] = [
    2_000,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    5_000_000_000,
    30_000_000_000,
];

/// How long things took, as one thread saw them: 176 bytes.
#[derive(Debug, Default)]
pub struct Durations {
    /// Counts by bucket; the last one is of all that took longer.
    counts: [Counter; ENDS.len() + 1],
    nanos: Counter,
}

impl Durations {
    /// Counts one. For the thread that this belongs to.
    pub fn record(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[ENDS.partition_point(|end| *end < nanos)].add(1);
        self.nanos.add(nanos);
    }
}

/// The durations of several threads together.
#[derive(Debug, Default)]
pub(crate) struct Sum {
    counts: [u64; ENDS.len() + 1],
    nanos: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, durations: &Durations) {
        for (sum, count) in self.counts.iter_mut().zip(&durations.counts) {
            *sum += count.get();
        }
        self.nanos += durations.nanos.get();
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.nanos as f64 / 1e9
    }

    /// Upper end in seconds and count of each bucket.
    pub(crate) fn buckets(&self) -> Vec<(f64, u64)> {
        let ends = ENDS.iter().map(|nanos| *nanos as f64 / 1e9).chain([f64::INFINITY]);
        ends.zip(self.counts).collect()
    }
}

#[cfg(test)]
mod tests;
