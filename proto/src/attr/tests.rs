use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn times_before_the_epoch_keep_their_nanoseconds_positive() {
    let half_before = UNIX_EPOCH - Duration::from_millis(500);
    assert_eq!(Timespec::from_system_time(half_before), Timespec { secs: -1, nanos: 500_000_000 });
    let one_before = UNIX_EPOCH - Duration::from_secs(1);
    assert_eq!(Timespec::from_system_time(one_before), Timespec { secs: -1, nanos: 0 });
}

#[test]
fn record_with_impossible_fields_is_refused() {
    assert!(Attr::from_record(&[0; ATTR_RECORD_LEN]).is_none(), "no file type");
    assert!(Attr::from_record(&[0xff; ATTR_RECORD_LEN]).is_none());
}
