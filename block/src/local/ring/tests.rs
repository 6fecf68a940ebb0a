use std::fs;
use std::sync::Arc;
use std::task::{Context, Waker};

use bytes::Bytes;
use proto::ObjectId;
use tempfile::TempDir;

use super::*;
use crate::StoreErrorKind::{Corrupt, NotFound};
use crate::{BlockStore, LocalStore};

/// A store with object 5, 3 MB of a pattern.
fn store() -> (TempDir, Arc<LocalStore>, Vec<u8>) {
    let folder = TempDir::new().unwrap();
    let store = LocalStore::open(&folder.path().join("store")).unwrap();
    let content: Vec<u8> = (0..3_000_000u32).map(|at| (at / 7) as u8).collect();
    let chunk = Bytes::from(content.clone());
    tokio_uring::start(store.put(ObjectId(5), vec![chunk])).unwrap();
    (folder, Arc::new(store), content)
}

fn under_way() -> usize {
    HERE.with_borrow(|ring| ring.as_ref().map_or(0, |ring| ring.under_way.get()))
}

/// Polls once, as a serving thread does to see whether a request need not wait.
fn poll_once<T>(future: &mut (impl Future<Output = T> + Unpin)) -> bool {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn object_is_read_by_range_through_the_ring() {
    let (_folder, store, content) = store();
    tokio_uring::start(with_ring(async {
        for range in [0..content.len(), 0..0, 17..4_113, 2_999_999..3_000_000] {
            let mut reading = store.get(ObjectId(5), range.start as u64..range.end as u64);
            assert!(!poll_once(&mut reading));
            assert_eq!(under_way(), 1, "the ring has the read");
            assert!(reading.await.unwrap() == content[range.clone()], "{range:?}");
            assert_eq!(under_way(), 0);
        }
    }));
}

#[test]
fn errors_are_those_of_the_blocking_pool() {
    let (_folder, store, _) = store();
    let errors = async || {
        let mut errors = Vec::new();
        for (object, range) in [
            (ObjectId(6), 0..1),
            (ObjectId(5), 2_999_999..3_000_001),
            (ObjectId(5), std::ops::Range { start: 5, end: 4 }),
        ] {
            errors.push(store.get(object, range).await.unwrap_err().to_string());
        }
        errors
    };
    let by_ring = tokio_uring::start(with_ring(errors()));
    assert_eq!(by_ring, tokio_uring::start(errors()));
    let kinds = tokio_uring::start(with_ring(async {
        let missing = store.get(ObjectId(6), 0..1).await.unwrap_err().kind;
        (missing, store.get(ObjectId(5), 0..3_000_001).await.unwrap_err().kind)
    }));
    assert_eq!(kinds, (NotFound, Corrupt));
}

#[test]
fn task_that_may_leave_the_thread_reads_through_its_ring() {
    let (_folder, store, content) = store();
    tokio_uring::start(with_ring(async {
        let reading = tokio::spawn(async move {
            let mut reading = store.get(ObjectId(5), 0..3_000_000);
            assert!(!poll_once(&mut reading));
            (under_way(), reading.await)
        });
        let (under_way, bytes) = reading.await.unwrap();
        assert_eq!(under_way, 1);
        assert!(bytes.unwrap() == content);
    }));
}

#[test]
fn dropped_read_keeps_its_slot_and_the_ring_until_it_is_over() {
    let (_folder, store, _) = store();
    let ring = tokio_uring::start(with_ring(async {
        let mut reading = store.get(ObjectId(5), 0..3_000_000);
        assert!(!poll_once(&mut reading));
        drop(reading);
        assert_eq!(store.reads.available_permits(), super::super::READS_MAX - 1);
        HERE.with_borrow(Clone::clone).unwrap()
    }));
    assert_eq!((ring.under_way.get(), store.reads.available_permits()), (0, super::super::READS_MAX));
    assert!(!Ring::is_here());
}

#[test]
fn reads_that_a_panic_leaves_behind_keep_their_buffers() {
    let (_folder, store, _) = store();
    let left = Cell::new(std::rc::Weak::new());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tokio_uring::start(with_ring(async {
            let mut reading = store.get(ObjectId(5), 0..3_000_000);
            assert!(!poll_once(&mut reading));
            tokio::task::yield_now().await;
            left.set(Rc::downgrade(&HERE.with_borrow(Clone::clone).unwrap()));
            panic!("the thread fails");
        }));
    }));
    assert!(panicked.is_err() && !Ring::is_here());
    assert_eq!(left.take().upgrade().unwrap().under_way.get(), 1);
}

#[test]
fn more_reads_than_slots_all_end() {
    let (_folder, store, content) = store();
    tokio_uring::start(with_ring(async {
        let reads = (0..200u64).map(|n| store.get(ObjectId(5), n * 1000..n * 1000 + 100_000));
        for (n, bytes) in futures_util::future::join_all(reads).await.into_iter().enumerate() {
            assert!(bytes.unwrap() == content[n * 1000..n * 1000 + 100_000]);
        }
    }));
}

#[test]
fn thread_without_a_ring_reads_on_the_blocking_pool() {
    let (folder, store, content) = store();
    assert!(!Ring::is_here());
    let bytes = tokio_uring::start(store.get(ObjectId(5), 0..3_000_000)).unwrap();
    assert!(bytes == content);
    fs::remove_dir_all(folder.path()).unwrap();
}
