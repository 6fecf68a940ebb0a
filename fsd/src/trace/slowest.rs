//! The slowest operations of the last minutes, some of each thread.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::{Ended, SlowOperation, micros};

/// Operations kept of each window. Worst case of memory: twice so many records of about 3 KB, for each thread.
const KEPT_MAX: usize = 32;
/// Length of a window. What is told is of this one and of the one before.
const WINDOW: Duration = Duration::from_secs(60);

/// The slow operations of one thread.
#[derive(Debug)]
pub(crate) struct Slowest {
    begun: Instant,
    current: Vec<SlowOperation>,
    before: Vec<SlowOperation>,
    /// What an operation has to exceed, in microseconds, to be among the slowest of this window.
    threshold: u64,
}

impl Slowest {
    fn new(now: Instant) -> Self {
        Self { begun: now, current: Vec::new(), before: Vec::new(), threshold: 0 }
    }

    /// Takes in an operation whose reply was just written, if it is slow enough; `error` is what it ended with.
    pub(crate) fn take_in(&mut self, ended: Ended, error: Option<&'static str>) {
        self.turn_over(ended.ended);
        if self.current.len() < KEPT_MAX || micros(ended.total()) > self.threshold {
            self.keep(ended.record(Instant::now(), error));
        } else {
            ended.trace.discard();
        }
    }

    /// Begins another window when it is time.
    fn turn_over(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.begun);
        if age >= WINDOW {
            let current = std::mem::take(&mut self.current);
            self.before = if age < 2 * WINDOW { current } else { Vec::new() };
            (self.begun, self.threshold) = (now, 0);
        }
    }

    fn keep(&mut self, record: SlowOperation) {
        if self.current.len() == KEPT_MAX
            && let Some((fastest, _)) = self.fastest()
        {
            self.current.swap_remove(fastest);
        }
        self.current.push(record);
        if self.current.len() == KEPT_MAX {
            self.threshold = self.fastest().map_or(0, |(_, total)| total);
        }
    }

    fn fastest(&self) -> Option<(usize, u64)> {
        self.current.iter().map(|record| record.total).enumerate().min_by_key(|(_, total)| *total)
    }
}

/// The slow operations of all threads of a mount.
#[derive(Debug, Default)]
pub(crate) struct SlowLog {
    threads: Mutex<Vec<Arc<Mutex<Slowest>>>>,
}

impl SlowLog {
    /// A part for a thread of its own.
    pub(crate) fn join(&self) -> Arc<Mutex<Slowest>> {
        let own = Arc::new(Mutex::new(Slowest::new(Instant::now())));
        lock(&self.threads).push(Arc::clone(&own));
        own
    }

    /// The slowest first, at most `count` of them; of one file where `inode` says which.
    pub(crate) fn slowest(&self, inode: Option<u64>, count: usize) -> Vec<SlowOperation> {
        let now = Instant::now();
        let mut all = Vec::new();
        for thread in lock(&self.threads).iter() {
            let mut thread = lock(thread);
            thread.turn_over(now);
            let records = thread.before.iter().chain(&thread.current);
            all.extend(records.filter(|record| inode.is_none_or(|inode| record.inode == inode)).cloned());
        }
        all.sort_by_key(|record| std::cmp::Reverse(record.total));
        all.truncate(count);
        all
    }
}

/// Locks what no code panics under.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no code under this lock panics")
}

#[cfg(test)]
mod tests;
