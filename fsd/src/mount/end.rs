//! How a mount ended, for those who wait for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// The end of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The volume is no longer mounted, by whoever's wish.
    Unmounted,
    /// The metadata server ended the session, for this reason: the token was deleted, for instance.
    SessionEnded(String),
}

/// Set once; the first end is the one that counts.
#[derive(Debug, Default)]
pub(super) struct End {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ended: Option<Ended>,
    threads: usize,
}

/// A thread that serves. The mount is over with the last of them, whether it returns or panics.
#[derive(Debug)]
pub(super) struct OnDuty(Arc<End>);

impl End {
    pub(super) fn set(&self, ended: Ended) {
        self.state().ended.get_or_insert(ended);
        self.changed.notify_all();
    }

    pub(super) fn on_duty(self: &Arc<Self>) -> OnDuty {
        self.state().threads += 1;
        OnDuty(Arc::clone(self))
    }

    pub(super) fn wait(&self) -> Ended {
        let waiting = self.changed.wait_while(self.state(), |state| state.ended.is_none());
        waiting.expect("no code under this lock panics").ended.clone().expect("the condition was met")
    }

    /// Blocks until no thread serves any more.
    pub(super) fn wait_off_duty(&self) {
        let waiting = self.changed.wait_while(self.state(), |state| state.threads > 0);
        drop(waiting.expect("no code under this lock panics"));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code under this lock panics")
    }
}

impl Drop for OnDuty {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.threads -= 1;
        if state.threads == 0 {
            state.ended.get_or_insert(Ended::Unmounted);
        }
        drop(state);
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
