//! The wish to end: a signal, seen by everything that waits.
//!
//! The first signal lets the run end by itself, so that it takes away what it made. A second one does not wait: it kills
//! what was started, takes the mounts out of their places and ends the process.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// How long anything sleeps before it looks for a signal again.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// Whether a signal arrived. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_set: AtomicBool,
    signal: OnceLock<&'static str>,
}

impl Stop {
    /// From here on SIGINT, SIGTERM, SIGQUIT and SIGHUP do not kill the process but set the result.
    pub(crate) fn catch() -> Result<Self> {
        let stop = Self::default();
        let (caught, is_caught) = mpsc::channel();
        let watching = stop.clone();
        let watch = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut interrupt = signal(SignalKind::interrupt())?;
                let mut terminate = signal(SignalKind::terminate())?;
                let mut quit = signal(SignalKind::quit())?;
                let mut hang_up = signal(SignalKind::hangup())?;
                // Whoever started this thread waits for the message.
                let _ = caught.send(());
                loop {
                    let name = tokio::select! {
                        _ = interrupt.recv() => "SIGINT",
                        _ = terminate.recv() => "SIGTERM",
                        _ = quit.recv() => "SIGQUIT",
                        _ = hang_up.recv() => "SIGHUP",
                    };
                    watching.note(name);
                }
            })
        };
        let body = move || -> std::io::Result<()> { watch() };
        std::thread::Builder::new().name("signals".to_owned()).spawn(body).context("starting a thread")?;
        is_caught.recv().context("catching signals")?;
        Ok(stop)
    }

    fn note(&self, name: &'static str) {
        if self.shared.is_set.swap(true, Ordering::AcqRel) {
            last_resort();
            std::process::exit(1);
        }
        self.shared.signal.get_or_init(|| name);
        if std::io::stderr().is_terminal() {
            eprintln!("flexfs: {name}: taking away what was started; another signal does not wait");
        }
    }

    /// An error once a signal arrived.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_set() {
            bail!("ended by {}", self.shared.signal.get().copied().unwrap_or("a signal"));
        }
        Ok(())
    }

    /// Whether a signal arrived.
    pub(crate) fn is_set(&self) -> bool {
        self.shared.is_set.load(Ordering::Acquire)
    }

    /// Sleeps for `time`, or until a signal arrives.
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        let end = std::time::Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(LOOK));
        }
    }
}

/// What the second signal does, newest first. Each is done at most once.
type Resort = Box<dyn FnOnce() + Send>;
static RESORTS: Mutex<Vec<(u64, Resort)>> = Mutex::new(Vec::new());

/// Something that a second signal has to take away. Dropped, it needs no taking away any more.
#[derive(Debug)]
pub(crate) struct LastResort(u64);

impl LastResort {
    /// `resort` must neither wait nor panic.
    pub(crate) fn new(resort: impl FnOnce() + Send + 'static) -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        resorts().push((id, Box::new(resort)));
        Self(id)
    }
}

impl Drop for LastResort {
    fn drop(&mut self) {
        let mut resorts = resorts();
        let place = resorts.iter().position(|(id, _)| *id == self.0);
        // Dropped when the lock is free again.
        let _done = place.map(|place| resorts.remove(place));
        drop(resorts);
    }
}

fn resorts() -> std::sync::MutexGuard<'static, Vec<(u64, Resort)>> {
    RESORTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn last_resort() {
    loop {
        let resort = resorts().pop();
        let Some((_, resort)) = resort else { return };
        resort();
    }
}

#[cfg(test)]
mod tests;
