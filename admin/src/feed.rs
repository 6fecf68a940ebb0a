//! The feed: what changed, in order, for the metadata servers that listen.
//!
//! Owns the newest changes of this process, a bounded number. Each listener reads them at its own pace and holds no
//! queue; one that falls behind, or comes back from another life of this server, is told to ask for everything again. Each
//! says how far it acts by what it heard, so that whoever changed something can wait for that.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use proto::feed::{BEAT_MILLIS, Change, FeedLine, FeedPosition};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until, timeout};
use uuid::Uuid;

/// Changes that are kept, 40 bytes each.
const KEPT_MAX: usize = 16_384;
/// Listeners at once: each holds a connection.
const LISTENERS_MAX: usize = 512;
/// Whoever changed something waits so long for those who are to act by it. Mounts have a second for the same.
const ACT_MAX: Duration = Duration::from_millis(1500);

/// What a transaction changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    /// Something that metadata servers decide by.
    Changed(Change),
    /// The token of this meta store: who listens with the old one listens no more.
    ServerToken(Uuid),
}

/// The changes of this process's life.
pub(crate) struct Feed {
    life: Uuid,
    kept: Mutex<Kept>,
    newest: watch::Sender<Newest>,
    places: Arc<Semaphore>,
    listening: watch::Sender<Listening>,
}

/// Who listens, and the last change that each acts by.
#[derive(Default)]
struct Listening {
    next: u64,
    listeners: HashMap<u64, Acting>,
}

struct Acting {
    store: Uuid,
    sequence: u64,
}

#[derive(Default)]
struct Kept {
    notes: VecDeque<Note>,
    /// Number of the first of `notes`, less one.
    before: u64,
}

#[derive(Clone, Copy, Default)]
struct Newest {
    sequence: u64,
    is_closed: bool,
}

impl Default for Feed {
    fn default() -> Self {
        Self {
            life: Uuid::new_v4(),
            kept: Mutex::default(),
            newest: watch::Sender::default(),
            places: Arc::new(Semaphore::new(LISTENERS_MAX)),
            listening: watch::Sender::default(),
        }
    }
}

impl Feed {
    /// Tells what a transaction changed. It must be committed, and transactions must come in their order.
    pub(crate) fn publish(&self, notes: Vec<Note>) {
        if notes.is_empty() {
            return;
        }
        let mut kept = self.kept();
        kept.notes.extend(notes);
        let surplus = kept.notes.len().saturating_sub(KEPT_MAX);
        kept.notes.drain(..surplus);
        kept.before += surplus as u64;
        let sequence = kept.before + kept.notes.len() as u64;
        drop(kept);
        self.newest.send_modify(|newest| newest.sequence = newest.sequence.max(sequence));
    }

    /// Ends what all listeners hear.
    pub(crate) fn close(&self) {
        self.newest.send_modify(|newest| newest.is_closed = true);
    }

    /// Listens for the meta store `store` from `after` on; `None` where too many do.
    pub(crate) fn listen(self: &Arc<Self>, store: Uuid, after: Option<FeedPosition>) -> Option<Listener> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let newest = self.newest.subscribe();
        let sequence = newest.borrow().sequence;
        let known = after.filter(|after| after.feed == self.life && after.sequence <= sequence);
        let heard = known.map_or(sequence, |known| known.sequence);
        let start = FeedLine::Start {
            position: FeedPosition { feed: self.life, sequence: heard },
            complete: known.is_some() && heard >= self.kept().before,
        };
        // What it acts by it says itself, its first line included.
        let number = self.enter(Acting { store, sequence: 0 });
        Some(Listener { feed: Arc::clone(self), number, store, newest, heard, start: Some(start), _place: place })
    }

    fn enter(&self, acting: Acting) -> u64 {
        let mut number = 0;
        self.listening.send_modify(|listening| {
            number = listening.next;
            listening.next += 1;
            listening.listeners.insert(number, acting);
        });
        number
    }

    /// Takes the word of the meta store `store` that it acts by everything up to a place.
    pub(crate) fn acts(&self, store: Uuid, place: FeedPosition) {
        if place.feed != self.life {
            return;
        }
        self.listening.send_modify(|listening| {
            for acting in listening.listeners.values_mut().filter(|acting| acting.store == store) {
                acting.sequence = acting.sequence.max(place.sequence);
            }
        });
    }

    /// Number of the newest change that metadata servers act by; 0 where none is kept.
    pub(crate) fn newest(&self) -> u64 {
        let kept = self.kept();
        let behind = kept.notes.iter().rev().take_while(|note| !matches!(note, Note::Changed(_))).count();
        if behind == kept.notes.len() { 0 } else { kept.before + (kept.notes.len() - behind) as u64 }
    }

    /// Waits until all who listen act by everything up to change `sequence`, or had their time for that.
    pub(crate) async fn acted_on(&self, sequence: u64) {
        let mut listening = self.listening.subscribe();
        let all =
            listening.wait_for(|listening| listening.listeners.values().all(|acting| acting.sequence >= sequence));
        if timeout(ACT_MAX, all).await.is_err() {
            tracing::warn!("a metadata server that listens does not say that it acts by a change");
        }
    }

    /// What comes after change `heard`, if anything.
    fn after(&self, heard: u64) -> Option<Heard> {
        let kept = self.kept();
        let Some(index) = heard.checked_sub(kept.before) else { return Some(Heard::Gap(kept.before)) };
        kept.notes.get(usize::try_from(index).ok()?).copied().map(Heard::Note)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().expect("no code under this lock panics")
    }
}

enum Heard {
    Note(Note),
    Gap(u64),
}

/// One listener.
pub(crate) struct Listener {
    feed: Arc<Feed>,
    number: u64,
    store: Uuid,
    newest: watch::Receiver<Newest>,
    /// The last change it was told of.
    heard: u64,
    /// The first line, until it was told.
    start: Option<FeedLine>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next line; waits for it. `None` when the server stops, or the token it listens with ended.
    pub(crate) async fn next(&mut self) -> Option<FeedLine> {
        if let Some(start) = self.start.take() {
            return Some(start);
        }
        let beat = Instant::now() + Duration::from_millis(BEAT_MILLIS);
        loop {
            // Before the look, so that what comes after it wakes.
            if self.newest.borrow_and_update().is_closed {
                return None;
            }
            match self.feed.after(self.heard) {
                Some(Heard::Gap(sequence)) => {
                    self.heard = sequence;
                    return Some(FeedLine::Gap { sequence });
                }
                Some(Heard::Note(note)) => {
                    self.heard += 1;
                    match note {
                        Note::Changed(change) => return Some(FeedLine::Change { sequence: self.heard, change }),
                        Note::ServerToken(store) if store == self.store => return None,
                        Note::ServerToken(_) => {}
                    }
                }
                None => tokio::select! {
                    changed = self.newest.changed() => changed.ok()?,
                    () = sleep_until(beat) => return Some(FeedLine::Beat),
                },
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.feed.listening.send_modify(|listening| {
            listening.listeners.remove(&self.number);
        });
    }
}

#[cfg(test)]
mod tests;
