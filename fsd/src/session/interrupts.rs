//! Interruptions: a signal reached a process that waits for a request, perhaps one that another thread works on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use dashmap::DashMap;
use tokio::sync::Notify;

/// Interruptions kept for requests that are not registered yet. Most of them came after the answer and find nobody.
const EARLY_MAX: usize = 256;

/// Requests that can be interrupted, of all threads.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    waiting: DashMap<u64, Arc<Notify>>,
    early: Mutex<VecDeque<u64>>,
}

/// A registered request; dropping it takes it out.
#[derive(Debug)]
pub(crate) struct Interruptible<'a> {
    interrupts: &'a Interrupts,
    unique: u64,
    signal: Arc<Notify>,
}

impl Interrupts {
    /// Registers a request that has to wait.
    pub(crate) fn register(&self, unique: u64) -> Interruptible<'_> {
        let signal = Arc::new(Notify::new());
        self.waiting.insert(unique, Arc::clone(&signal));
        // An interruption looks in the other order, so one of the two sees the other.
        let mut early = self.early();
        if let Some(index) = early.iter().position(|other| *other == unique) {
            early.remove(index);
            signal.notify_one();
        }
        drop(early);
        Interruptible { interrupts: self, unique, signal }
    }

    /// Interrupts a request, also one that is registered only later.
    pub(crate) fn interrupt(&self, unique: u64) {
        if self.signal(unique) {
            return;
        }
        let mut early = self.early();
        if early.len() == EARLY_MAX {
            early.pop_front();
        }
        early.push_back(unique);
        drop(early);
        self.signal(unique);
    }

    fn signal(&self, unique: u64) -> bool {
        self.waiting.get(&unique).is_some_and(|signal| {
            signal.notify_one();
            true
        })
    }

    fn early(&self) -> std::sync::MutexGuard<'_, VecDeque<u64>> {
        self.early.lock().expect("no code under this lock panics")
    }
}

impl Interruptible<'_> {
    /// Waits for an interruption.
    pub(crate) async fn interrupted(&self) {
        self.signal.notified().await;
    }
}

impl Drop for Interruptible<'_> {
    fn drop(&mut self) {
        self.interrupts.waiting.remove(&self.unique);
    }
}

#[cfg(test)]
mod tests;
