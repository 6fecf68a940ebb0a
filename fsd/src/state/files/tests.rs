use super::*;

pub(super) fn attr(ino: u64, perm: u16) -> Attr {
    let time = Timespec { secs: 1000, nanos: 0 };
    Attr::new(InodeId(ino), FileKind::Regular, perm, time)
}

pub(super) const READ: Open =
    Open { read: true, write: false, execute: false, truncate: false, kill_privileges: false };
const WRITE: Open = Open { write: true, ..READ };
const EXECUTE: Open = Open { execute: true, ..READ };

#[test]
fn claims_count_opens_and_know_of_writers() {
    let files = OpenFiles::default();
    files.opened(&attr(5, 0o644), &READ);
    files.opened(&attr(5, 0o644), &WRITE);
    assert_eq!(files.claims(), [Claim { ino: InodeId(5), count: 2, write: true }]);
    files.closed(InodeId(5), true, false);
    assert_eq!(files.claims(), [Claim { ino: InodeId(5), count: 2, write: false }], "a close is on its way");
    files.closed(InodeId(5), false, false);
    files.released(&[Close { ino: InodeId(5), count: 2, atime: None }], true);
    assert!(files.claims().is_empty());
}

#[test]
fn file_the_server_lost_is_stale_until_closed() {
    let files = OpenFiles::default();
    files.opened(&attr(5, 0o644), &READ);
    files.mark_gone(&[InodeId(5), InodeId(6)]);
    assert_eq!(files.permit_use(InodeId(5)), Err(Errno::ESTALE));
    assert_eq!(files.permit_use(InodeId(6)), Ok(()));
    assert!(files.claims().is_empty());
    files.closed(InodeId(5), false, false);
    assert_eq!(files.permit_use(InodeId(5)), Ok(()));
}

#[test]
fn set_id_bits_follow_what_replies_say() {
    let files = OpenFiles::default();
    files.opened(&attr(5, 0o755), &WRITE);
    assert!(!files.has_set_id(InodeId(5)));
    files.note(&attr(5, 0o4755));
    assert!(files.has_set_id(InodeId(5)));
    files.note(&attr(5, 0o755));
    assert!(!files.has_set_id(InodeId(5)));
}

#[test]
fn program_runs_until_its_last_handle_is_closed() {
    let files = OpenFiles::default();
    files.opened(&attr(5, 0o755), &EXECUTE);
    files.opened(&attr(5, 0o755), &READ);
    assert!(files.is_executed(InodeId(5)));
    files.closed(InodeId(5), false, true);
    assert!(!files.is_executed(InodeId(5)));
}

#[test]
fn access_time_is_kept_when_a_change_or_a_day_passed() {
    let now = Timespec { secs: 5000, nanos: 0 };
    let unread_since_change = attr(5, 0o644);
    let recent = Attr { atime: Timespec { secs: 2000, nanos: 0 }, ..unread_since_change };
    assert!(atime_is_due(&unread_since_change, now));
    assert!(!atime_is_due(&recent, now));
    assert!(atime_is_due(&recent, Timespec { secs: 2000 + 24 * 60 * 60, nanos: 0 }));
}
