use super::super::{Subject, Trace};
use super::*;
use proto::{InodeId, Timespec};

/// An operation on file `ino` that took `millis` and ended `at` seconds after `start`.
fn ended(start: Instant, at: u64, ino: u64, millis: u64) -> Ended {
    let ended = start + Duration::from_secs(at);
    let trace = Trace { began: ended - Duration::from_millis(millis), stages: Vec::new() };
    let began = Timespec { secs: at as i64, nanos: 0 };
    Ended { subject: Subject { operation: "read", ino: InodeId(ino), began, woken: None }, trace, ended }
}

fn totals(slowest: &Slowest) -> Vec<u64> {
    let records = slowest.before.iter().chain(&slowest.current);
    // What a record says of the total goes on to when its reply was written; here that is the moment of the test.
    let mut inodes: Vec<u64> = records.map(|record| record.inode).collect();
    inodes.sort_unstable();
    inodes
}

#[test]
fn only_the_slowest_stay() {
    let start = Instant::now() - Duration::from_secs(3600);
    let mut slowest = Slowest::new(start);
    for number in 0..100 {
        let record = ended(start, 1, number, 1000 + number * 10);
        slowest.keep(record.record(start + Duration::from_secs(1), None));
    }
    assert_eq!(totals(&slowest), (68..100).collect::<Vec<_>>());
    assert_eq!(slowest.threshold, 1_680_000);
}

#[test]
fn operation_that_is_not_slow_enough_is_not_taken_in() {
    let start = Instant::now() - Duration::from_secs(10);
    let mut slowest = Slowest::new(start);
    for number in 0..KEPT_MAX as u64 {
        slowest.take_in(ended(start, 1, number, 500), None);
    }
    let threshold = slowest.threshold;
    assert!(threshold >= 500_000);
    slowest.take_in(ended(start, 2, 1000, 400), None);
    assert!(!totals(&slowest).contains(&1000));
    slowest.take_in(ended(start, 2, 2000, threshold / 1000 + 1), None);
    assert!(totals(&slowest).contains(&2000) && slowest.current.len() == KEPT_MAX);
}

#[test]
fn what_is_older_than_two_windows_is_gone() {
    let start = Instant::now() - Duration::from_secs(3600);
    let mut slowest = Slowest::new(start);
    slowest.take_in(ended(start, 1, 1, 100), None);
    slowest.take_in(ended(start, 70, 2, 1), None);
    assert_eq!(totals(&slowest), [1, 2]);
    slowest.turn_over(start + Duration::from_secs(140));
    assert_eq!(totals(&slowest), [2]);
    slowest.turn_over(start + Duration::from_secs(400));
    assert_eq!(totals(&slowest), [0; 0]);
}

#[test]
fn threads_are_asked_together_and_one_file_alone() {
    let log = SlowLog::default();
    let (one, other) = (log.join(), log.join());
    let now = Instant::now();
    for (thread, ino, millis) in [(&one, 1, 30), (&other, 2, 50), (&one, 2, 10), (&other, 3, 20)] {
        lock(thread).take_in(ended(now, 0, ino, millis), Some("EIO"));
    }
    let slowest = |inode, count| -> Vec<u64> { log.slowest(inode, count).iter().map(|record| record.inode).collect() };
    assert_eq!(slowest(None, 10), [2, 1, 3, 2]);
    assert_eq!(slowest(None, 2), [2, 1]);
    assert_eq!(slowest(Some(2), 10), [2, 2]);
    assert_eq!(log.slowest(None, 1)[0].error.as_deref(), Some("EIO"));
}
