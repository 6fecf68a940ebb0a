//! `Turns`: which long calls go on, so that what they hold in memory is bounded whatever peers do.
//!
//! A call that is long, in what is asked or in what is answered, needs one of the listener's turns. Holders (all
//! connections of one token) share them so: a holder may have as many as are left free for others. One greedy holder
//! gets half of them, two get a third each, and whoever comes next finds some free. Besides, a connection has a few only.
//! Who waits is served in order within its holder, and holders are served in turn.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::quic::LONG_CALLS_MAX;

/// Turns of a listener.
pub(super) const OF_LISTENER: usize = 64;

/// What a call needs to be long; it lasts until dropped.
#[derive(Debug)]
pub(super) struct Turn {
    /// None: the peer was not admitted, and what it may send is short.
    _share: Option<Share>,
    _of_connection: OwnedSemaphorePermit,
}

/// A connection's way to turns.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    of_connection: Arc<Semaphore>,
    holder: Option<(Arc<Pool>, u128)>,
}

impl Turns {
    /// For a peer that nobody knows.
    pub(super) fn of_stranger() -> Self {
        Self { of_connection: Arc::new(Semaphore::new(LONG_CALLS_MAX)), holder: None }
    }

    /// From here on they are taken out of `pool`, as a part of what `holder` has.
    pub(super) fn take_from(&mut self, pool: Arc<Pool>, holder: u128) {
        self.holder = Some((pool, holder));
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Turn {
        let of_connection = Arc::clone(&self.of_connection).acquire_owned().await;
        let _of_connection = of_connection.expect("the semaphore is never closed");
        let _share = match &self.holder {
            Some((pool, holder)) => Some(pool.share(*holder).await),
            None => None,
        };
        Turn { _share, _of_connection }
    }
}

/// The turns of a listener.
#[derive(Debug)]
pub(super) struct Pool {
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    free: usize,
    /// Those that have turns, or wait.
    holders: HashMap<u128, Holder>,
    /// Those that wait, in the order in which they are looked at.
    waiting: VecDeque<u128>,
}

#[derive(Debug, Default)]
struct Holder {
    has: usize,
    waiters: VecDeque<oneshot::Sender<Share>>,
}

/// A turn out of a pool; given back when dropped.
#[derive(Debug)]
pub(super) struct Share {
    /// None once it was given back.
    pool: Option<Arc<Pool>>,
    holder: u128,
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.take_back(self.holder);
        }
    }
}

impl Pool {
    /// A pool of so many.
    pub(super) fn new(turns: usize) -> Arc<Self> {
        let books = Books { free: turns, holders: HashMap::new(), waiting: VecDeque::new() };
        Arc::new(Self { books: Mutex::new(books) })
    }

    /// Waits until `holder` may have one more.
    async fn share(self: &Arc<Self>, holder: u128) -> Share {
        let Some(waiting) = self.books().ask(holder) else { return self.made(holder) };
        waiting.await.expect("the pool keeps whom it lets wait")
    }

    fn made(self: &Arc<Self>, holder: u128) -> Share {
        Share { pool: Some(Arc::clone(self)), holder }
    }

    fn take_back(self: &Arc<Self>, holder: u128) {
        let mut books = self.books();
        books.take_back(holder);
        while let Some((holder, waiter)) = books.next() {
            if let Err(mut unwanted) = waiter.send(self.made(holder)) {
                // Its call was given up. Dropped as it is, it would ask for the books that are open here.
                unwanted.pool = None;
                books.take_back(holder);
            }
        }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no code under this lock panics")
    }
}

impl Books {
    /// Gives a turn, or a place to wait for it.
    fn ask(&mut self, key: u128) -> Option<oneshot::Receiver<Share>> {
        let holder = self.holders.entry(key).or_default();
        if holder.waiters.is_empty() && holder.has < self.free {
            holder.has += 1;
            self.free -= 1;
            return None;
        }
        let (waiter, waiting) = oneshot::channel();
        if holder.waiters.is_empty() {
            self.waiting.push_back(key);
        }
        holder.waiters.push_back(waiter);
        Some(waiting)
    }

    fn take_back(&mut self, key: u128) {
        self.free += 1;
        if let Some(holder) = self.holders.get_mut(&key) {
            holder.has -= 1;
            self.forget_idle(key);
        }
    }

    /// The next that waits and may have a turn now, which is its own from here on. Looks at no more holders than have
    /// turns, and one: only who has as many as are free is passed over.
    fn next(&mut self) -> Option<(u128, oneshot::Sender<Share>)> {
        if self.free == 0 {
            return None;
        }
        for _ in 0..self.waiting.len() {
            let key = self.waiting.pop_front()?;
            let Some(holder) = self.holders.get_mut(&key) else { continue };
            if holder.has >= self.free {
                self.waiting.push_back(key);
                continue;
            }
            let waiter = holder.waiters.pop_front();
            if !holder.waiters.is_empty() {
                self.waiting.push_back(key);
            }
            if let Some(waiter) = waiter {
                holder.has += 1;
                self.free -= 1;
                return Some((key, waiter));
            }
        }
        None
    }

    fn forget_idle(&mut self, key: u128) {
        if self.holders.get(&key).is_some_and(|holder| holder.has == 0 && holder.waiters.is_empty()) {
            self.holders.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
