//! `ObjectPool`: object ids that the server granted and nobody used yet.

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
    /// Ids to ask for next: doubles up to [`GRANT_MAX`], so that a mount that writes little holds little.
    ask: u32,
}

impl ObjectPool {
    pub(super) fn new() -> Self {
        Self { granted: Mutex::new(Granted { ranges: VecDeque::new(), ask: FIRST_GRANT }), turn: Semaphore::new(1) }
    }

    /// An id that nobody else has.
    pub(super) async fn take(&self, client: &impl MetaClient) -> Result<ObjectId, Errno> {
        loop {
            if let Some(object) = self.granted().take() {
                return Ok(object);
            }
            let _turn = self.turn.acquire().await.expect("the semaphore is never closed");
            if self.granted().ranges.is_empty() {
                let ask = self.granted().ask;
                match client.call(&Caller::ROOT, Request::GrantObjects { count: ask }).await? {
                    Reply::Granted { first, count } if count > 0 && first.0.checked_add(u64::from(count)).is_some() => {
                        self.granted().add(first.0..first.0 + u64::from(count));
                    }
                    other => {
                        tracing::error!(?other, "the server granted no object ids");
                        return Err(Errno::EPROTO);
                    }
                }
            }
        }
    }

    /// Forgets ids that are not ours any more: the session they were granted to is over.
    pub(super) fn clear(&self) {
        self.granted().ranges.clear();
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

    fn add(&mut self, range: Range<u64>) {
        self.ranges.push_back(range);
        self.ask = self.ask.saturating_mul(2).min(GRANT_MAX);
    }
}

/// Ids of the first grant.
const FIRST_GRANT: u32 = 64;
