//! Locks of files, as the records say and in memory: who holds what, and who waits for it.
//!
//! Pure: the table changes only by what a transaction committed, and by who begins or stops to wait. Whoever waits is
//! woken in the order of arrival, as soon as the lock could be had beside those that were woken before; it takes the
//! lock by another request, so one that is gone by then takes nothing.

mod waits;

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;

use proto::{InodeId, LockKind, LockOwner, LockSpan, LockSpans, SessionId};

use waits::Waits;
pub(super) use waits::{Waited, WaitingFor};

/// Ranges one session may have locked: bounds what one mount can make the server remember.
pub(super) const LOCKS_MAX: usize = 64 << 10;
/// Owners of one session that may have locked anything of one file: every lock of the file looks at all of them.
pub(super) const LOCKERS_MAX: usize = 4096;

/// Who holds or wants a lock, in the whole volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Locker {
    pub(super) session: SessionId,
    pub(super) kind: LockKind,
    pub(super) owner: LockOwner,
}

/// One change of the table: all that a locker holds of a file from here on.
pub(super) type LockChange = (InodeId, Locker, LockSpans);

/// All locks of a volume.
#[derive(Debug, Default)]
pub(super) struct Locks {
    files: HashMap<InodeId, BTreeMap<Locker, LockSpans>>,
    /// Where each session holds any, and how many ranges.
    sessions: HashMap<SessionId, BTreeMap<InodeId, usize>>,
    waits: Waits,
}

impl Locks {
    /// What a locker holds of a file.
    pub(super) fn held(&self, ino: InodeId, locker: &Locker) -> LockSpans {
        self.files.get(&ino).and_then(|lockers| lockers.get(locker)).cloned().unwrap_or_default()
    }

    /// A lock of somebody else that stands against `span`.
    pub(super) fn against(&self, ino: InodeId, locker: &Locker, span: &LockSpan) -> Option<(Locker, LockSpan)> {
        self.all_against(ino, locker, span).next()
    }

    fn all_against(&self, ino: InodeId, locker: &Locker, span: &LockSpan) -> impl Iterator<Item = (Locker, LockSpan)> {
        let others = self.files.get(&ino).into_iter().flatten();
        let others = others.filter(move |(other, _)| *other != locker && other.kind == locker.kind);
        others.filter_map(move |(other, spans)| Some((*other, spans.first_against(span)?)))
    }

    /// Ranges that a session has locked.
    pub(super) fn count(&self, session: SessionId) -> usize {
        self.sessions.get(&session).map_or(0, |files| files.values().sum())
    }

    /// Files of which a session has locked anything.
    pub(super) fn files_of(&self, session: SessionId) -> Vec<InodeId> {
        self.sessions.get(&session).into_iter().flatten().map(|(ino, _)| *ino).collect()
    }

    /// Whether a session has locked anything of a file.
    pub(super) fn has_any(&self, session: SessionId, ino: InodeId) -> bool {
        self.sessions.get(&session).is_some_and(|files| files.contains_key(&ino))
    }

    /// Lockers of a session that hold anything of a file.
    pub(super) fn lockers_of(&self, session: SessionId, ino: InodeId) -> Vec<Locker> {
        let first = Locker { session, kind: LockKind::Range, owner: LockOwner(0) };
        let lockers = self.files.get(&ino).into_iter().flat_map(|lockers| lockers.range(first..));
        lockers.map(|(locker, _)| *locker).take_while(|locker| locker.session == session).collect()
    }

    /// Takes up what was committed. Returns who is to be woken by it.
    pub(super) fn apply(&mut self, (ino, locker, spans): LockChange) -> Vec<Waker> {
        let before = self.set(ino, locker, spans.clone());
        let is_less = before.spans().iter().any(|held| {
            let left = spans.within(held.start, held.end);
            left.iter().map(|span| span.end - span.start + 1).sum::<u64>() < held.end - held.start + 1
                || (held.exclusive && left.iter().any(|span| !span.exclusive))
        });
        if is_less { self.wake(ino) } else { Vec::new() }
    }

    fn set(&mut self, ino: InodeId, locker: Locker, spans: LockSpans) -> LockSpans {
        let lockers = self.files.entry(ino).or_default();
        let after = spans.spans().len();
        let before = if spans.is_empty() { lockers.remove(&locker) } else { lockers.insert(locker, spans) };
        let before = before.unwrap_or_default();
        if lockers.is_empty() {
            self.files.remove(&ino);
        }
        let files = self.sessions.entry(locker.session).or_default();
        let count = files.entry(ino).or_default();
        *count = *count + after - before.spans().len();
        if *count == 0 {
            files.remove(&ino);
        }
        if files.is_empty() {
            self.sessions.remove(&locker.session);
        }
        before
    }

    /// Waits for a lock, or goes on waiting: `waiter` is what the last call returned, none the first time.
    pub(super) fn wait(&mut self, waiter: Option<u64>, wanted: WaitingFor, waker: &Waker) -> Waited {
        let holders: Vec<Locker> =
            self.all_against(wanted.ino, &wanted.locker, &wanted.span).map(|(other, _)| other).collect();
        if holders.is_empty() {
            return Waited::Free;
        }
        if waiter.is_none() && self.waits.count(wanted.locker.session) >= WAITS_MAX {
            return Waited::TooMany;
        }
        if self.is_deadlock(&wanted.locker, holders) {
            return Waited::Deadlock;
        }
        Waited::Still(self.waits.put(waiter, wanted, waker.clone()))
    }

    /// Does not wait any more.
    pub(super) fn stop_waiting(&mut self, waiter: u64) {
        self.waits.remove(waiter);
    }

    /// Whoever waits in a session that is over.
    pub(super) fn take_waiting(&mut self, session: SessionId) -> Vec<Waker> {
        self.waits.take_of(session)
    }

    /// Those who may try again, in the order in which they came.
    fn wake(&mut self, ino: InodeId) -> Vec<Waker> {
        let (mut woken, mut taken): (Vec<u64>, Vec<WaitingFor>) = (Vec::new(), Vec::new());
        for (number, wanted) in self.waits.of_file(ino) {
            let stands_against = |other: &WaitingFor| {
                other.locker != wanted.locker
                    && other.locker.kind == wanted.locker.kind
                    && other.span.excludes(&wanted.span)
            };
            if self.against(ino, &wanted.locker, &wanted.span).is_none() && !taken.iter().any(stands_against) {
                woken.push(number);
                taken.push(*wanted);
            }
        }
        woken.into_iter().filter_map(|number| self.waits.remove(number)).collect()
    }

    /// Whether one of `holders` waits, directly or by others, for something that `locker` holds. Whole files are left out,
    /// as Linux does.
    fn is_deadlock(&self, locker: &Locker, holders: Vec<Locker>) -> bool {
        if locker.kind == LockKind::Whole {
            return false;
        }
        let (mut seen, mut ahead) = (Vec::new(), holders);
        while let Some(holder) = ahead.pop() {
            if holder == *locker {
                return true;
            }
            if seen.contains(&holder) || seen.len() >= DEADLOCK_STEPS_MAX {
                continue;
            }
            seen.push(holder);
            for wanted in self.waits.of_locker(&holder) {
                ahead.extend(self.all_against(wanted.ino, &holder, &wanted.span).map(|(other, _)| other));
            }
        }
        false
    }
}

/// Waits of one session at once.
const WAITS_MAX: usize = 1024;
/// Lockers that the search for a deadlock looks at. A ring of more is found by nobody, as beyond ten on Linux.
const DEADLOCK_STEPS_MAX: usize = 64;
