//! Waiting for the disk: one thread that turns many waiters into one flush.
//!
//! A waiter registers after its commit is in the journal, so the flush that starts next covers it. While one flush runs
//! the next round's waiters gather: that is the group commit.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use proto::Errno;
use tokio::sync::oneshot;

/// Something that can be flushed to disk.
pub(crate) trait Flush: Send + Sync + 'static {
    /// Blocks until all that was committed before is on disk.
    fn flush(&self) -> Result<(), Errno>;
}

struct Waiter {
    target: Arc<dyn Flush>,
    done: oneshot::Sender<Result<(), Errno>>,
}

#[derive(Default)]
struct Queue {
    waiters: Vec<Waiter>,
    closed: bool,
}

/// Handle of the flushing thread. Dropping it lets the last round finish.
pub(crate) struct Committer {
    queue: Arc<(Mutex<Queue>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(crate) fn start() -> std::io::Result<Self> {
        let queue = Arc::new((Mutex::new(Queue::default()), Condvar::new()));
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new().name("meta-committer".to_owned()).spawn(move || run(&theirs))?;
        Ok(Self { queue, thread: Some(thread) })
    }

    /// Waits until everything committed to `target` so far is on disk. Bounded by the calls in flight.
    pub(crate) async fn flushed(&self, target: Arc<dyn Flush>) -> Result<(), Errno> {
        let (done, outcome) = oneshot::channel();
        {
            let (queue, wake) = &*self.queue;
            queue.lock().expect("the committer does not panic").waiters.push(Waiter { target, done });
            wake.notify_one();
        }
        outcome.await.unwrap_or(Err(Errno::EIO))
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        let (queue, wake) = &*self.queue;
        if let Ok(mut queue) = queue.lock() {
            queue.closed = true;
        }
        wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run((queue, wake): &(Mutex<Queue>, Condvar)) {
    loop {
        let mut round = {
            let waiting = queue.lock().expect("callers only push");
            let mut ready =
                wake.wait_while(waiting, |queue| queue.waiters.is_empty() && !queue.closed).expect("callers only push");
            if ready.waiters.is_empty() {
                return;
            }
            std::mem::take(&mut ready.waiters)
        };
        while let Some(first) = round.first() {
            let target = Arc::clone(&first.target);
            let outcome = target.flush();
            // A waiter that went away (its mount did) needs no answer.
            for waiter in round.extract_if(.., |waiter| Arc::ptr_eq(&waiter.target, &target)) {
                let _ = waiter.done.send(outcome);
            }
        }
    }
}

#[cfg(test)]
mod tests;
