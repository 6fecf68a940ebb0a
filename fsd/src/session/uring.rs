//! FUSE over io_uring (Linux 6.14): requests come in as completions, replies go out as submissions.
//!
//! Each CPU of the machine has a queue in the kernel, and a request goes to the queue of the CPU it was made on, so the
//! thread that is pinned there works on it while the caller sleeps on the same core. Owns a thread's ring and the entries
//! of the queues that the thread serves. An entry is lent back and forth: the kernel has it until a completion says that
//! a request lies in it, we have it until the reply is committed. Forgets, interruptions and notices stay on the device.

mod entry;
mod ring;

use std::fmt;
use std::fs;

pub(crate) use ring::Ring;
pub(super) use ring::{DEPTH, EntryId};

/// How requests come from the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Rings, one for each CPU.
    Uring,
    /// Reads and writes of `/dev/fuse`.
    Classic,
}

impl Transport {
    /// What this machine has, the one that mounts take first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let uring = obstacle().is_none().then_some(Self::Uring);
        uring.into_iter().chain([Self::Classic]).collect()
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uring => "uring",
            Self::Classic => "classic",
        })
    }
}

/// Why the kernel would not serve a mount over rings; `None` where nothing speaks against it.
pub(crate) fn obstacle() -> Option<String> {
    match fs::read_to_string(SWITCH) {
        Ok(switch) if switch.trim() == "Y" => {}
        Ok(_) => return Some(format!("FUSE over io_uring is switched off: `echo Y > {SWITCH}` switches it on")),
        Err(_) => return Some("this kernel has no FUSE over io_uring: Linux 6.14 or newer is needed".to_owned()),
    }
    ring::probe().err().map(|error| format!("io_uring: {error}; a container or kernel.io_uring_disabled may forbid it"))
}

/// Queues that the kernel has: one for each CPU that may ever be there. It serves nothing before each has an entry.
pub(crate) fn queue_count() -> usize {
    fs::read_to_string(POSSIBLE_CPUS).ok().and_then(|ranges| parse_count(&ranges)).unwrap_or(1)
}

/// The number behind the highest CPU of a list such as `0-3,8`.
fn parse_count(ranges: &str) -> Option<usize> {
    let last = ranges.trim().rsplit([',', '-']).next()?;
    last.parse::<usize>().ok()?.checked_add(1)
}

const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";
const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";

#[cfg(test)]
mod tests;
