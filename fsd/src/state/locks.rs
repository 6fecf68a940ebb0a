//! `HeldLocks`: locks that programs of this mount hold, as the server granted them.
//!
//! The kernel keeps no list of them and does not say when an open file that held some is gone, so the handles that they
//! were taken through are kept too. Bounded by what the server grants and by what the kernel has open. Invariant: whoever
//! asks the server for a lock or gives one up has the file's turn, so what is noted here is what the server has, whatever
//! order its answers would come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use proto::{InodeId, LockKind, LockOwner, LockSpan, LockSpans};

use super::HandleId;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct HeldLocks {
    files: DashMap<InodeId, FileLocks>,
    /// Counts the sessions that the locks were taken in.
    session: AtomicU64,
}

/// Who holds locks of which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// The file.
    pub(crate) ino: InodeId,
    /// Which locks.
    pub(crate) kind: LockKind,
    /// The process or open file.
    pub(crate) owner: LockOwner,
}

/// Locks of one file.
#[derive(Debug, Default)]
struct FileLocks {
    holdings: Vec<Holding>,
    turn: Arc<Turns>,
    /// Who has the turn or waits for it.
    seats: usize,
}

/// What one holder has.
#[derive(Debug)]
struct Holding {
    kind: LockKind,
    owner: LockOwner,
    spans: LockSpans,
    /// Handles that the locks were taken through and that are open.
    handles: Vec<HandleId>,
}

type Turns = tokio::sync::Mutex<()>;

/// The right to change locks of a file at the server. Turns are had in the order in which they were asked for.
#[derive(Debug)]
pub(crate) struct LockTurn<'a> {
    // Given up before the seat.
    _turn: tokio::sync::OwnedMutexGuard<()>,
    _seat: Seat<'a>,
}

/// Keeps the file's entry as long as somebody waits.
#[derive(Debug)]
struct Seat<'a> {
    locks: &'a HeldLocks,
    ino: InodeId,
}

impl HeldLocks {
    /// Waits for the turn on a file.
    pub(crate) async fn turn(&self, ino: InodeId) -> LockTurn<'_> {
        let mut file = self.files.entry(ino).or_default();
        file.seats += 1;
        let turn = Arc::clone(&file.turn);
        drop(file);
        let seat = Seat { locks: self, ino };
        LockTurn { _turn: turn.lock_owned().await, _seat: seat }
    }

    /// Which session with the server it is: to be asked before a request, and told with its answer.
    pub(crate) fn session(&self) -> u64 {
        self.session.load(Ordering::SeqCst)
    }

    /// Notes that the server granted a lock, to a request that was sent in `session`. `false` where another session began
    /// meanwhile, which knows nothing of it: ask again.
    pub(crate) fn settle_lock(&self, session: u64, holder: Holder, handle: HandleId, span: LockSpan) -> bool {
        let mut file = self.files.entry(holder.ino).or_default();
        if session != self.session() {
            return false;
        }
        let holding = file.holding(holder);
        holding.spans.hold(span);
        if !holding.handles.contains(&handle) {
            holding.handles.push(handle);
        }
        true
    }

    /// Notes that the server took back what a holder had between two bytes. `false` as [`HeldLocks::settle_lock`].
    pub(crate) fn settle_unlock(&self, session: u64, holder: Holder, start: u64, end: u64) -> bool {
        let Some(mut file) = self.files.get_mut(&holder.ino) else { return true };
        if session != self.session() {
            return false;
        }
        file.release(holder, start, end);
        true
    }

    /// Notes that a holder has nothing between two bytes any more, whatever the server thinks.
    pub(crate) fn forget(&self, holder: Holder, start: u64, end: u64) {
        if let Some(mut file) = self.files.get_mut(&holder.ino) {
            file.release(holder, start, end);
        }
        self.rest(holder.ino);
    }

    /// What a holder has between two bytes.
    pub(crate) fn held(&self, holder: Holder, start: u64, end: u64) -> Vec<LockSpan> {
        let Some(file) = self.files.get(&holder.ino) else { return Vec::new() };
        let holding = file.holdings.iter().find(|holding| holding.is_of(holder));
        holding.map(|holding| holding.spans.within(start, end)).unwrap_or_default()
    }

    /// Whether a holder has any locks.
    pub(crate) fn holds(&self, holder: Holder) -> bool {
        self.files.get(&holder.ino).is_some_and(|file| file.holdings.iter().any(|holding| holding.is_of(holder)))
    }

    /// Whether others on this mount have what stands against a lock.
    pub(crate) fn stand_against(&self, holder: Holder, span: &LockSpan) -> bool {
        let stands = |holding: &Holding| {
            holding.kind == holder.kind && holding.owner != holder.owner && holding.spans.first_against(span).is_some()
        };
        self.files.get(&holder.ino).is_some_and(|file| file.holdings.iter().any(stands))
    }

    /// Whether locks were taken through a handle and are still held.
    pub(crate) fn came_through(&self, ino: InodeId, handle: HandleId) -> bool {
        let came = |holding: &Holding| holding.handles.contains(&handle);
        self.files.get(&ino).is_some_and(|file| file.holdings.iter().any(came))
    }

    /// Takes notice that a handle is gone. Returns the holders that no handle is left of: what they have is to be given
    /// up. Others keep theirs: their locks may have come through the one that is left.
    pub(crate) fn leave(&self, ino: InodeId, handle: HandleId) -> Vec<Holder> {
        let Some(mut file) = self.files.get_mut(&ino) else { return Vec::new() };
        let left = |holding: &mut Holding| {
            holding.handles.retain(|other| *other != handle);
            let Holding { kind, owner, .. } = *holding;
            holding.handles.is_empty().then_some(Holder { ino, kind, owner })
        };
        file.holdings.iter_mut().filter_map(left).collect()
    }

    /// A session with the server begins that knows of no locks. Returns all that are to be taken in it.
    pub(crate) fn renew(&self) -> Vec<(Holder, LockSpan)> {
        // Before the look at the table: an answer of before is settled when it is looked at, or not at all.
        self.session.fetch_add(1, Ordering::SeqCst);
        let of_file = |ino: InodeId, file: &FileLocks| {
            let of_holding = |holding: &Holding| {
                let holder = Holder { ino, kind: holding.kind, owner: holding.owner };
                holding.spans.spans().iter().map(|span| (holder, *span)).collect::<Vec<_>>()
            };
            file.holdings.iter().flat_map(of_holding).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(|entry| of_file(*entry.key(), entry.value())).collect()
    }

    /// Forgets a file nobody has locks of or asks for any.
    fn rest(&self, ino: InodeId) {
        self.files.remove_if(&ino, |_, file| file.seats == 0 && file.holdings.is_empty());
    }
}

impl FileLocks {
    fn holding(&mut self, holder: Holder) -> &mut Holding {
        let place = self.holdings.iter().position(|holding| holding.is_of(holder)).unwrap_or_else(|| {
            let Holder { kind, owner, .. } = holder;
            self.holdings.push(Holding { kind, owner, spans: LockSpans::default(), handles: Vec::new() });
            self.holdings.len() - 1
        });
        &mut self.holdings[place]
    }

    fn release(&mut self, holder: Holder, start: u64, end: u64) {
        if let Some(place) = self.holdings.iter().position(|holding| holding.is_of(holder)) {
            self.holdings[place].spans.release(start, end);
            if self.holdings[place].spans.is_empty() {
                self.holdings.swap_remove(place);
            }
        }
    }
}

impl Holding {
    fn is_of(&self, holder: Holder) -> bool {
        (self.kind, self.owner) == (holder.kind, holder.owner)
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(mut file) = self.locks.files.get_mut(&self.ino) {
            file.seats -= 1;
        }
        self.locks.rest(self.ino);
    }
}

#[cfg(test)]
mod tests;
