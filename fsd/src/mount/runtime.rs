//! What runs the futures of a serving thread: one of two runtimes, under the same code.
//!
//! Both are tokio's on one thread, with tasks that stay there; they differ in how a local block store is read.

mod tokio;
mod tokio_uring;

use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

/// Which runtime a mount's threads have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runtime {
    /// tokio. Reads of a local block store are made by threads for blocking work.
    #[default]
    Tokio,
    /// tokio-uring. Reads of a local block store go through an io_uring of the thread's own.
    TokioUring,
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tokio => "tokio",
            Self::TokioUring => "tokio-uring",
        })
    }
}

/// The runtime of this thread; it stays there.
pub(super) enum Host {
    Tokio(tokio::Host),
    TokioUring(tokio_uring::Host),
}

impl Host {
    /// Builds the runtime, for the thread that it is called on.
    ///
    /// # Errors
    /// What the system said, and what would do without.
    pub(super) fn build(runtime: Runtime) -> io::Result<Self> {
        match runtime {
            Runtime::Tokio => tokio::Host::build().map(Self::Tokio),
            Runtime::TokioUring => tokio_uring::Host::build().map(Self::TokioUring),
        }
    }

    /// Runs `future`, which may spawn local tasks; those are dropped when it ends. tokio-uring waits for reads under way
    /// first.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Tokio(host) => host.block_on(future),
            Self::TokioUring(host) => host.block_on(future),
        }
    }

    /// Drops what is left. Blocking work is waited for: tokio's for `max` at the most, tokio-uring's until it ends, which
    /// has no way to leave it.
    pub(super) fn shut_down(self, max: Duration) {
        match self {
            Self::Tokio(host) => host.shut_down(max),
            Self::TokioUring(host) => drop(host),
        }
    }
}

#[cfg(test)]
mod tests;
