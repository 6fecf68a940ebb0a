//! How much of what strangers cause is told: refusals fill no log. Pure; time is passed in.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// What is told of one address in a minute.
const OF_ONE: u32 = 10;
/// What is told in a minute altogether; so many addresses are kept at the most.
const OF_ALL: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// Decides over each refusal, minute by minute, and counts those that are not told.
#[derive(Debug)]
pub struct Telling {
    since: Instant,
    told: u32,
    of: HashMap<IpAddr, u32>,
    untold: u64,
}

impl Telling {
    /// Nothing was told before `now`.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { since: now, told: 0, of: HashMap::new(), untold: 0 }
    }

    /// Whether something that `source` caused is told; else it is counted.
    pub fn may_tell(&mut self, source: IpAddr, now: Instant) -> bool {
        let may_tell = self.may_tell_now(source, now);
        self.untold += u64::from(!may_tell);
        may_tell
    }

    /// Whether something that `source` caused is told now; else it is to be told later.
    pub fn may_tell_now(&mut self, source: IpAddr, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) >= MINUTE {
            self.since = now;
            self.told = 0;
            self.of.clear();
        }
        // A source is kept only with something told, so there are never more of them than that.
        let of_one = self.of.get(&source).copied().unwrap_or(0);
        if self.told >= OF_ALL || of_one >= OF_ONE {
            return false;
        }
        self.told += 1;
        self.of.insert(source, of_one + 1);
        true
    }

    /// How many were not told since this was last asked.
    pub fn take_untold(&mut self) -> u64 {
        std::mem::take(&mut self.untold)
    }
}

#[cfg(test)]
mod tests;
