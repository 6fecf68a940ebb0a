//! Locks of files: what an application asks for by fcntl(2) and flock(2), and the ranges that one owner holds.

use serde::{Deserialize, Serialize};

use crate::limits::{FILE_SIZE_MAX, LOCK_SPANS_MAX};

/// Which locks exclude one another: those of one kind only, as on a local file system of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum LockKind {
    /// fcntl(2): byte ranges, of a process or of an open file description.
    Range,
    /// flock(2): the whole file, of an open file description.
    Whole,
}

/// Who holds locks within a mount: the kernel's number for a process or an open file description. No two at the same
/// time have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockOwner(pub u64);

/// A locked range of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockSpan {
    /// First byte.
    pub start: u64,
    /// Last byte, itself locked; [`LockSpan::END`] = whatever the file's length becomes.
    pub end: u64,
    /// Whether nobody else may lock any of it; else others may share it.
    pub exclusive: bool,
    /// The process that asked, as its own host names it; 0 where that is not to be known.
    pub pid: u32,
}

impl LockSpan {
    /// The last byte that any file can have.
    pub const END: u64 = FILE_SIZE_MAX;

    /// The whole file.
    #[must_use]
    pub const fn whole(exclusive: bool, pid: u32) -> Self {
        Self { start: 0, end: Self::END, exclusive, pid }
    }

    /// Whether it is a range that a file can have.
    #[must_use]
    pub const fn is_valid(&self) -> bool {
        self.start <= self.end && self.end <= Self::END
    }

    /// Whether two owners cannot hold both.
    #[must_use]
    pub const fn excludes(&self, other: &Self) -> bool {
        (self.exclusive || other.exclusive) && self.start <= other.end && other.start <= self.end
    }
}

/// The ranges that one owner holds of one file: ascending and disjoint, equal neighbours joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LockSpans(Vec<LockSpan>);

impl LockSpans {
    /// The ranges.
    #[must_use]
    pub fn spans(&self) -> &[LockSpan] {
        &self.0
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are more than one owner may have of a file, [`LOCK_SPANS_MAX`].
    #[must_use]
    pub fn are_too_many(&self) -> bool {
        self.0.len() > LOCK_SPANS_MAX
    }

    /// Holds `span` in the place of whatever was held of its range.
    pub fn hold(&mut self, span: LockSpan) {
        self.release(span.start, span.end);
        let place = self.0.partition_point(|held| held.end < span.start);
        self.0.insert(place, span);
        self.join(place);
    }

    /// Gives up all that is held between two bytes, both themselves included.
    pub fn release(&mut self, start: u64, end: u64) {
        let mut left = Vec::with_capacity(self.0.len() + 1);
        for held in self.0.drain(..) {
            if held.end < start || end < held.start {
                left.push(held);
                continue;
            }
            if held.start < start {
                left.push(LockSpan { end: start - 1, ..held });
            }
            if end < held.end {
                left.push(LockSpan { start: end + 1, ..held });
            }
        }
        self.0 = left;
    }

    /// What is held between two bytes, cut to them.
    #[must_use]
    pub fn within(&self, start: u64, end: u64) -> Vec<LockSpan> {
        let met = self.0.iter().filter(|held| held.start <= end && start <= held.end);
        met.map(|held| LockSpan { start: held.start.max(start), end: held.end.min(end), ..*held }).collect()
    }

    /// The first range that `span` of another owner cannot be held beside.
    #[must_use]
    pub fn first_against(&self, span: &LockSpan) -> Option<LockSpan> {
        let first = self.0.partition_point(|held| held.end < span.start);
        let met = self.0[first..].iter().take_while(|held| held.start <= span.end);
        met.copied().find(|held| held.excludes(span))
    }

    /// Joins the range at `place` with neighbours that touch it and are like it.
    fn join(&mut self, place: usize) {
        let touches = |left: &LockSpan, right: &LockSpan| {
            left.end.checked_add(1) == Some(right.start) && (left.exclusive, left.pid) == (right.exclusive, right.pid)
        };
        if place + 1 < self.0.len() && touches(&self.0[place], &self.0[place + 1]) {
            self.0[place].end = self.0.remove(place + 1).end;
        }
        if place > 0 && touches(&self.0[place - 1], &self.0[place]) {
            self.0[place - 1].end = self.0.remove(place).end;
        }
    }
}

#[cfg(test)]
mod tests;
