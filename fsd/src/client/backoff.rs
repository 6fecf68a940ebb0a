//! Pauses between attempts to reach a server that is away.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(2);

/// Doubles the pause with each failed attempt. `noise` keeps the mounts of a restarted server apart.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure: between half of the step and all of it, as `noise` says.
    pub(crate) fn pause(&mut self, noise: u64) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let half = step / 2;
        half + half.mul_f64((noise % 1024) as f64 / 1024.0)
    }

    /// Whether no attempt failed since the last success.
    pub(crate) fn is_first(&self) -> bool {
        self.failures == 0
    }

    /// An attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests;
