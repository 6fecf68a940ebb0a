use proto::FileKind;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn dir(ino: u64, nlink: u32) -> Attr {
    let time = Timespec::default();
    Attr { nlink, ..Attr::new(InodeId(ino), FileKind::Directory, 0o755, time) }
}

fn at(secs: i64, nanos: u32) -> Timespec {
    Timespec { secs, nanos }
}

#[test]
fn directory_is_known_until_its_time_is_over() {
    let known = KnownDirs::default();
    known.learn(&[dir(7, 2)], Sequence(5), at(10, 900_000_000));
    let half = Duration::from_millis(500);
    assert_eq!(known.find(InodeId(7), at(11, 400_000_000), SECOND), Some((dir(7, 2), half)));
    assert_eq!(known.find(InodeId(7), at(11, 900_000_000), SECOND), None);
    assert_eq!(known.find(InodeId(7), at(10, 899_999_999), SECOND), None, "the clock was set back");
    assert_eq!(known.find(InodeId(7), at(11, 0), Duration::ZERO), None, "nothing may be kept");
    assert_eq!(known.find(InodeId(7 + SLOTS as u64), at(11, 0), SECOND), None);
}

#[test]
fn replies_that_overtake_each_other_leave_the_newest() {
    let known = KnownDirs::default();
    known.learn(&[dir(7, 4)], Sequence(6), at(10, 0));
    known.learn(&[dir(7, 3)], Sequence(5), at(10, 1));
    assert_eq!(known.find(InodeId(7), at(10, 2), SECOND).map(|(attr, _)| attr.nlink), Some(4));
}

#[test]
fn removed_directory_is_not_shown_as_it_was() {
    let known = KnownDirs::default();
    known.learn(&[dir(7, 2)], Sequence(5), at(10, 0));
    known.learn(&[dir(7, 0)], Sequence(6), at(10, 0));
    assert_eq!(known.find(InodeId(7), at(10, 0), SECOND), None);
    known.learn(&[dir(7, 2)], Sequence(5), at(10, 0));
    assert_eq!(known.find(InodeId(7), at(10, 0), SECOND), None, "a late reply does not bring it back");
}

#[test]
fn nothing_is_known_after_clearing() {
    let known = KnownDirs::default();
    known.learn(&[dir(7, 2), dir(8, 2)], Sequence(5), at(10, 0));
    known.clear();
    assert_eq!(known.find(InodeId(8), at(10, 0), SECOND), None);
    known.learn(&[dir(8, 3)], Sequence(1), at(10, 0));
    assert_eq!(known.find(InodeId(8), at(10, 0), SECOND).map(|(attr, _)| attr.nlink), Some(3));
}
