use super::*;

#[test]
fn processes_that_work_at_once_share_their_time() {
    let mut one = Tally { operations: 3, bytes: 10, seconds: 1.0, cpu_seconds: 0.5, rss_peak: 7, ..Tally::default() };
    let other = Tally { operations: 4, bytes: 20, seconds: 1.5, cpu_seconds: 0.5, rss_peak: 5, ..Tally::default() };
    one.join(&other);
    assert_eq!((one.operations, one.bytes, one.seconds), (7, 30, 1.5));
    assert_eq!((one.cpu_seconds, one.rss_peak), (1.0, 7));
}

#[test]
fn failed_operations_do_not_count() {
    let mut tally = Tally::default();
    tally.time(|| Ok::<_, ()>(())).unwrap();
    tally.time(|| Err::<(), _>(())).unwrap_err();
    assert_eq!((tally.operations, tally.latency.count()), (1, 1));
}
