//! What a session asked for and may not have: counted, and told now and then in one line.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Breach;

/// Counts by kind, since they were last told.
#[derive(Debug, Default)]
pub(crate) struct Breaches {
    counts: [AtomicU64; Breach::ALL.len()],
}

/// Counts that are told together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All of them.
    pub(crate) count: u64,
    /// How many of which kind, in words.
    pub(crate) words: String,
}

impl Breaches {
    /// Counts one.
    pub(crate) fn note(&self, breach: Breach) {
        self.counts[breach as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Whether there is something to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| count.load(Ordering::Relaxed) == 0)
    }

    /// What came since this was last asked; `None` if nothing did.
    pub(crate) fn take(&self) -> Option<Tally> {
        let counts = Breach::ALL.map(|breach| (breach, self.counts[breach as usize].swap(0, Ordering::Relaxed)));
        let told: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| format!("{count} {}", word(*kind)))
            .collect();
        let count = counts.iter().map(|(_, count)| count).sum();
        (count > 0).then(|| Tally { count, words: told.join(", ") })
    }
}

fn word(breach: Breach) -> &'static str {
    match breach {
        Breach::Scope => "outside the mount path",
        Breach::ReadOnly => "to change what is read-only",
        Breach::Objects => "with object ids of others",
        Breach::Protocol => "malformed",
    }
}

#[cfg(test)]
mod tests;
