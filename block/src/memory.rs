//! A block store in memory, for the simulator and for tests: it fails, waits and rots on demand.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::ObjectId;

use crate::store::{BlockStore, BoxFuture, ListCursor, Listing, ObjectInfo};
use crate::{StoreError, StoreErrorKind};

/// Objects in memory. Nothing is bounded: the caller is the only writer.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<ObjectId, Bytes>,
    put_failures: VecDeque<StoreErrorKind>,
    get_failures: VecDeque<StoreErrorKind>,
    put_delay: Option<Duration>,
    get_delay: Option<Duration>,
    gets: u64,
    puts: u64,
    puts_running: u32,
    puts_running_max: u32,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next `count` puts fail with `kind` and store nothing.
    pub fn fail_puts(&self, kind: StoreErrorKind, count: usize) {
        self.state().put_failures.extend(std::iter::repeat_n(kind, count));
    }

    /// The next `count` gets fail with `kind`.
    pub fn fail_gets(&self, kind: StoreErrorKind, count: usize) {
        self.state().get_failures.extend(std::iter::repeat_n(kind, count));
    }

    /// Takes back failures that were not met yet.
    pub fn mend(&self) {
        let mut state = self.state();
        state.put_failures.clear();
        state.get_failures.clear();
    }

    /// Every put takes `delay` from now on.
    pub fn delay_puts(&self, delay: Duration) {
        self.state().put_delay = Some(delay);
    }

    /// Every get takes `delay` from now on.
    pub fn delay_gets(&self, delay: Duration) {
        self.state().get_delay = Some(delay);
    }

    /// Flips the lowest bit of byte `place` of an object. `false` where there is no such byte.
    pub fn rot(&self, object: ObjectId, place: usize) -> bool {
        let mut state = self.state();
        let Some(bytes) = state.objects.get_mut(&object).filter(|bytes| place < bytes.len()) else { return false };
        let mut rotten = BytesMut::from(&bytes[..]);
        rotten[place] ^= 1;
        *bytes = rotten.freeze();
        true
    }

    /// Number of objects.
    #[must_use]
    pub fn object_count(&self) -> usize {
        self.state().objects.len()
    }

    /// Gets so far, failed ones too.
    #[must_use]
    pub fn get_count(&self) -> u64 {
        self.state().gets
    }

    /// Puts so far, failed ones too.
    #[must_use]
    pub fn put_count(&self) -> u64 {
        self.state().puts
    }

    /// The most puts that ever ran at once.
    #[must_use]
    pub fn puts_at_once_max(&self) -> u32 {
        self.state().puts_running_max
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin_put(&self) -> Option<Duration> {
        let mut state = self.state();
        state.puts += 1;
        state.puts_running += 1;
        state.puts_running_max = state.puts_running_max.max(state.puts_running);
        state.put_delay
    }

    fn finish_put(&self, object: ObjectId, chunks: &[Bytes]) -> Result<(), StoreError> {
        let mut state = self.state();
        state.puts_running -= 1;
        if let Some(kind) = state.put_failures.pop_front() {
            return Err(StoreError::new(kind, format!("object {object}: put fails on demand")));
        }
        if state.objects.contains_key(&object) {
            return Err(StoreError::new(StoreErrorKind::Exists, format!("object {object}: exists")));
        }
        state.objects.insert(object, chunks.concat().into());
        Ok(())
    }

    fn begin_get(&self) -> Option<Duration> {
        let mut state = self.state();
        state.gets += 1;
        state.get_delay
    }

    fn finish_get(&self, object: ObjectId, range: Range<u64>) -> Result<Bytes, StoreError> {
        let mut state = self.state();
        if let Some(kind) = state.get_failures.pop_front() {
            return Err(StoreError::new(kind, format!("object {object}: get fails on demand")));
        }
        let Some(bytes) = state.objects.get(&object) else {
            return Err(StoreError::new(StoreErrorKind::NotFound, format!("object {object}: not there")));
        };
        if range.start > range.end || range.end > bytes.len() as u64 {
            let message = format!("object {object}: ends at byte {}, {} are needed", bytes.len(), range.end);
            return Err(StoreError::new(StoreErrorKind::Corrupt, message));
        }
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }
}

impl BlockStore for MemoryStore {
    fn put(&self, object: ObjectId, chunks: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            wait(self.begin_put()).await;
            self.finish_put(object, &chunks)
        })
    }

    fn get(&self, object: ObjectId, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        Box::pin(async move {
            wait(self.begin_get()).await;
            self.finish_get(object, range)
        })
    }

    fn delete<'a>(&'a self, objects: &'a [ObjectId]) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut state = self.state();
        for object in objects {
            state.objects.remove(object);
        }
        Box::pin(std::future::ready(Ok(())))
    }

    fn list(&self, from: Option<ListCursor>) -> BoxFuture<'_, Result<Listing, StoreError>> {
        let state = self.state();
        let mut found = state.objects.range(ObjectId(from.map_or(0, |cursor| cursor.0))..);
        let objects = found.by_ref().take(LIST_PAGE);
        let objects = objects.map(|(object, bytes)| ObjectInfo { object: *object, len: bytes.len() as u64 }).collect();
        let next = found.next().map(|(object, _)| ListCursor(object.0));
        Box::pin(std::future::ready(Ok(Listing { objects, next })))
    }
}

async fn wait(delay: Option<Duration>) {
    match delay {
        Some(delay) => tokio::time::sleep(delay).await,
        None => tokio::task::yield_now().await,
    }
}

/// Objects in a page of a listing: few, so that tests turn pages.
const LIST_PAGE: usize = 16;
