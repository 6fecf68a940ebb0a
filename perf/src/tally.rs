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
mod tests;
