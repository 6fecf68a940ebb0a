use futures_util::FutureExt;

use super::super::tests::{READ, attr};
use super::*;

const INO: InodeId = InodeId(5);
const NOT_OPEN: Claim = Claim { ino: INO, count: 0, write: false };

fn close(count: u32) -> Close {
    Close { ino: INO, count, atime: None }
}

/// The result of what need not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nobody holds what it waits for")
}

fn open(files: &OpenFiles) {
    let opening = at_once(files.opening(INO));
    files.opened(&attr(INO.0, 0o644), &READ);
    opening.answered();
}

#[test]
fn answered_opens_and_closes_leave_nothing() {
    let files = OpenFiles::default();
    open(&files);
    files.closed(INO, false, false);
    files.released(&[close(1)], true);
    assert!(at_once(files.settle()).is_none() && files.open.is_empty());
}

#[test]
fn open_without_an_answer_is_settled() {
    let files = OpenFiles::default();
    drop(at_once(files.opening(INO)));
    let settling = at_once(files.settle()).unwrap();
    assert_eq!(settling.next(), [NOT_OPEN]);
    assert_eq!(settling.told(&[NOT_OPEN], true), []);
    assert!(settling.next().is_empty() && files.open.is_empty());
}

#[test]
fn refused_open_leaves_no_doubt() {
    let files = OpenFiles::default();
    at_once(files.opening(INO)).answered();
    assert!(at_once(files.settle()).is_none() && files.open.is_empty());
}

#[test]
fn lost_close_is_settled_after_the_last_close_only() {
    let files = OpenFiles::default();
    open(&files);
    open(&files);
    files.closed(INO, false, false);
    files.released(&[close(1)], false);
    assert!(at_once(files.settle()).is_none(), "one handle is open");
    files.closed(INO, false, false);
    assert!(at_once(files.settle()).is_none(), "its close is on its way");
    files.released(&[close(1)], true);
    assert_eq!(at_once(files.settle()).unwrap().next(), [NOT_OPEN]);
}

#[test]
fn claimed_files_are_settled_when_they_are_closed() {
    let files = OpenFiles::default();
    open(&files);
    let opening = at_once(files.opening(INO));
    assert_eq!(files.claims(), [Claim { ino: INO, count: 1, write: false }]);
    // The open was sent before and after: the server may have counted it twice.
    files.opened(&attr(INO.0, 0o644), &READ);
    opening.answered();
    files.closed(INO, false, false);
    files.closed(INO, false, false);
    files.released(&[close(2)], true);
    assert_eq!(at_once(files.settle()).unwrap().next(), [NOT_OPEN]);
}

#[test]
fn server_that_cannot_be_told_is_told_again() {
    let files = OpenFiles::default();
    drop(at_once(files.opening(INO)));
    for _ in 0..3 {
        let settling = at_once(files.settle()).unwrap();
        assert_eq!(settling.next(), [NOT_OPEN]);
        assert_eq!(settling.told(&[NOT_OPEN], false), []);
    }
}

#[test]
fn file_that_is_being_opened_is_not_settled() {
    let files = OpenFiles::default();
    drop(at_once(files.opening(INO)));
    let opening = at_once(files.opening(INO));
    assert!(at_once(files.settle()).unwrap().next().is_empty());
    files.opened(&attr(INO.0, 0o644), &READ);
    opening.answered();
    files.closed(INO, false, false);
    files.released(&[close(1)], true);
    assert_eq!(at_once(files.settle()).unwrap().next(), [NOT_OPEN]);
}

#[test]
fn open_waits_while_the_server_is_told_that_the_file_is_not_open() {
    let files = OpenFiles::default();
    drop(at_once(files.opening(INO)));
    let settling = at_once(files.settle()).unwrap();
    let claims = settling.next();
    assert!(files.opening(INO).now_or_never().is_none(), "sent while the claim is on its way");
    settling.told(&claims, true);
    drop(settling);
    at_once(files.opening(INO)).answered();
}

#[test]
fn file_opened_by_name_while_it_is_settled_is_claimed() {
    let files = OpenFiles::default();
    drop(at_once(files.opening(INO)));
    let settling = at_once(files.settle()).unwrap();
    let claims = settling.next();
    files.opened(&attr(INO.0, 0o644), &READ);
    assert_eq!(settling.told(&claims, true), [Claim { ino: INO, count: 1, write: false }]);
    drop(settling);
    files.closed(INO, false, false);
    files.released(&[close(1)], true);
    assert_eq!(at_once(files.settle()).unwrap().next(), [NOT_OPEN]);
}

#[test]
fn more_files_than_a_message_takes_are_settled_in_turns() {
    let files = OpenFiles::default();
    for ino in 0..=HANDLES_MAX as u64 {
        drop(at_once(files.opening(InodeId(ino))));
    }
    let settling = at_once(files.settle()).unwrap();
    for expected in [HANDLES_MAX, 1, 0] {
        let claims = settling.next();
        assert_eq!(claims.len(), expected);
        settling.told(&claims, true);
    }
}
