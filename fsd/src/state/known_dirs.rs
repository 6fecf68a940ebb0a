//! `KnownDirs`: directories as this mount's own changes left them.
//!
//! The kernel drops a directory's attributes with each name that is made or removed in it and asks for them at once. The
//! reply to the change told them already. An entry lives as long as the kernel might have kept it, counted from when the
//! change was asked for. One entry per slot, so the memory is bounded; a slot that another directory took over costs a
//! question to the server, nothing else.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use proto::{Attr, InodeId, Sequence, Timespec};

/// Directories known at the most. 150 KiB of memory.
const SLOTS: usize = 1024;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct KnownDirs {
    slots: Box<[Mutex<Option<KnownDir>>]>,
}

#[derive(Clone, Copy, Debug)]
struct KnownDir {
    /// The commit that left the directory so. One without links is gone.
    sequence: Sequence,
    attr: Attr,
    asked: Timespec,
}

impl Default for KnownDirs {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Mutex::default()).collect() }
    }
}

impl KnownDirs {
    /// Takes in how commit `sequence` left `dirs`, by the reply to a request of the time `asked`.
    pub(crate) fn learn(&self, dirs: &[Attr], sequence: Sequence, asked: Timespec) {
        for attr in dirs {
            let mut slot = self.slot(attr.ino);
            let is_newer = slot.is_none_or(|known| known.attr.ino != attr.ino || known.sequence < sequence);
            if is_newer {
                *slot = Some(KnownDir { sequence, attr: *attr, asked });
            }
        }
    }

    /// The directory, where it is known, and for how long it was when it is `now`: less than `age_max`.
    pub(crate) fn find(&self, ino: InodeId, now: Timespec, age_max: Duration) -> Option<(Attr, Duration)> {
        let known = self.slot(ino).filter(|known| known.attr.ino == ino && known.attr.nlink > 0)?;
        let age = now.since(known.asked).filter(|age| *age < age_max)?;
        Some((known.attr, age))
    }

    /// Forgets everything: a change was lost sight of.
    pub(crate) fn clear(&self) {
        for slot in &self.slots {
            *slot.lock().expect("no code under this lock panics") = None;
        }
    }

    fn slot(&self, ino: InodeId) -> MutexGuard<'_, Option<KnownDir>> {
        // Inode ids are handed out one after the other: their low bits are spread already.
        self.slots[ino.0 as usize % SLOTS].lock().expect("no code under this lock panics")
    }
}

#[cfg(test)]
mod tests;
