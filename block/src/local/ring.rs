//! Reads through a thread's own io_uring: no other thread takes part, as the blocking pool's would.
//!
//! Owns which threads have a ring. The futures of tokio-uring stay on their thread, those of a store need not: each read
//! is a task of the thread's, and the store's future waits for its result only.
//! Invariant: a read that was started is never dropped before it is over. tokio-uring 0.5 frees the buffer of a dropped
//! read when the ring goes, while the kernel may still write to it. So the tasks are kept until the last read is over, and
//! for good where a panic leaves no time for that: each read holds the set of tasks that it is in.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::rc::Rc;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::LocalSet;
use tokio_uring::buf::BoundedBuf;
use tokio_uring::fs::File;

thread_local! {
    static HERE: RefCell<Option<Rc<Ring>>> = const { RefCell::new(None) };
}

/// Runs `future`; local stores that this thread reads from meanwhile do so through the ring of the tokio-uring runtime
/// that polls it. Ends when these reads are over too. Tasks that were spawned locally in `future` are dropped then.
///
/// # Panics
/// Where the thread is in such a future already.
pub async fn with_ring<T>(future: impl Future<Output = T>) -> T {
    let ring = Rc::new(Ring::default());
    let here = Here::enter(&ring);
    let output = ring.tasks.run_until(future).await;
    drop(here);
    ring.tasks.run_until(ring.over()).await;
    output
}

/// The reads of one thread. Bounded by the stores' slots.
#[derive(Default)]
pub(super) struct Ring {
    tasks: LocalSet,
    under_way: Cell<usize>,
    finished: Notify,
}

impl Ring {
    /// Whether this thread has one.
    pub(super) fn is_here() -> bool {
        HERE.with_borrow(Option::is_some)
    }

    /// Starts to read `len` bytes of a file at `offset`; fewer are the result where the file ends. The read goes on where
    /// the future is dropped, and `slot` is kept until it is over.
    ///
    /// # Panics
    /// Where this thread has no ring.
    pub(super) fn start(
        path: PathBuf,
        offset: u64,
        len: usize,
        slot: OwnedSemaphorePermit,
    ) -> impl Future<Output = io::Result<Vec<u8>>> + Send + 'static {
        let ring = HERE.with_borrow(Clone::clone).expect("the caller made sure that there is a ring");
        let under_way = UnderWay::new(&ring);
        let reading = ring.tasks.spawn_local(async move {
            let (_slot, _under_way) = (slot, under_way);
            read(path, offset, len).await
        });
        async { reading.await.map_err(io::Error::other)? }
    }

    async fn over(&self) {
        while self.under_way.get() > 0 {
            self.finished.notified().await;
        }
    }
}

async fn read(path: PathBuf, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path).await?;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        let (filled, end) = (bytes.len(), len.min(bytes.len() + READ_MAX));
        let (outcome, slice) = file.read_at(bytes.slice(filled..end), offset + filled as u64).await;
        bytes = slice.into_inner();
        match outcome {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// The time in which a thread has a ring.
struct Here;

impl Here {
    fn enter(ring: &Rc<Ring>) -> Self {
        let before = HERE.replace(Some(Rc::clone(ring)));
        assert!(before.is_none(), "a thread has one ring");
        Self
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        HERE.set(None);
    }
}

/// A read that is not over. Keeps the tasks, its own among them, from being dropped.
struct UnderWay(Rc<Ring>);

impl UnderWay {
    fn new(ring: &Rc<Ring>) -> Self {
        ring.under_way.update(|under_way| under_way + 1);
        Self(Rc::clone(ring))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.update(|under_way| under_way - 1);
        self.0.finished.notify_one();
    }
}

/// Bytes of one read: its length is a u32.
const READ_MAX: usize = 1 << 30;

#[cfg(test)]
mod tests;
