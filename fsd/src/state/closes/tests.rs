use futures_util::FutureExt;
use proto::{InodeId, Timespec};

use super::*;

fn close(ino: u64, atime: Option<i64>) -> Close {
    Close { ino: InodeId(ino), count: 1, atime: atime.map(|secs| Timespec { secs, nanos: 0 }) }
}

#[test]
fn one_close_sends_for_all_that_follow() {
    let queue = CloseQueue::default();
    assert_eq!(queue.push(close(1, None)), Turn::Mine);
    assert_eq!(queue.push(close(2, None)), Turn::Taken);
    assert_eq!(queue.take().len(), 2);
    assert_eq!(queue.push(close(3, None)), Turn::Mine);
}

#[test]
fn closes_of_one_file_become_one_with_the_latest_access() {
    let queue = CloseQueue::default();
    for atime in [Some(5), None, Some(3)] {
        queue.push(close(1, atime));
    }
    let expected = Close { count: 3, ..close(1, Some(5)) };
    assert_eq!(queue.take(), [expected]);
}

#[test]
fn only_a_full_batch_does_not_wait() {
    let queue = CloseQueue::default();
    for ino in 1..FULL as u64 {
        queue.push(close(ino, None));
    }
    assert!(queue.full().now_or_never().is_none());
    queue.push(close(0, None));
    assert!(queue.full().now_or_never().is_some());
}
