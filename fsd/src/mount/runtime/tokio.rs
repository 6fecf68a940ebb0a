//! tokio alone.

use std::future::Future;
use std::io;
use std::time::Duration;

use ::tokio::runtime::{Builder, Runtime};
use ::tokio::task::LocalSet;

pub(in crate::mount) struct Host(Runtime);

impl Host {
    pub(super) fn build() -> io::Result<Self> {
        Builder::new_current_thread().enable_all().max_blocking_threads(BLOCKING_THREADS_MAX).build().map(Self)
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        LocalSet::new().block_on(&self.0, future)
    }

    pub(super) fn shut_down(self, max: Duration) {
        self.0.shutdown_timeout(max);
    }
}

/// Threads for blocking work, for each serving thread.
const BLOCKING_THREADS_MAX: usize = 8;
