//! Operation ids: ascending, and never further apart than the server's ledger of answers is long.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proto::OperationId;
use proto::limits::OPERATIONS_IN_FLIGHT_MAX;
use tokio::sync::Notify;

/// Hands out the operation ids of one session.
#[derive(Debug, Default)]
pub(crate) struct OperationWindow {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    newest: u64,
    unanswered: BTreeSet<u64>,
}

/// An operation id in use; dropping it says that the operation is answered.
#[derive(Debug)]
pub(crate) struct Ticket {
    window: Arc<OperationWindow>,
    id: u64,
}

impl Ticket {
    /// The id.
    pub(crate) fn id(&self) -> OperationId {
        OperationId(self.id)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.window.state().unanswered.remove(&self.id);
        self.window.moved.notify_waiters();
    }
}

impl OperationWindow {
    /// The next id; waits while the oldest unanswered operation is a whole ledger behind.
    pub(crate) async fn ticket(self: &Arc<Self>) -> Ticket {
        loop {
            let moved = self.moved.notified();
            if let Some(ticket) = self.try_ticket() {
                return ticket;
            }
            moved.await;
        }
    }

    fn try_ticket(self: &Arc<Self>) -> Option<Ticket> {
        let mut state = self.state();
        let id = state.newest + 1;
        let oldest = state.unanswered.first().copied().unwrap_or(id);
        if id - oldest >= OPERATIONS_IN_FLIGHT_MAX {
            return None;
        }
        state.newest = id;
        state.unanswered.insert(id);
        Some(Ticket { window: Arc::clone(self), id })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no code under this lock panics")
    }
}

#[cfg(test)]
mod tests;
