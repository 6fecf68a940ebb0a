//! `Mount`: from settings to a directory that programs use, and back.

mod end;
mod runtime;
mod start;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use end::End;
pub use end::Ended;
pub use runtime::Runtime;
pub(crate) use start::share_queues;

use crate::meter::MountMetrics;
use crate::session::{KernelMount, Serving, Stop, Unmounted};
use crate::{MountError, MountSettings, Transport};

/// A mounted volume. Dropping it unmounts.
#[derive(Debug)]
pub struct Mount {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Acts on a mount from anywhere, such as the handler of a signal.
#[derive(Clone, Debug)]
pub struct Controller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    kernel: KernelMount,
    transport: Transport,
    volume: String,
    runtime: Runtime,
    serving: Arc<Serving>,
    end: Arc<End>,
}

impl Mount {
    /// Opens a session, mounts and serves. Blocks until the kernel shows the volume at the mount point.
    pub fn start(settings: MountSettings) -> Result<Self, MountError> {
        start::start(settings)
    }

    /// How requests come from the kernel.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.shared.transport
    }

    /// The mount's numbers, if they are kept. They go on with it.
    #[must_use]
    pub fn metrics(&self) -> Option<MountMetrics> {
        let Shared { serving, volume, transport, runtime, .. } = &*self.shared;
        serving.meters.as_ref().map(|_| MountMetrics {
            serving: Arc::clone(serving),
            volume: volume.clone(),
            transport: transport.to_string(),
            runtime: runtime.to_string(),
        })
    }

    /// A handle for those who end the mount.
    #[must_use]
    pub fn controller(&self) -> Controller {
        Controller { shared: Arc::clone(&self.shared) }
    }

    /// Blocks until the mount comes to an end: unmounted by somebody, or its session over. In the latter case it is
    /// still mounted and answers `EACCES` to everything, until it is unmounted.
    #[must_use]
    pub fn wait(&self) -> Ended {
        self.shared.end.wait()
    }

    /// Commits what was written, unmounts, and blocks until all threads have ended. A mount in use leaves its place
    /// at once; programs that hold its files see errors.
    pub fn unmount(mut self) -> Result<(), MountError> {
        self.shared.unmount()?;
        self.join();
        Ok(())
    }

    fn join(&mut self) {
        self.shared.end.wait_off_duty();
        let left = let_go(self.threads.drain(..), LETTING_GO_MAX);
        if left > 0 {
            tracing::error!(threads = left, "left behind: they wait for blocking work that does not end");
        }
    }
}

/// Waits for threads that serve no more, `max` for all of them; returns how many did not end. Blocking work that is stuck
/// must not keep the mount from ending.
fn let_go(threads: impl Iterator<Item = JoinHandle<()>>, max: Duration) -> usize {
    let deadline = Instant::now() + max;
    let mut left = 0;
    for thread in threads {
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(LETTING_GO_POLL);
        }
        if !thread.is_finished() {
            left += 1;
        } else if thread.join().is_err() {
            tracing::error!("a serving thread panicked");
        }
    }
    left
}

/// How long threads that serve no more may take for what they wait for.
const LETTING_GO_MAX: Duration = Duration::from_secs(2);
/// How often it is looked whether they ended.
const LETTING_GO_POLL: Duration = Duration::from_millis(1);

impl Drop for Mount {
    fn drop(&mut self) {
        if self.threads.is_empty() {
            return;
        }
        if let Err(error) = self.shared.unmount() {
            tracing::error!(%error, "unmounting failed");
            self.shared.abandon();
        }
        self.join();
    }
}

impl Controller {
    /// Unmounts; [`Mount::wait`] returns when that is done. Blocks while the kernel writes back.
    pub fn unmount(&self) -> Result<(), MountError> {
        self.shared.unmount()
    }

    /// Ends the mount at once, whatever is in work: what was written and not committed is lost.
    pub fn abandon(&self) {
        self.shared.abandon();
    }
}

impl Shared {
    /// Lets the kernel's mount follow the restrictions that hold now.
    fn restrict_kernel(&self) {
        self.kernel.restrict(|| self.serving.state.flags.current());
    }

    fn unmount(&self) -> Result<(), MountError> {
        // The threads of an undisturbed mount end by themselves when the kernel says that it is gone.
        if self.kernel.unmount()? == Unmounted::Detached {
            self.stop(Stop::Drain);
        }
        Ok(())
    }

    fn abandon(&self) {
        if let Err(error) = self.kernel.detach() {
            tracing::error!(%error, "unmounting failed");
        }
        self.stop(Stop::Abandon);
    }

    fn stop(&self, stop: Stop) {
        self.serving.stop.send_modify(|current| *current = stop.max(*current));
    }
}

#[cfg(test)]
mod tests;
