//! `Histogram`: how long each of many operations took.
//!
//! Buckets grow with the value: sixteen to each power of two, so a bucket is at most 6.25 % wide. Memory is 976 counters,
//! whatever is recorded.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Counts of durations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS] }
    }
}

impl Histogram {
    /// Counts one operation. Durations beyond 584 years count as that.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket_of(nanos)] += 1;
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// Operations counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration that a share of `quantile` (0 to 1) of the operations did not exceed, to the width of a bucket.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let wanted = ((self.count() as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().enumerate().find_map(|(bucket, count)| {
            seen += count;
            (seen >= wanted).then(|| Duration::from_nanos(end_of(bucket) - 1))
        })
    }

    /// Every bucket that counted something: from, up to and without, how many.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, Duration, u64)> {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counted.map(|(bucket, count)| {
            (Duration::from_nanos(start_of(bucket)), Duration::from_nanos(end_of(bucket)), *count)
        })
    }
}

fn bucket_of(nanos: u64) -> usize {
    if nanos < SUB_BUCKETS {
        return nanos as usize;
    }
    let power = u64::from(nanos.ilog2()) - SUB_BITS;
    ((power + 1) * SUB_BUCKETS + ((nanos >> power) & (SUB_BUCKETS - 1))) as usize
}

fn start_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB_BUCKETS {
        return bucket;
    }
    let power = bucket / SUB_BUCKETS - 1;
    (SUB_BUCKETS + bucket % SUB_BUCKETS) << power
}

fn end_of(bucket: usize) -> u64 {
    if bucket + 1 == BUCKETS { u64::MAX } else { start_of(bucket + 1) }
}

const SUB_BITS: u64 = 4;
const SUB_BUCKETS: u64 = 1 << SUB_BITS;
const BUCKETS: usize = ((64 - SUB_BITS + 1) * SUB_BUCKETS) as usize;

/// As pairs of bucket and count: most buckets are empty.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counted = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        serializer.collect_seq(counted.map(|(bucket, count)| (start_of(bucket), *count)))
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut histogram = Self::default();
        for (nanos, count) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            let counter = &mut histogram.counts[bucket_of(nanos)];
            *counter = counter.saturating_add(count);
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests;
