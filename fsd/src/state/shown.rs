//! `Shown`: which version of a file the kernel was told of last.
//!
//! The kernel goes on believing attributes until they time out. An open must not: when it finds another version than
//! the kernel knows, the kernel's attributes are dropped. One number per slot, so the memory is bounded; a slot that
//! another file took over costs a needless drop, nothing else.

use std::sync::atomic::{AtomicU64, Ordering};

use proto::{Attr, InodeId};

/// 512 KiB of memory.
const SLOTS: usize = 1 << 16;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Shown {
    slots: Box<[AtomicU64]>,
}

impl Default for Shown {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Shown {
    /// The kernel is told these attributes.
    pub(crate) fn note(&self, attr: &Attr) {
        self.slot(attr.ino).store(mark(attr), Ordering::Relaxed);
    }

    /// Whether the kernel was told this version of the file last.
    pub(crate) fn is_current(&self, attr: &Attr) -> bool {
        self.slot(attr.ino).load(Ordering::Relaxed) == mark(attr)
    }

    fn slot(&self, ino: InodeId) -> &AtomicU64 {
        &self.slots[(spread(ino.0) >> 48) as usize % SLOTS]
    }
}

fn mark(attr: &Attr) -> u64 {
    spread(attr.ino.0 ^ spread(attr.version ^ spread(attr.size)))
}

/// Spreads nearby numbers over all 64 bits (the finisher of SplitMix64).
fn spread(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests;
