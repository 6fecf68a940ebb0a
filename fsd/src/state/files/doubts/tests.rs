use std::time::Duration;

use super::super::tests::{READ, attr};
use super::*;

const INO: InodeId = InodeId(5);
const NOT_OPEN: Claim = Claim { ino: INO, count: 0, write: false };

fn close(count: u32) -> Close {
    Close { ino: INO, count, atime: None }
}

async fn open(files: &OpenFiles) {
    let opening = files.opening(INO).await;
    files.opened(&attr(INO.0, 0o644), &READ);
    opening.answered();
}

#[tokio::test]
async fn answered_opens_and_closes_leave_nothing() {
    let files = OpenFiles::default();
    open(&files).await;
    files.closed(INO, false, false);
    files.released(&[close(1)], true);
    assert!(files.settle().await.is_none() && files.open.is_empty());
}

#[tokio::test]
async fn open_without_an_answer_is_settled() {
    let files = OpenFiles::default();
    drop(files.opening(INO).await);
    let settling = files.settle().await.unwrap();
    assert_eq!(settling.next(), [NOT_OPEN]);
    assert_eq!(settling.told(&[NOT_OPEN], true), []);
    assert!(settling.next().is_empty() && files.open.is_empty());
}

#[tokio::test]
async fn refused_open_leaves_no_doubt() {
    let files = OpenFiles::default();
    files.opening(INO).await.answered();
    assert!(files.settle().await.is_none() && files.open.is_empty());
}

#[tokio::test]
async fn lost_close_is_settled_after_the_last_close_only() {
    let files = OpenFiles::default();
    open(&files).await;
    open(&files).await;
    files.closed(INO, false, false);
    files.released(&[close(1)], false);
    assert!(files.settle().await.is_none(), "one handle is open");
    files.closed(INO, false, false);
    assert!(files.settle().await.is_none(), "its close is on its way");
    files.released(&[close(1)], true);
    assert_eq!(files.settle().await.unwrap().next(), [NOT_OPEN]);
}

#[tokio::test]
async fn claimed_files_are_settled_when_they_are_closed() {
    let files = OpenFiles::default();
    open(&files).await;
    let opening = files.opening(INO).await;
    assert_eq!(files.claims(), [Claim { ino: INO, count: 1, write: false }]);
    // The open was sent before and after: the server may have counted it twice.
    files.opened(&attr(INO.0, 0o644), &READ);
    opening.answered();
    files.closed(INO, false, false);
    files.closed(INO, false, false);
    files.released(&[close(2)], true);
    assert_eq!(files.settle().await.unwrap().next(), [NOT_OPEN]);
}

#[tokio::test]
async fn server_that_cannot_be_told_is_told_again() {
    let files = OpenFiles::default();
    drop(files.opening(INO).await);
    for _ in 0..3 {
        let settling = files.settle().await.unwrap();
        assert_eq!(settling.next(), [NOT_OPEN]);
        assert_eq!(settling.told(&[NOT_OPEN], false), []);
    }
}

#[tokio::test]
async fn file_that_is_being_opened_is_not_settled() {
    let files = OpenFiles::default();
    drop(files.opening(INO).await);
    let opening = files.opening(INO).await;
    assert!(files.settle().await.unwrap().next().is_empty());
    files.opened(&attr(INO.0, 0o644), &READ);
    opening.answered();
    files.closed(INO, false, false);
    files.released(&[close(1)], true);
    assert_eq!(files.settle().await.unwrap().next(), [NOT_OPEN]);
}

#[tokio::test(start_paused = true)]
async fn open_waits_while_the_server_is_told_that_the_file_is_not_open() {
    let files = OpenFiles::default();
    drop(files.opening(INO).await);
    let settling = files.settle().await.unwrap();
    let claims = settling.next();
    let opening = tokio::time::timeout(Duration::from_secs(1), files.opening(INO)).await;
    assert!(opening.is_err(), "sent while the claim is on its way");
    settling.told(&claims, true);
    drop(settling);
    files.opening(INO).await.answered();
}

#[tokio::test]
async fn file_opened_by_name_while_it_is_settled_is_claimed() {
    let files = OpenFiles::default();
    drop(files.opening(INO).await);
    let settling = files.settle().await.unwrap();
    let claims = settling.next();
    files.opened(&attr(INO.0, 0o644), &READ);
    assert_eq!(settling.told(&claims, true), [Claim { ino: INO, count: 1, write: false }]);
    drop(settling);
    files.closed(INO, false, false);
    files.released(&[close(1)], true);
    assert_eq!(files.settle().await.unwrap().next(), [NOT_OPEN]);
}

#[tokio::test]
async fn more_files_than_a_message_takes_are_settled_in_turns() {
    let files = OpenFiles::default();
    for ino in 0..=HANDLES_MAX as u64 {
        drop(files.opening(InodeId(ino)).await);
    }
    let settling = files.settle().await.unwrap();
    for expected in [HANDLES_MAX, 1, 0] {
        let claims = settling.next();
        assert_eq!(claims.len(), expected);
        settling.told(&claims, true);
    }
}
