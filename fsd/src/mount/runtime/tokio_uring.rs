//! tokio-uring: tokio with a ring beside it, in whose epoll the ring is watched. The ring is for the block store; the
//! kernel's requests and the network go the same ways as under tokio alone.

use std::future::Future;
use std::io;

use ::tokio_uring::{Runtime, builder};

pub(in crate::mount) struct Host(Runtime);

impl Host {
    pub(super) fn build() -> io::Result<Self> {
        let runtime = Runtime::new(builder().entries(ENTRIES));
        runtime.map(Self).map_err(|error| {
            let message = format!("no io_uring for the runtime tokio-uring ({error}); mount with --runtime tokio");
            io::Error::new(error.kind(), message)
        })
    }

    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(block::with_ring(future))
    }
}

/// Submissions at once: what a local block store reads at once, twice.
const ENTRIES: u32 = 64;
