//! `GivenUp`: an operation learns that nobody waits for it any more.

use std::cell::Cell;

use tokio::sync::Notify;

/// Belongs to one operation.
#[derive(Debug, Default)]
pub(crate) struct GivenUp {
    is_set: Cell<bool>,
    told: Notify,
}

impl GivenUp {
    /// From here on nobody waits.
    pub(crate) fn set(&self) {
        self.is_set.set(true);
        self.told.notify_waiters();
    }

    /// Whether nobody waits.
    pub(crate) fn is_set(&self) -> bool {
        self.is_set.get()
    }

    /// Waits until nobody does.
    pub(crate) async fn wait(&self) {
        let told = self.told.notified();
        if !self.is_set.get() {
            told.await;
        }
    }
}
