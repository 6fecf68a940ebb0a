//! The runtime of a command, and the signals that end it.

use anyhow::{Context as _, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// A runtime on the current thread: commands wait for one thing at a time.
pub(crate) fn build() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("starting the runtime")
}

/// Runs `work`, which blocks, on a thread of its own. One that never ends keeps nobody from ending the process.
pub(crate) async fn on_thread<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let (done, result) = oneshot::channel();
    let body = move || {
        // Whoever waited may have given up.
        let _ = done.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(body).context("starting a thread")?;
    result.await.with_context(|| format!("thread {name} panicked"))
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
