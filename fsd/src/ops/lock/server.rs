//! What is said to the server about locks, and noted here when it has answered. Whoever calls has the file's turn.

use proto::{Attr, Errno, LockSpan, Reply, Request};

use super::super::{Cx, unexpected};
use crate::adapter::Lock;
use crate::client::MetaClient;
use crate::state::{HandleId, Holder, LockTurn};

/// Times that a request is sent because the session was another one before it was answered.
const SESSIONS_MAX: usize = 4;

/// Asks for a lock, taken through `handle`.
pub(super) async fn take<C: MetaClient>(
    cx: &Cx<C>,
    _turn: &LockTurn<'_>,
    holder: Holder,
    handle: HandleId,
    span: LockSpan,
) -> Result<Attr, Errno> {
    let Holder { ino, kind, owner } = holder;
    for _ in 0..SESSIONS_MAX {
        let session = cx.state.locks.session();
        match cx.call(Request::Lock { ino, kind, owner, span }).await {
            Ok(Reply::Entry(attr)) if cx.state.locks.settle_lock(session, holder, handle, span) => return Ok(attr),
            // The session that was asked is over, and its locks with it.
            Ok(Reply::Entry(_)) | Err(Errno::EIO) => {}
            Ok(other) => return Err(unexpected("lock", &other)),
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EIO)
}

/// Gives up what a holder has between two bytes. It counts as given up even where the server does not say so: it drops
/// all with the session's last close of the file, and with the session.
pub(super) async fn give_up<C: MetaClient>(
    cx: &Cx<C>,
    _turn: &LockTurn<'_>,
    holder: Holder,
    start: u64,
    end: u64,
) -> Result<(), Errno> {
    let Holder { ino, kind, owner } = holder;
    let mut result = Err(Errno::EIO);
    for _ in 0..SESSIONS_MAX {
        let session = cx.state.locks.session();
        match cx.call(Request::Unlock { ino, kind, owner, start, end }).await {
            Ok(Reply::Done) if cx.state.locks.settle_unlock(session, holder, start, end) => return Ok(()),
            // All locks were taken in the next session, this one with them.
            Ok(Reply::Done) | Err(Errno::EIO) => {}
            Ok(other) => result = Err(unexpected("unlock", &other)),
            // A hole in a range makes two of it, and there are too many: it stays.
            Err(Errno::ENOLCK) => return Err(Errno::ENOLCK),
            Err(errno) => {
                result = Err(errno);
                break;
            }
        }
    }
    cx.state.locks.forget(holder, start, end);
    result
}

/// Brings back what a holder had before a lock was granted that nobody waits for.
pub(super) async fn restore<C: MetaClient>(
    cx: &Cx<C>,
    turn: &LockTurn<'_>,
    holder: Holder,
    lock: &Lock,
    before: &[LockSpan],
) {
    for (start, end) in gaps(before, &lock.span) {
        // What cannot be said to the server is over with the session or the file.
        let _ = give_up(cx, turn, holder, start, end).await;
    }
    for before in before {
        // An exclusive lock that became a shared one meanwhile stays that where others share it already.
        let _ = take(cx, turn, holder, lock.handle, *before).await;
    }
}

/// The ranges of `span` that are in none of `held`, which are ascending, disjoint and within it.
fn gaps(held: &[LockSpan], span: &LockSpan) -> Vec<(u64, u64)> {
    let mut gaps = Vec::new();
    let mut from = span.start;
    for held in held {
        if from < held.start {
            gaps.push((from, held.start - 1));
        }
        from = held.end + 1;
    }
    if from <= span.end {
        gaps.push((from, span.end));
    }
    gaps
}
