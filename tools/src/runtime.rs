//! The runtime of a command, and the signals that end it.

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A runtime on the current thread: commands wait for one thing at a time.
pub(crate) fn build() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

/// SIGINT, SIGTERM and SIGQUIT: each asks for a clean end.
pub(crate) struct EndSignals {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
}

impl EndSignals {
    /// From here on the signals no longer kill the process. Needs a runtime.
    pub(crate) fn catch() -> Result<Self> {
        let catch = |kind| signal(kind).context("catching signals");
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            quit: catch(SignalKind::quit())?,
        })
    }

    /// Waits for the next of them; returns its name.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.quit.recv() => "SIGQUIT",
        }
    }
}

/// Tells systemd how far a service is; nothing where it did not start this process.
pub(crate) fn tell_systemd(state: sd_notify::NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
