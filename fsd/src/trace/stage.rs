//! Stages: what an operation waits for, noted in its trace.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use block::{BlockStore, BoxFuture, ListCursor, Listing, StoreError};
use bytes::Bytes;
use pin_project_lite::pin_project;
use proto::ObjectId;

use super::{CURRENT, Noted, STAGES_MAX, Stage};

/// Waits for `work` and notes how long, if the operation at hand is traced. Work that need not wait costs nothing: the
/// clock is read only when it does.
pub(crate) fn stage<F: Future>(stage: Stage, work: F) -> Staged<F> {
    Staged { work, stage, begin: None }
}

pin_project! {
    /// See [`stage`]. No async function: its future would hold the work twice, and operations are many.
    pub(crate) struct Staged<F> {
        #[pin]
        work: F,
        stage: Stage,
        begin: Option<Instant>,
    }
}

impl<F: Future> Future for Staged<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.work.poll(cx);
        match (&polled, *this.begin) {
            (Poll::Pending, None) => *this.begin = Some(Instant::now()),
            (Poll::Ready(_), Some(begin)) => note(*this.stage, begin, |_| {}),
            _ => {}
        }
        polled
    }
}

/// Notes a stage that began at `begin` and is over; `tell` adds what else is known of it. Nothing where the operation at
/// hand is not traced.
pub(crate) fn note(stage: Stage, begin: Instant, tell: impl FnOnce(&mut Noted)) {
    CURRENT.with_borrow_mut(|current| {
        let Some(trace) = current.as_mut().filter(|trace| trace.stages.len() < STAGES_MAX) else { return };
        // The first stage of an operation begins before its trace does.
        let at = begin.checked_duration_since(trace.began).unwrap_or(Duration::ZERO);
        let mut noted = Noted { stage, request: None, at, took: begin.elapsed(), server: 0, disk: 0 };
        tell(&mut noted);
        // Those around it end later: in front of what they began before.
        let place = trace.stages.partition_point(|other| other.at < noted.at);
        trace.stages.insert(place, noted);
    });
}

/// A block store whose answers to reads are noted.
pub(crate) struct TimedStore(pub(crate) Arc<dyn BlockStore>);

impl BlockStore for TimedStore {
    fn put(&self, object: ObjectId, chunks: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.0.put(object, chunks)
    }

    fn get(&self, object: ObjectId, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        Box::pin(stage(Stage::Store, self.0.get(object, range)))
    }

    fn delete<'a>(&'a self, objects: &'a [ObjectId]) -> BoxFuture<'a, Result<(), StoreError>> {
        self.0.delete(objects)
    }

    fn list(&self, from: Option<ListCursor>) -> BoxFuture<'_, Result<Listing, StoreError>> {
        self.0.list(from)
    }
}
