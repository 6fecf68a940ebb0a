//! Who waits for locks, by arrival, by file and by locker.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::task::Waker;

use proto::{InodeId, LockSpan, SessionId};

use super::Locker;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct WaitingFor {
    pub(in super::super) ino: InodeId,
    pub(in super::super) locker: Locker,
    pub(in super::super) span: LockSpan,
}

/// What came of a look at a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Waited {
    /// Nobody holds what stands against it.
    Free,
    /// Somebody does. The waiter has this number.
    Still(u64),
    /// Somebody does, and waits for what the locker holds.
    Deadlock,
    /// The session waits for as many as it may.
    TooMany,
}

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// Numbers ascend, so the order is that of arrival.
    waiters: BTreeMap<u64, (WaitingFor, Waker)>,
    by_file: HashMap<InodeId, BTreeSet<u64>>,
    by_locker: HashMap<Locker, BTreeSet<u64>>,
    by_session: HashMap<SessionId, BTreeSet<u64>>,
    next: u64,
}

impl Waits {
    pub(super) fn count(&self, session: SessionId) -> usize {
        self.by_session.get(&session).map_or(0, BTreeSet::len)
    }

    /// Adds a waiter, or gives a known one another waker: it keeps its place.
    pub(super) fn put(&mut self, number: Option<u64>, wanted: WaitingFor, waker: Waker) -> u64 {
        let number = number.unwrap_or_else(|| {
            self.next += 1;
            self.next
        });
        if self.waiters.insert(number, (wanted, waker)).is_none() {
            self.by_file.entry(wanted.ino).or_default().insert(number);
            self.by_locker.entry(wanted.locker).or_default().insert(number);
            self.by_session.entry(wanted.locker.session).or_default().insert(number);
        }
        number
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Waker> {
        let (wanted, waker) = self.waiters.remove(&number)?;
        drop_from(&mut self.by_file, wanted.ino, number);
        drop_from(&mut self.by_locker, wanted.locker, number);
        drop_from(&mut self.by_session, wanted.locker.session, number);
        Some(waker)
    }

    pub(super) fn take_of(&mut self, session: SessionId) -> Vec<Waker> {
        let numbers = self.by_session.get(&session).cloned().unwrap_or_default();
        numbers.into_iter().filter_map(|number| self.remove(number)).collect()
    }

    /// Those who wait for a lock of a file, in the order in which they came.
    pub(super) fn of_file(&self, ino: InodeId) -> impl Iterator<Item = (u64, &WaitingFor)> {
        let numbers = self.by_file.get(&ino).into_iter().flatten();
        numbers.map(|number| (*number, &self.waiters[number].0))
    }

    /// What a locker waits for.
    pub(super) fn of_locker(&self, locker: &Locker) -> impl Iterator<Item = &WaitingFor> {
        self.by_locker.get(locker).into_iter().flatten().map(|number| &self.waiters[number].0)
    }
}

fn drop_from<K: std::hash::Hash + Eq>(index: &mut HashMap<K, BTreeSet<u64>>, key: K, number: u64) {
    if let Some(numbers) = index.get_mut(&key) {
        numbers.remove(&number);
        if numbers.is_empty() {
            index.remove(&key);
        }
    }
}
