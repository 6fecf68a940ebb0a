//! `Tally`: what one process did in one phase of a workload.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::method::Histogram;

/// Counts of a phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Operations done.
    pub(crate) operations: u64,
    /// Bytes moved.
    pub(crate) bytes: u64,
    /// How long the phase took, in seconds.
    pub(crate) seconds: f64,
    /// How long each operation took.
    pub(crate) latency: Histogram,
    /// CPU seconds of the process.
    pub(crate) cpu_seconds: f64,
    /// Largest resident memory of the process so far, in bytes.
    pub(crate) rss_peak: u64,
}

impl Tally {
    /// Does and counts one operation.
    pub(crate) fn time<T, E>(&mut self, operation: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let start = Instant::now();
        let done = operation()?;
        self.latency.record(start.elapsed());
        self.operations += 1;
        Ok(done)
    }

    /// Adds what another process did at the same time.
    pub(crate) fn join(&mut self, other: &Self) {
        self.operations += other.operations;
        self.bytes += other.bytes;
        self.seconds = self.seconds.max(other.seconds);
        self.latency.merge(&other.latency);
        self.cpu_seconds += other.cpu_seconds;
        self.rss_peak = self.rss_peak.max(other.rss_peak);
    }
}

/// The end of a phase that is bounded by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until(Instant);

impl Until {
    /// In `seconds` from now.
    pub(crate) fn seconds(seconds: f64) -> Self {
        Self(Instant::now() + Duration::from_secs_f64(seconds))
    }

    /// Whether it is still to come.
    pub(crate) fn is_ahead(self) -> bool {
        Instant::now() < self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_that_work_at_once_share_their_time() {
        let mut one =
            Tally { operations: 3, bytes: 10, seconds: 1.0, cpu_seconds: 0.5, rss_peak: 7, ..Tally::default() };
        let other = Tally { operations: 4, bytes: 20, seconds: 1.5, cpu_seconds: 0.5, rss_peak: 5, ..Tally::default() };
        one.join(&other);
        assert_eq!((one.operations, one.bytes, one.seconds), (7, 30, 1.5));
        assert_eq!((one.cpu_seconds, one.rss_peak), (1.0, 7));
    }

    #[test]
    fn failed_operations_do_not_count() {
        let mut tally = Tally::default();
        tally.time(|| Ok::<_, ()>(())).unwrap();
        tally.time(|| Err::<(), _>(())).unwrap_err();
        assert_eq!((tally.operations, tally.latency.count()), (1, 1));
    }
}
