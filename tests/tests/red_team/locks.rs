//! Locks of others: given up, taken over, waited for without end.

use std::time::{Duration, Instant};

use proto::limits::{LOCK_SPANS_MAX, LOCK_WAIT_MS};
use proto::{Caller, Errno, InodeId, LockKind, LockOwner, LockSpan, Refused, Reply, Request, RequestFrame, codec};
use tests::WireClient;

use super::stage::{BOTH, Hands, Stage};

const OWNER: LockOwner = LockOwner(1);
const BUSY: Result<Reply, Refused> = Err(Refused::Error(Errno::EAGAIN));

fn lock(ino: InodeId, span: LockSpan) -> Request {
    Request::Lock { ino, kind: LockKind::Range, owner: OWNER, span }
}

fn wait(ino: InodeId) -> Vec<u8> {
    let span = LockSpan::whole(true, 1);
    let request = Request::AwaitLock { ino, kind: LockKind::Range, owner: OWNER, span };
    codec::encode(&RequestFrame { operation: None, caller: Caller::ROOT, request })
}

#[tokio::test]
async fn lock_of_another_session_stands_whatever_its_owner_is_called() {
    let mut stage = Stage::set().await;
    let secret = stage.things.secret;
    stage.honest.done(lock(secret, LockSpan::whole(true, 4711))).await;
    let mut hostile = WireClient::open(&stage.cluster, &stage.volume.token).await;
    assert_eq!(hostile.ask(lock(secret, LockSpan::whole(false, 0))).await, Err(Refused::Error(Errno::EBADF)));
    hostile.done(Request::Open { ino: secret, access: BOTH, truncate: false }).await;
    assert_eq!(hostile.ask(lock(secret, LockSpan::whole(false, 0))).await, BUSY);
    for owner in [0, 1, u64::MAX] {
        let (kind, owner) = (LockKind::Range, LockOwner(owner));
        hostile.done(Request::Unlock { ino: secret, kind, owner, start: 0, end: LockSpan::END }).await;
    }
    hostile.done(Request::Release { closes: vec![proto::Close { ino: secret, count: u32::MAX, atime: None }] }).await;
    hostile.done(Request::Reclaim { claims: vec![proto::Claim { ino: secret, count: 1, write: true }] }).await;
    assert_eq!(hostile.ask(lock(secret, LockSpan::whole(true, 0))).await, BUSY);
    let test = Request::TestLock { ino: secret, kind: LockKind::Range, owner: OWNER, span: LockSpan::whole(true, 0) };
    assert_eq!(hostile.ask(test).await, Ok(Reply::Lock(Some(LockSpan::whole(true, 0)))), "no process of another host");
}

#[tokio::test]
async fn ranges_without_end_are_refused() {
    let mut stage = Stage::set().await;
    let mine = stage.things.mine;
    let single = |place: u64| LockSpan { start: place, end: place, exclusive: true, pid: 1 };
    for place in 0..LOCK_SPANS_MAX as u64 {
        stage.scoped.done(lock(mine, single(place * 2))).await;
    }
    let answer = stage.scoped.ask(lock(mine, single(u64::from(u32::MAX)))).await;
    assert_eq!(answer, Err(Refused::Error(Errno::ENOLCK)));
    for span in [LockSpan { start: 1, ..single(0) }, LockSpan { end: u64::MAX, ..single(0) }] {
        assert_eq!(stage.scoped.ask(lock(mine, span)).await, Err(Refused::Malformed));
    }
    stage.honest.done(Request::StatFs).await;
}

/// As many waits as a connection may have calls: each ends by itself, the honest session notices nothing, and what was
/// waited for is free when the connection is gone.
#[tokio::test]
async fn crowd_of_waits_holds_nobody_up() {
    let mut stage = Stage::set().await;
    let secret = stage.things.secret;
    stage.honest.done(lock(secret, LockSpan::whole(true, 1))).await;
    let mut hostile = WireClient::open(&stage.cluster, &stage.volume.token).await;
    hostile.done(Request::Open { ino: secret, access: BOTH, truncate: false }).await;
    let begin = Instant::now();
    let message = wait(secret);
    {
        let crowd = futures_util::future::join_all((0..250).map(|_| hostile.raw(&message)));
        let mut crowd = std::pin::pin!(crowd);
        let calm = async {
            for _ in 0..50 {
                stage.honest.done(Request::StatFs).await;
            }
        };
        tokio::select! {
            _ = &mut crowd => panic!("nobody gave the lock up"),
            () = calm => assert!(begin.elapsed() < Duration::from_millis(LOCK_WAIT_MS), "{:?}", begin.elapsed()),
        }
        let answers = crowd.await;
        assert!(begin.elapsed() >= Duration::from_millis(LOCK_WAIT_MS));
        assert!(answers.iter().all(Option::is_some), "each wait is answered");
    }
    // A wait whose mount went away takes nothing.
    let _ = tokio::time::timeout(Duration::from_millis(100), hostile.raw(&message)).await;
    drop(hostile);
    let unlock = Request::Unlock { ino: secret, kind: LockKind::Range, owner: OWNER, start: 0, end: LockSpan::END };
    stage.honest.done(unlock).await;
    stage.honest.done(lock(secret, LockSpan::whole(true, 1))).await;
}
