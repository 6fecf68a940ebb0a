use proto::{FileKind, Timespec};

use super::*;

fn attr(ino: u64, version: u64, size: u64) -> Attr {
    let time = Timespec::default();
    Attr { size, version, ..Attr::new(InodeId(ino), FileKind::Regular, 0, time) }
}

#[test]
fn only_the_version_shown_last_is_current() {
    let shown = Shown::default();
    assert!(!shown.is_current(&attr(7, 1, 10)));
    shown.note(&attr(7, 1, 10));
    assert!(shown.is_current(&attr(7, 1, 10)));
    assert!(!shown.is_current(&attr(7, 2, 10)));
    assert!(!shown.is_current(&attr(7, 1, 11)));
    shown.note(&attr(7, 2, 10));
    assert!(!shown.is_current(&attr(7, 1, 10)));
}
