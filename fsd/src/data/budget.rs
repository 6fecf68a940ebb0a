//! `Budget`: the ceiling on written bytes that are not committed yet.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes in use, of a maximum. Whoever finds it used up makes room by writing back; nobody is queued here.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    max: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max }
    }

    /// Takes `bytes` where they are left.
    pub(super) fn try_charge(&self, bytes: usize) -> bool {
        let charge = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.max);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, charge).is_ok()
    }

    /// Takes `bytes` in any case: for work that ends with more room than it began with.
    pub(super) fn force_charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back `bytes` of what was charged.
    pub(super) fn release(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "released {bytes} of {before}");
    }

    /// Whether an eighth is free.
    pub(super) fn has_slack(&self) -> bool {
        self.used() <= self.max / 8 * 7
    }

    /// Bytes in use.
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}
