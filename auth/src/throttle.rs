//! `Throttle`: who tries wrong tokens has to wait, longer each time.
//!
//! Counts by source: an IPv4 address, or the /64 network of an IPv6 one, which a host has to itself. Tokens that are
//! known to be good are not to be held up: ask about those first.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Wrong tokens of a source that cost it nothing: people mistype.
const FREE: u32 = 10;
/// Wait after the next one; it doubles with each.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// Longest wait: a source shared with a guesser is not shut out for long.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// After so long without a wrong token, half of the count is forgotten.
const FORGET: Duration = Duration::from_secs(60);
/// Sources remembered, about 100 bytes each.
const SOURCES_MAX: usize = 16_384;

/// See the module's text.
#[derive(Debug, Default)]
pub struct Throttle {
    sources: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    last: Instant,
}

impl Record {
    /// What is left of the count at `now`.
    fn failures_at(&self, now: Instant) -> u32 {
        let halvings = now.saturating_duration_since(self.last).as_secs() / FORGET.as_secs();
        self.failures.checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX)).unwrap_or(0)
    }

    /// How long after the last failure the source is not heard.
    fn wait(&self) -> Duration {
        match self.failures.checked_sub(FREE) {
            None | Some(0) => Duration::ZERO,
            Some(more) => WAIT_MIN.saturating_mul(1 << (more - 1).min(16)).min(WAIT_MAX),
        }
    }
}

impl Throttle {
    /// Whether a token from `from` is to be looked at now; else how long to wait. Waiting is not made longer by asking.
    pub fn permit(&self, from: IpAddr, now: Instant) -> Result<(), Duration> {
        let sources = self.sources();
        let Some(record) = sources.get(&source(from)) else { return Ok(()) };
        match record.wait().checked_sub(now.saturating_duration_since(record.last)) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(left) => Err(left),
        }
    }

    /// A token from `from` was wrong.
    pub fn note_failure(&self, from: IpAddr, now: Instant) {
        let mut sources = self.sources();
        if sources.len() >= SOURCES_MAX {
            make_room(&mut sources, now);
        }
        let record = sources.entry(source(from)).or_insert(Record { failures: 0, last: now });
        *record = Record { failures: record.failures_at(now).saturating_add(1), last: now };
    }

    fn sources(&self) -> MutexGuard<'_, HashMap<IpAddr, Record>> {
        self.sources.lock().expect("no code under this lock panics")
    }
}

/// Forgets sources that would not have to wait, then those that were heard of longest ago.
fn make_room(sources: &mut HashMap<IpAddr, Record>, now: Instant) {
    sources.retain(|_, record| record.failures_at(now) >= FREE);
    if sources.len() < SOURCES_MAX {
        return;
    }
    let mut times: Vec<Instant> = sources.values().map(|record| record.last).collect();
    times.sort_unstable();
    let oldest_kept = times[times.len() / 4];
    sources.retain(|_, record| record.last > oldest_kept);
}

fn source(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(addr) => IpAddr::V6(Ipv6Addr::from_bits(addr.to_bits() & !u128::from(u64::MAX))),
        addr => addr,
    }
}

#[cfg(test)]
mod tests;
