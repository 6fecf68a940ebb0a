//! Turns: which long calls go on, so that what they hold in memory is bounded whatever peers do.
//!
//! A call that is long, in what is asked or in what is answered, needs one of its listener's turns ([`books`] says who gets
//! them), and its connection has a few only. Turns are for those who use them: while others wait, one that does not get
//! on is lost.

mod books;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use self::books::Books;
pub use self::books::Holder;
use crate::CallError;
use crate::quic::LONG_CALLS_MAX;

/// Turns of a listener.
pub(super) const OF_LISTENER: usize = 64;
/// A turn lasts so long, whoever waits for it,
const FAIR: Duration = Duration::from_secs(2);
/// and longer where it moves so many bytes in a second,
const PACE: usize = 32 << 10;
/// but never longer than this.
const LONGEST: Duration = Duration::from_secs(20);
/// Time between two looks at whether somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// So long is a turn waited for: less than a mount waits for an answer, and it asks again.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// What a call needs to be long; it lasts until dropped.
#[derive(Debug)]
pub(super) struct Turn {
    share: Share,
    _of_connection: OwnedSemaphorePermit,
    since: Instant,
    moved: usize,
}

impl Turn {
    /// Awaits what moves bytes of the call, as long as the turn lasts.
    pub(super) async fn lasts<T>(&self, moving: impl Future<Output = T>) -> Result<T, CallError> {
        tokio::pin!(moving);
        loop {
            self.check()?;
            let look = self.fair().saturating_sub(self.since.elapsed()).clamp(LOOK_EVERY, LONGEST);
            if let Ok(moved) = tokio::time::timeout(look, &mut moving).await {
                return Ok(moved);
            }
        }
    }

    /// How long it lasts whoever waits for it.
    fn fair(&self) -> Duration {
        FAIR + Duration::from_secs_f64(self.moved as f64 / PACE as f64)
    }

    /// Whether it goes on.
    fn check(&self) -> Result<(), CallError> {
        let age = self.since.elapsed();
        match age >= LONGEST {
            true => Err(CallError::Deadline),
            false if age >= self.fair() && self.share.is_wanted() => Err(CallError::Crowded),
            false => Ok(()),
        }
    }

    /// Notes that it moves, or moved, so many bytes more.
    pub(super) fn note(&mut self, bytes: usize) {
        self.moved += bytes;
    }
}

/// A connection's way to turns.
#[derive(Debug)]
pub(super) struct Turns {
    pool: Arc<Pool>,
    holder: Holder,
    of_connection: Arc<Semaphore>,
}

impl Turns {
    /// Turns out of `pool`, for a connection of `holder`.
    pub(super) fn new(pool: Arc<Pool>, holder: Holder) -> Self {
        Self { pool, holder, of_connection: Arc::new(Semaphore::new(LONG_CALLS_MAX)) }
    }

    /// Waits for a turn, for five seconds.
    pub(super) async fn turn(&self) -> Result<Turn, CallError> {
        tokio::time::timeout(WAIT_MAX, self.wait()).await.map_err(|_| CallError::Crowded)
    }

    async fn wait(&self) -> Turn {
        let of_connection = Arc::clone(&self.of_connection).acquire_owned().await;
        let of_connection = of_connection.expect("the semaphore is never closed");
        let share = self.pool.share(self.holder).await;
        Turn { share, _of_connection: of_connection, since: Instant::now(), moved: 0 }
    }

    /// A turn, if there is one to be had at once.
    pub(super) fn turn_now(&self) -> Option<Turn> {
        let of_connection = Arc::clone(&self.of_connection).try_acquire_owned().ok()?;
        let share = self.pool.share_now(self.holder)?;
        Some(Turn { share, _of_connection: of_connection, since: Instant::now(), moved: 0 })
    }
}

/// The turns of a listener.
#[derive(Debug)]
pub(super) struct Pool {
    books: Mutex<Books<Share>>,
}

/// A turn out of a pool; given back when dropped.
#[derive(Debug)]
struct Share {
    pool: Arc<Pool>,
    holder: Holder,
    /// Whether it was never given to anybody, and is not to be given back.
    is_void: bool,
}

impl Share {
    /// Whether others wait for just this.
    fn is_wanted(&self) -> bool {
        self.pool.books().would_help(self.holder)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if !self.is_void {
            self.pool.take_back(self.holder);
        }
    }
}

impl Pool {
    /// A pool of so many.
    pub(super) fn new(turns: usize) -> Arc<Self> {
        Arc::new(Self { books: Mutex::new(Books::new(turns)) })
    }

    /// Waits until `holder` may have one more.
    async fn share(self: &Arc<Self>, holder: Holder) -> Share {
        let Some(waiting) = self.books().ask(holder) else { return self.made(holder) };
        waiting.await.expect("the pool keeps whom it lets wait")
    }

    fn share_now(self: &Arc<Self>, holder: Holder) -> Option<Share> {
        self.books().take(holder).then(|| self.made(holder))
    }

    fn made(self: &Arc<Self>, holder: Holder) -> Share {
        Share { pool: Arc::clone(self), holder, is_void: false }
    }

    fn take_back(self: &Arc<Self>, holder: Holder) {
        let mut books = self.books();
        books.take_back(holder);
        while let Some((holder, waiter)) = books.next() {
            if let Err(mut unwanted) = waiter.send(self.made(holder)) {
                // Its call was given up. Dropped as it is, it would ask for the books that are open here.
                unwanted.is_void = true;
                books.take_back(holder);
            }
        }
    }

    fn books(&self) -> MutexGuard<'_, Books<Share>> {
        self.books.lock().expect("no code under this lock panics")
    }
}

#[cfg(test)]
mod tests;
