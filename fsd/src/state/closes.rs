//! Closed handles on their way to the server: gathered for a moment, so that many small files cost few messages.
//!
//! The first close of a batch takes the turn to send it; those that follow ride along.

use std::sync::Mutex;

use proto::Close;
use proto::limits::HANDLES_MAX;
use tokio::sync::Notify;

/// Closes that make a batch full. Far below what one message may carry.
const FULL: usize = 64;
const _: () = assert!(FULL <= HANDLES_MAX);

/// The batch that is being gathered. Bounded by what was open.
#[derive(Debug, Default)]
pub(crate) struct CloseQueue {
    batch: Mutex<Vec<Close>>,
    full: Notify,
}

/// Whose turn it is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The caller's: after a while, or when it is [`CloseQueue::full`], it takes the batch.
    Mine,
    /// An earlier caller's.
    Taken,
}

impl CloseQueue {
    /// Adds a close to the batch.
    pub(crate) fn push(&self, close: Close) -> Turn {
        let mut batch = self.batch();
        let turn = if batch.is_empty() { Turn::Mine } else { Turn::Taken };
        match batch.iter_mut().find(|other| other.ino == close.ino) {
            Some(other) => {
                other.count += close.count;
                other.atime = other.atime.max(close.atime);
            }
            None => batch.push(close),
        }
        if batch.len() >= FULL {
            self.full.notify_one();
        }
        turn
    }

    /// Waits until the batch takes no more.
    pub(crate) async fn full(&self) {
        self.full.notified().await;
    }

    /// The batch; the next close begins another.
    pub(crate) fn take(&self) -> Vec<Close> {
        std::mem::take(&mut *self.batch())
    }

    fn batch(&self) -> std::sync::MutexGuard<'_, Vec<Close>> {
        self.batch.lock().expect("no code under this lock panics")
    }
}

#[cfg(test)]
mod tests;
