//! `LockWait`: a request that is answered when a lock may be had.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use proto::{Errno, Refused, Reply, Request, RequestFrame, SessionId, Timespec};

use super::error::Outcome;
use super::locks::{Waited, WaitingFor};
use super::ops::Ask;
use super::ops::lock::{Wanted, waiting_for};
use super::session::SessionContext;
use super::volume::{Executed, Volume};
use crate::store::MetaKv;

/// Ready when the lock could be had, when it never can, or when the session is over. Dropped, it waits no more.
#[must_use = "nothing waits unless it is polled"]
pub struct LockWait<'v, K: MetaKv> {
    volume: &'v Volume<K>,
    session: SessionId,
    wanted: WaitingFor,
    waiter: Option<u64>,
}

impl<K: MetaKv> Volume<K> {
    /// Takes up a [`Request::AwaitLock`], or refuses it. Any other request is refused as malformed.
    pub fn await_lock(
        &self,
        session: &SessionContext,
        frame: &RequestFrame,
        now: Timespec,
    ) -> Result<LockWait<'_, K>, Box<Executed>> {
        let caller = session.identity.of(&frame.caller);
        let ask = Ask { session, caller: &caller, now };
        let sequence = self.sequence();
        let wanted = self.admit_wait(&ask, frame).map_err(|failure| Box::new(self.refuse(frame, sequence, failure)))?;
        Ok(LockWait { volume: self, session: session.id, wanted, waiter: None })
    }

    fn admit_wait(&self, ask: &Ask<'_>, frame: &RequestFrame) -> Outcome<WaitingFor> {
        self.admit(ask, frame)?;
        let Request::AwaitLock { ino, kind, owner, span } = frame.request else {
            return Err(Refused::Malformed.into());
        };
        self.read_again_if_torn(|| waiting_for(self, ask, Wanted { ino, kind, owner, span }))
    }
}

impl<K: MetaKv> Future for LockWait<'_, K> {
    type Output = Result<Reply, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waited = self.volume.locks().wait(self.waiter, self.wanted, cx.waker());
        match waited {
            Waited::Free => Poll::Ready(Ok(Reply::Done)),
            Waited::Deadlock => Poll::Ready(Err(Errno::EDEADLK.into())),
            Waited::TooMany => Poll::Ready(Err(Errno::ENOLCK.into())),
            Waited::Still(waiter) => {
                self.waiter = Some(waiter);
                // Asked last: a session that ends wakes whoever waited before, and is seen by whoever came later.
                match self.volume.live(self.session) {
                    Some(_) => Poll::Pending,
                    None => Poll::Ready(Err(Refused::SessionEnded)),
                }
            }
        }
    }
}

impl<K: MetaKv> Drop for LockWait<'_, K> {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter {
            self.volume.locks().stop_waiting(waiter);
        }
    }
}
