//! `ReadAhead`: sees that a file is read in order and says what will be wanted next.
//!
//! Invariant: nothing is asked for that lies more than the window's maximum behind the last byte that was read.

use std::ops::Range;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct ReadAhead {
    /// Where an in-order reader goes on.
    next: u64,
    /// Bytes to be ahead of the reader; 0 while the file is not read in order.
    window: u64,
    /// First byte that was not asked for yet.
    asked: u64,
}

impl ReadAhead {
    /// Notes a read and says which bytes to fetch in the background, if any. A reader that starts at byte 0 counts as
    /// in order; the window doubles with each step from [`WINDOW_MIN`] to `window_max`.
    pub(super) fn note(&mut self, offset: u64, len: u64, size: u64, window_max: u64) -> Option<Range<u64>> {
        // The kernel has several requests under way, which overtake each other.
        let slack = if self.window > 0 { DISORDER_MAX } else { 0 };
        let in_order = offset.abs_diff(self.next) <= slack;
        let end = offset.saturating_add(len);
        if !in_order {
            *self = Self { next: end, window: 0, asked: 0 };
            return None;
        }
        self.next = self.next.max(end);
        self.window = (self.window * 2).max(WINDOW_MIN).min(window_max);
        let goal = self.next.saturating_add(self.window).min(size);
        let start = self.asked.max(self.next);
        // Asking for a little at a time would cost a task each.
        let worth_it = goal.saturating_sub(start) >= self.window / 2 || goal == size;
        if start >= goal || !worth_it {
            return None;
        }
        self.asked = goal;
        Some(start..goal)
    }
}

/// First window.
pub(super) const WINDOW_MIN: u64 = 512 << 10;
/// Largest window.
pub(super) const WINDOW_MAX: u64 = 8 << 20;
/// How far a request may be from where an in-order reader is.
const DISORDER_MAX: u64 = 1 << 20;

#[cfg(test)]
mod tests;
