//! `File`: the state of one file's content, shared by its handles and by the tasks that work for it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proto::InodeId;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::budget::Budget;
use super::state::FileState;
use crate::trace::{Stage, stage};

/// The content of a file that is open or was lately.
#[derive(Debug)]
pub(crate) struct File {
    ino: InodeId,
    /// Held for moments only, never while anything is waited for.
    state: Mutex<FileState>,
    /// Whoever changes the committed content holds this: commits are sent one after the other.
    turn: Arc<Semaphore>,
    /// Tells that an upload ended.
    uploaded: Notify,
    /// Memory of uncommitted bytes, to be looked at without the lock.
    memory: AtomicUsize,
    /// Number of the last close, among all closes of the mount.
    closed: AtomicU64,
}

impl File {
    pub(super) fn new(ino: InodeId, state: FileState) -> Self {
        Self {
            ino,
            state: Mutex::new(state),
            turn: Arc::new(Semaphore::new(1)),
            uploaded: Notify::new(),
            memory: AtomicUsize::new(0),
            closed: AtomicU64::new(0),
        }
    }

    /// The file.
    pub(crate) fn ino(&self) -> InodeId {
        self.ino
    }

    /// Whether a flush has something to do: bytes the server was not told of, or not told to keep.
    pub(crate) fn is_dirty(&self) -> bool {
        let state = self.state();
        state.has_pending() || state.is_undurable()
    }

    /// Length of the file, bytes included that are not committed yet.
    pub(crate) fn size(&self) -> u64 {
        self.state().size()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, FileState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and keeps the account of memory right.
    pub(super) fn update<T>(&self, budget: &Budget, change: impl FnOnce(&mut FileState) -> T) -> T {
        let mut state = self.state();
        let before = state.memory();
        let result = change(&mut state);
        let after = state.memory();
        self.memory.store(after, Ordering::Relaxed);
        drop(state);
        if after > before {
            budget.force_charge(after - before);
        } else {
            budget.release(before - after);
        }
        result
    }

    /// Memory of uncommitted bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    pub(super) fn note_close(&self, number: u64) {
        self.closed.store(number, Ordering::Relaxed);
    }

    pub(super) fn was_closed_at(&self, number: u64) -> bool {
        self.closed.load(Ordering::Relaxed) == number
    }

    pub(super) async fn take_turn(&self) -> Turn {
        let turn = stage(Stage::Turn, Arc::clone(&self.turn).acquire_owned()).await;
        Turn(turn.expect("the semaphore is never closed"))
    }

    pub(super) fn try_turn(&self) -> Option<Turn> {
        Arc::clone(&self.turn).try_acquire_owned().ok().map(Turn)
    }

    pub(super) fn uploaded(&self) -> &Notify {
        &self.uploaded
    }
}

/// The right to change a file's committed content.
#[derive(Debug)]
pub(super) struct Turn(#[allow(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);
