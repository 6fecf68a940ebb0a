//! Locks of files, as the records say and in memory: who holds what, and who waits for it.
//!
//! Pure: the table changes only by what a transaction committed, and by who begins or stops to wait. Whoever waits is
//! woken in the order of arrival, as soon as the lock could be had beside those that were woken before; it takes the
//! lock by another request, so one that is gone by then takes nothing.

mod waits;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::task::Waker;

use proto::{InodeId, LockKind, LockOwner, LockSpan, LockSpans, SessionId};

use super::error::EngineError;
use super::inode::decode_record;
use super::keys;
use super::volume::each;
use crate::store::MetaKv;

use waits::Waits;
pub(super) use waits::{Waited, WaitingFor};

/// Ranges one session may have locked: bounds what one mount can make the server remember.
pub(super) const LOCKS_MAX: usize = 64 << 10;
/// Owners of one session that may have locked anything of one file: every lock of the file looks at all of them.
pub(super) const LOCKERS_MAX: usize = 4096;
/// As above, of all sessions.
pub(super) const LOCKERS_OF_FILE_MAX: usize = 16 << 10;

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
    sessions: HashMap<SessionId, OfSession>,
    waits: Waits,
}

/// Where a session holds any, and how many ranges: every lock asks for the number.
#[derive(Debug, Default)]
struct OfSession {
    files: BTreeMap<InodeId, usize>,
    ranges: usize,
}

impl Locks {
    /// Those that are recorded.
    pub(super) fn load<K: MetaKv>(kv: &K) -> Result<Self, EngineError> {
        let mut locks = Self::default();
        each(kv, keys::locks(), |key, value| {
            let (ino, locker) = keys::parse_lock(key).ok_or_else(|| EngineError::corrupt("lock key"))?;
            locks.set(ino, locker, decode_record("lock", value)?);
            Ok(())
        })?;
        Ok(locks)
    }

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
        self.sessions.get(&session).map_or(0, |held| held.ranges)
    }

    /// Files of which a session has locked anything.
    pub(super) fn files_of(&self, session: SessionId) -> Vec<InodeId> {
        self.sessions.get(&session).into_iter().flat_map(|held| held.files.keys().copied()).collect()
    }

    /// Whether a session has locked anything of a file.
    pub(super) fn has_any(&self, session: SessionId, ino: InodeId) -> bool {
        self.sessions.get(&session).is_some_and(|held| held.files.contains_key(&ino))
    }

    /// Up to `limit` lockers of a session, with the files that they hold anything of.
    pub(super) fn some_of(&self, session: SessionId, limit: usize) -> Vec<(InodeId, Locker)> {
        let files = self.sessions.get(&session).into_iter().flat_map(|held| held.files.keys().copied());
        let lockers = |ino| self.lockers_of(session, ino).map(move |locker| (ino, locker));
        files.flat_map(lockers).take(limit).collect()
    }

    /// Lockers of a session that hold anything of a file.
    pub(super) fn lockers_of(&self, session: SessionId, ino: InodeId) -> impl Iterator<Item = Locker> {
        let first = Locker { session, kind: LockKind::Range, owner: LockOwner(0) };
        let lockers = self.files.get(&ino).into_iter().flat_map(move |lockers| lockers.range(first..));
        lockers.map(|(locker, _)| *locker).take_while(move |locker| locker.session == session)
    }

    /// How many have locked anything of a file.
    pub(super) fn lockers(&self, ino: InodeId) -> usize {
        self.files.get(&ino).map_or(0, BTreeMap::len)
    }

    /// Takes up what was committed. Returns who is to be woken by it.
    pub(super) fn apply(&mut self, changes: impl IntoIterator<Item = LockChange>) -> Vec<Waker> {
        let mut freed: BTreeMap<(InodeId, LockKind), (u64, u64)> = BTreeMap::new();
        for (ino, locker, spans) in changes {
            let before = self.set(ino, locker, spans.clone());
            for held in before.spans().iter().filter(|held| is_less(&spans.within(held.start, held.end), held)) {
                let (start, end) = freed.entry((ino, locker.kind)).or_insert((held.start, held.end));
                (*start, *end) = ((*start).min(held.start), (*end).max(held.end));
            }
        }
        freed.into_iter().flat_map(|((ino, kind), range)| self.wake(ino, kind, range)).collect()
    }

    fn set(&mut self, ino: InodeId, locker: Locker, spans: LockSpans) -> LockSpans {
        let lockers = self.files.entry(ino).or_default();
        let after = spans.spans().len();
        let before = if spans.is_empty() { lockers.remove(&locker) } else { lockers.insert(locker, spans) };
        let before = before.unwrap_or_default();
        if lockers.is_empty() {
            self.files.remove(&ino);
        }
        let session = self.sessions.entry(locker.session).or_default();
        let of_file = session.files.entry(ino).or_default();
        *of_file = *of_file + after - before.spans().len();
        session.ranges = session.ranges + after - before.spans().len();
        if *of_file == 0 {
            session.files.remove(&ino);
        }
        if session.files.is_empty() {
            self.sessions.remove(&locker.session);
        }
        before
    }

    /// Waits for a lock, or goes on waiting: `waiter` is what the last call returned, none the first time.
    pub(super) fn wait(&mut self, waiter: Option<u64>, wanted: WaitingFor, waker: &Waker) -> Waited {
        let against = self.all_against(wanted.ino, &wanted.locker, &wanted.span);
        let holders: Vec<Locker> = against.map(|(other, _)| other).take(DEADLOCK_STEPS_MAX).collect();
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

    /// Those who may try again because something of a range was given up, in the order in which they came. Of a crowd
    /// the first are looked at; the others ask again by themselves.
    fn wake(&mut self, ino: InodeId, kind: LockKind, (start, end): (u64, u64)) -> Vec<Waker> {
        let (mut woken, mut taken): (Vec<u64>, Vec<WaitingFor>) = (Vec::new(), Vec::new());
        let concerned =
            |wanted: &WaitingFor| wanted.locker.kind == kind && wanted.span.start <= end && start <= wanted.span.end;
        for (number, wanted) in self.waits.of_file(ino).filter(|(_, wanted)| concerned(wanted)).take(WAKE_MAX) {
            let stands_against =
                |other: &WaitingFor| other.locker != wanted.locker && other.span.excludes(&wanted.span);
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
        let mut seen: HashSet<Locker> = holders.iter().copied().collect();
        let (mut ahead, mut steps) = (holders, 0);
        while let Some(holder) = ahead.pop() {
            if holder == *locker {
                return true;
            }
            for wanted in self.waits.of_locker(&holder) {
                for (other, _) in self.all_against(wanted.ino, &holder, &wanted.span) {
                    steps += 1;
                    if steps > DEADLOCK_STEPS_MAX {
                        return false;
                    }
                    if seen.insert(other) {
                        ahead.push(other);
                    }
                }
            }
        }
        false
    }
}

/// Whether less is left of a range than was held.
fn is_less(left: &[LockSpan], held: &LockSpan) -> bool {
    let bytes: u64 = left.iter().map(|span| span.end - span.start + 1).sum();
    bytes < held.end - held.start + 1 || (held.exclusive && left.iter().any(|span| !span.exclusive))
}

/// Waits of one session at once.
const WAITS_MAX: usize = 1024;
/// Waiters that are looked at when something is given up: each look is at all who have locked anything of the file.
const WAKE_MAX: usize = 64;
/// Steps from one locker to another that the search for a deadlock takes. Beyond that nobody finds one, as beyond ten on
/// Linux; who is in it can still be interrupted.
const DEADLOCK_STEPS_MAX: usize = 4096;
