//! `ObjectPool`: object ids that the server granted and nobody used yet, and those that were used in vain.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::limits::GRANT_MAX;
use proto::{Caller, Errno, ObjectId, Reply, Request};
use tokio::sync::Semaphore;

use crate::client::MetaClient;

/// See the module's text. One for a mount: ids are the session's.
#[derive(Debug)]
pub(super) struct ObjectPool {
    granted: Mutex<Granted>,
    /// One grant is asked for at a time; others wait for it.
    turn: Semaphore,
}

#[derive(Debug, Default)]
struct Granted {
    ranges: VecDeque<Range<u64>>,
    /// Ids of objects that will never be committed: told with the next request. Else the server would keep the objects,
    /// and count them, until the session ends.
    given_up: Vec<ObjectId>,
    /// Ids to ask for next: doubles up to [`GRANT_MAX`], so that a mount that writes little holds little.
    ask: u32,
}

impl ObjectPool {
    pub(super) fn new() -> Self {
        Self { granted: Mutex::new(Granted { ask: FIRST_GRANT, ..Granted::default() }), turn: Semaphore::new(1) }
    }

    /// An id that nobody else has.
    pub(super) async fn take(&self, client: &impl MetaClient) -> Result<ObjectId, Errno> {
        let mut attempts_left = ATTEMPTS;
        loop {
            if let Some(object) = self.granted().take() {
                return Ok(object);
            }
            let _turn = self.turn.acquire().await.expect("the semaphore is never closed");
            if self.granted().ranges.is_empty() {
                let (count, given_back) = self.granted().plan();
                let told = given_back.clone();
                let granted = client.call(&Caller::ROOT, Request::GrantObjects { count, given_back }).await;
                // Granted or not, to a session that was lost: ids of the next one are as good.
                if granted == Err(Errno::EIO) && attempts_left > 1 {
                    attempts_left -= 1;
                    continue;
                }
                match granted.map_err(told_to_wait)? {
                    Reply::Granted { first, count } if count > 0 && first.0.checked_add(u64::from(count)).is_some() => {
                        self.granted().settle(first.0..first.0 + u64::from(count), &told);
                    }
                    other => {
                        tracing::error!(?other, "the server granted no object ids");
                        return Err(Errno::EPROTO);
                    }
                }
            }
        }
    }

    /// Takes back an id that nothing was stored under.
    pub(super) fn put_back(&self, object: ObjectId) {
        self.granted().ranges.push_front(object.0..object.0 + 1);
    }

    /// Notes objects that will never be committed. More than the server would ever grant are not kept.
    pub(super) fn give_up(&self, objects: Vec<ObjectId>) {
        if objects.is_empty() {
            return;
        }
        let mut granted = self.granted();
        let room = GIVEN_UP_MAX.saturating_sub(granted.given_up.len());
        granted.given_up.extend(objects.into_iter().take(room));
    }

    /// Forgets ids that are not ours any more: the session they were granted to is over.
    pub(super) fn clear(&self) {
        let mut granted = self.granted();
        granted.ranges.clear();
        granted.given_up.clear();
    }

    fn granted(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Granted {
    fn take(&mut self) -> Option<ObjectId> {
        let range = self.ranges.front_mut()?;
        let object = ObjectId(range.start);
        range.start += 1;
        if range.is_empty() {
            self.ranges.pop_front();
        }
        Some(object)
    }

    /// How many ids to ask for, and which ones to give back.
    fn plan(&self) -> (u32, Vec<ObjectId>) {
        let count = self.given_up.len().min(GRANT_MAX as usize);
        (self.ask, self.given_up[..count].to_vec())
    }

    fn settle(&mut self, range: Range<u64>, told: &[ObjectId]) {
        self.ranges.push_back(range);
        self.ask = self.ask.saturating_mul(2).min(GRANT_MAX);
        // Others were only added behind, unless all was forgotten meanwhile.
        if self.given_up.starts_with(told) {
            self.given_up.drain(..told.len());
        }
    }
}

/// The server grants no more while so many ids are not committed. Nothing that the application did is to be tried again.
fn told_to_wait(errno: Errno) -> Errno {
    if errno != Errno::EAGAIN {
        return errno;
    }
    tracing::error!("the server grants no object ids: too many are in use and not committed");
    Errno::EIO
}

/// Times that ids are asked for where nobody knows what became of the request.
const ATTEMPTS: u32 = 3;
/// Ids kept to be given back: what a session may hold.
const GIVEN_UP_MAX: usize = 64 << 10;
/// Ids of the first grant.
const FIRST_GRANT: u32 = 64;
