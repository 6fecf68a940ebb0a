//! Which sessions hold which files open. In memory only: after a restart mounts claim what they hold.
//!
//! A shard's lock decides between an unlink and an open: the one that takes it first wins, and the unlink keeps it until
//! its commit can be seen.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};

use proto::{InodeId, SessionId, Timespec};

const SHARDS: usize = 64;

/// Files one session may hold open: bounds what one mount can make the server remember.
pub(super) const OPEN_FILES_MAX: u32 = 1 << 20;

/// Seconds after the start in which files that lose their last name are kept for sessions that have not claimed yet. A
/// mount that comes back claims at once; one that never does must not keep everybody's deleted files.
const CLAIM_SECS: i64 = 600;

/// Sessions of an earlier process that have not said yet which files they hold open.
#[derive(Debug)]
pub(super) struct Unclaimed {
    sessions: BTreeSet<SessionId>,
    until: Timespec,
}

impl Unclaimed {
    /// All sessions that are there when a volume is opened.
    pub(super) fn new(sessions: impl Iterator<Item = SessionId>, now: Timespec) -> Self {
        let until = Timespec { secs: now.secs.saturating_add(CLAIM_SECS), ..now };
        Self { sessions: sessions.collect(), until }
    }

    /// The session has claimed all, or is over. Tells whether it was awaited.
    pub(super) fn remove(&mut self, session: SessionId) -> bool {
        self.sessions.remove(&session)
    }

    /// Sessions that may hold any file open.
    pub(super) fn at(&self, now: Timespec) -> impl Iterator<Item = SessionId> + '_ {
        self.sessions.iter().copied().filter(move |_| now < self.until)
    }
}

/// A session's opens of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) session: SessionId,
    pub(super) count: u32,
    /// Whether one of them may write. Stays until the last is closed: a close does not say which one it was.
    pub(super) write: bool,
}

/// The table of open files.
pub(super) struct Opens {
    shards: [Mutex<HashMap<InodeId, Vec<Holder>>>; SHARDS],
}

/// A locked part of the table.
pub(super) struct OpenShard<'a> {
    files: MutexGuard<'a, HashMap<InodeId, Vec<Holder>>>,
}

impl Opens {
    pub(super) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    /// Locks the part of the table that `ino` is in.
    pub(super) fn shard(&self, ino: InodeId) -> OpenShard<'_> {
        OpenShard { files: self.lock(ino.0 as usize % SHARDS) }
    }

    /// The session's opens of a file.
    pub(super) fn find(&self, ino: InodeId, session: SessionId) -> Option<Holder> {
        self.shard(ino).find(ino, session)
    }

    /// Forgets all opens of a session.
    pub(super) fn purge(&self, session: SessionId) {
        for index in 0..SHARDS {
            self.lock(index).retain(|_, holders| {
                holders.retain(|holder| holder.session != session);
                !holders.is_empty()
            });
        }
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, HashMap<InodeId, Vec<Holder>>> {
        self.shards[index].lock().expect("no code under this lock panics")
    }
}

impl OpenShard<'_> {
    pub(super) fn find(&self, ino: InodeId, session: SessionId) -> Option<Holder> {
        self.files.get(&ino)?.iter().find(|holder| holder.session == session).copied()
    }

    /// Sessions that hold the file open.
    pub(super) fn holders(&self, ino: InodeId) -> Vec<SessionId> {
        self.files.get(&ino).into_iter().flatten().map(|holder| holder.session).collect()
    }

    /// Adds an open. Tells whether it is the session's first of this file.
    pub(super) fn add(&mut self, ino: InodeId, session: SessionId, write: bool) -> bool {
        let count = self.find(ino, session).map_or(1, |holder| holder.count.saturating_add(1));
        let write = write || self.find(ino, session).is_some_and(|holder| holder.write);
        self.set(ino, Holder { session, count, write })
    }

    /// Sets a session's opens of a file. Tells whether it had none before.
    pub(super) fn set(&mut self, ino: InodeId, holder: Holder) -> bool {
        let holders = self.files.entry(ino).or_default();
        match holders.iter_mut().find(|other| other.session == holder.session) {
            Some(known) => {
                *known = holder;
                false
            }
            None => {
                holders.push(holder);
                true
            }
        }
    }

    /// Takes `count` opens back. Tells whether they were the session's last of this file.
    pub(super) fn remove(&mut self, ino: InodeId, session: SessionId, count: u32) -> bool {
        let Some(holders) = self.files.get_mut(&ino) else { return false };
        let Some(index) = holders.iter().position(|holder| holder.session == session) else { return false };
        holders[index].count = holders[index].count.saturating_sub(count);
        if holders[index].count > 0 {
            return false;
        }
        holders.swap_remove(index);
        if holders.is_empty() {
            self.files.remove(&ino);
        }
        true
    }
}
