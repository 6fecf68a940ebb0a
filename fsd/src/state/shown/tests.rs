use proto::{FileKind, Timespec};

use super::*;

fn attr(ino: u64, version: u64, size: u64) -> Attr {
    let time = Timespec::default();
    Attr {
        ino: InodeId(ino),
        kind: FileKind::Regular,
        perm: 0,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        size,
        allocated: 0,
        atime: time,
        mtime: time,
        ctime: time,
        btime: time,
        version,
    }
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
