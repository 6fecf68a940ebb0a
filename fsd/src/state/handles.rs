//! Handles: numbers that the kernel keeps for open files and directories.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use proto::Errno;

/// One open file or directory, as the kernel names it. Never reused within a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HandleId(pub(crate) u64);

/// What handles stand for. Holds as many as the kernel has open: its own limits bound the table.
#[derive(Debug)]
pub(crate) struct HandleTable<T> {
    next: AtomicU64,
    open: DashMap<u64, Arc<T>>,
}

impl<T> Default for HandleTable<T> {
    fn default() -> Self {
        Self { next: AtomicU64::new(1), open: DashMap::new() }
    }
}

impl<T> HandleTable<T> {
    /// A new handle for `target`.
    pub(crate) fn insert(&self, target: T) -> HandleId {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.open.insert(id, Arc::new(target));
        HandleId(id)
    }

    /// What `handle` stands for, else `EBADF`.
    pub(crate) fn find(&self, handle: HandleId) -> Result<Arc<T>, Errno> {
        self.open.get(&handle.0).map(|entry| Arc::clone(&entry)).ok_or(Errno::EBADF)
    }

    /// Takes `handle` out, once.
    pub(crate) fn remove(&self, handle: HandleId) -> Option<Arc<T>> {
        self.open.remove(&handle.0).map(|(_, target)| target)
    }
}

#[cfg(test)]
mod tests;
