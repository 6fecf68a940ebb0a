//! Locks: fcntl(2), flock(2). The server decides; what it granted is noted, to be given up when a handle goes.
//!
//! As with NFS a lock is a meeting point: what was written is committed before it is given up, and who gets one sees it.

mod server;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use proto::{Attr, Errno, InodeId, LockKind, LockOwner, LockSpan, Reply, Request};

use super::{Cx, unexpected};
use crate::adapter::{Answer, Lock, Locked};
use crate::client::MetaClient;
use crate::data::File;
use crate::state::{FileHandle, HandleId, Holder, LockTurn};

pub(crate) use waiting::{Asking, WaitingRoom};

/// F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW, flock(2).
pub(super) async fn lock<C: MetaClient>(cx: &Cx<C>, lock: Lock) -> Result<Answer, Errno> {
    let handle = cx.state.handles.find(lock.handle)?;
    let holder = holder(&handle, &lock);
    let weakens = !lock.span.exclusive && {
        let held = cx.state.locks.held(holder, lock.span.start, lock.span.end);
        held.iter().any(|held| held.exclusive)
    };
    if weakens {
        commit(cx, &handle.file).await;
    }
    let (before, attr) = if lock.wait { wait(cx, &handle, lock).await? } else { look(cx, &handle, lock).await? };
    let news = cx.state.data.settle_lock(&attr);
    Ok(Answer::Locked(Locked { lock, before, news }))
}

/// The same with F_UNLCK, LOCK_UN.
pub(super) async fn unlock<C: MetaClient>(cx: &Cx<C>, lock: Lock) -> Result<Answer, Errno> {
    let handle = cx.state.handles.find(lock.handle)?;
    let LockSpan { start, end, .. } = lock.span;
    give_up(cx, &handle.file, holder(&handle, &lock), start, end).await?;
    Ok(Answer::Done)
}

/// F_GETLK, F_OFD_GETLK.
pub(super) async fn test<C: MetaClient>(cx: &Cx<C>, lock: Lock) -> Result<Answer, Errno> {
    let ino = cx.state.handles.find(lock.handle)?.ino;
    cx.state.files.permit_use(ino)?;
    let Lock { kind, owner, span, .. } = lock;
    match cx.call(Request::TestLock { ino, kind, owner, span }).await? {
        Reply::Lock(span) => Ok(Answer::Lock(span)),
        other => Err(unexpected("testlock", &other)),
    }
}

/// A process closes a descriptor of the file, and with it gives up its locks of ranges: until the result is dropped,
/// requests for locks of the file wait, its next ones among them. `None` where it has no such locks.
pub(super) async fn closing<'a, C>(cx: &'a Cx<C>, ino: InodeId, owner: LockOwner) -> Option<LockTurn<'a>> {
    let holder = Holder { ino, kind: LockKind::Range, owner };
    if cx.state.locks.holds(holder) { Some(cx.state.locks.turn(ino).await) } else { None }
}

/// The locks of ranges of a process that closes a descriptor end, as POSIX has it. Call it when what was written is
/// committed.
pub(super) async fn closed_by<C: MetaClient>(
    cx: &Cx<C>,
    turn: LockTurn<'_>,
    ino: InodeId,
    owner: LockOwner,
) -> Result<(), Errno> {
    server::give_up(cx, &turn, Holder { ino, kind: LockKind::Range, owner }, 0, LockSpan::END).await
}

/// A handle is gone that locks came through: until the result is dropped, requests for locks of the file wait. `None`
/// where there are no such locks.
pub(super) async fn leaving<'a, C>(cx: &'a Cx<C>, ino: InodeId, handle: HandleId) -> Option<LockTurn<'a>> {
    if cx.state.locks.came_through(ino, handle) { Some(cx.state.locks.turn(ino).await) } else { None }
}

/// Gives up locks that no handle is left of. Call it when what was written is committed.
pub(super) async fn leave<C: MetaClient>(cx: &Cx<C>, turn: LockTurn<'_>, ino: InodeId, handle: HandleId) {
    for holder in cx.state.locks.leave(ino, handle) {
        // After the end of the session there is nothing to be given up.
        if let Err(errno) = server::give_up(cx, &turn, holder, 0, LockSpan::END).await
            && errno != Errno::EACCES
        {
            tracing::warn!(%ino, %errno, "locks of a closed file stay until the mount has closed all of it");
        }
    }
}

/// Brings back what was held before a lock that nobody waits for.
pub(super) async fn take_back<C: MetaClient>(cx: &Cx<C>, locked: &Locked) {
    let Locked { lock, before, .. } = locked;
    let holder = Holder { ino: cx.ino, kind: lock.kind, owner: lock.owner };
    let turn = cx.state.locks.turn(cx.ino).await;
    server::restore(cx, &turn, holder, lock, before).await;
}

/// Asks once, and again where the answer may be of a moment ago: the kernel tells of handles that are gone when the
/// program that had them goes on already, perhaps to another thread.
async fn look<C: MetaClient>(cx: &Cx<C>, handle: &FileHandle, lock: Lock) -> Result<Had, Errno> {
    let mut pauses = match lock.kind {
        // Most of them end with a close that is waited for.
        LockKind::Range => LOOKS[..2].iter(),
        LockKind::Whole => LOOKS.iter(),
    };
    loop {
        let held_here = match attempt(cx, handle, lock).await? {
            Attempt::Had(had) => return Ok(had),
            Attempt::Held { here } => here,
        };
        let pause = pauses.next().filter(|_| held_here);
        let Some(pause) = pause else { break };
        tokio::select! {
            () = cx.given_up.wait() => return Err(Errno::EINTR),
            () = tokio::time::sleep(*pause) => {}
        }
    }
    exchange(cx, handle, &lock).await?;
    Err(Errno::EAGAIN)
}

/// Asks until the lock is had.
async fn wait<C: MetaClient>(cx: &Cx<C>, handle: &FileHandle, lock: Lock) -> Result<Had, Errno> {
    let (mut seat, mut pause) = (None, PAUSE_MIN);
    loop {
        if let Attempt::Had(had) = attempt(cx, handle, lock).await? {
            return Ok(had);
        }
        exchange(cx, handle, &lock).await?;
        if seat.is_none() {
            seat = Some(cx.room.enter().ok_or(Errno::ENOLCK)?);
        }
        let let_go = async {
            if let Some(_asking) = cx.room.ask() {
                let Lock { kind, owner, span, .. } = lock;
                return cx.done(Request::AwaitLock { ino: handle.ino, kind, owner, span }).await.map(drop);
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(PAUSE_MAX);
            Ok(())
        };
        tokio::select! {
            biased;
            () = cx.given_up.wait() => return Err(Errno::EINTR),
            let_go = let_go => let_go?,
        }
    }
}

/// A lock that was had: what its owner held of the range before, and the file as it was at that moment.
type Had = (Vec<LockSpan>, Attr);

/// What asking for a lock once came to.
enum Attempt {
    Had(Had),
    /// Others hold it; `here`: others on this mount.
    Held {
        here: bool,
    },
}

async fn attempt<C: MetaClient>(cx: &Cx<C>, handle: &FileHandle, lock: Lock) -> Result<Attempt, Errno> {
    if lock.span.exclusive {
        cx.state.flags.permit_change()?;
    }
    cx.state.files.permit_use(handle.ino)?;
    let turn = tokio::select! {
        biased;
        () = cx.given_up.wait() => return Err(Errno::EINTR),
        turn = cx.state.locks.turn(handle.ino) => turn,
    };
    let holder = holder(handle, &lock);
    let before = cx.state.locks.held(holder, lock.span.start, lock.span.end);
    let taken = server::take(cx, &turn, holder, lock.handle, lock.span).await;
    match taken {
        Ok(attr) => {
            if cx.given_up.is_set() {
                server::restore(cx, &turn, holder, &lock, &before).await;
                return Err(Errno::EINTR);
            }
            Ok(Attempt::Had((before, attr)))
        }
        Err(Errno::EAGAIN) => Ok(Attempt::Held { here: cx.state.locks.stand_against(holder, &lock.span) }),
        Err(errno) => Err(errno),
    }
}

/// flock(2) gives a lock up before it looks for the other kind of it: two that share one and want it for themselves would
/// wait for each other for ever.
async fn exchange<C: MetaClient>(cx: &Cx<C>, handle: &FileHandle, lock: &Lock) -> Result<(), Errno> {
    match lock.kind {
        LockKind::Range => Ok(()),
        // Somebody who asks anew must not lose what he gets to one whom nobody waits for.
        LockKind::Whole if cx.given_up.is_set() => Err(Errno::EINTR),
        LockKind::Whole => give_up(cx, &handle.file, holder(handle, lock), 0, LockSpan::END).await,
    }
}

async fn give_up<C: MetaClient>(
    cx: &Cx<C>,
    file: &Arc<File>,
    holder: Holder,
    start: u64,
    end: u64,
) -> Result<(), Errno> {
    if !cx.state.locks.holds(holder) {
        return Ok(());
    }
    // First: what the program asks for after a signal comes after this.
    let turn = cx.state.locks.turn(holder.ino).await;
    commit(cx, file).await;
    server::give_up(cx, &turn, holder, start, end).await
}

/// Lets others see what was written under a lock. An error is the file's: fsync and close meet it again.
async fn commit<C: MetaClient>(cx: &Cx<C>, file: &Arc<File>) {
    if let Err(errno) = cx.state.data.flush(&cx.client, file, false).await {
        tracing::warn!(ino = %file.ino(), %errno, "a lock is given up with written data that others do not see");
    }
}

fn holder(handle: &FileHandle, lock: &Lock) -> Holder {
    Holder { ino: handle.ino, kind: lock.kind, owner: lock.owner }
}

/// Pauses before a lock that somebody on this mount seems to hold is asked for again, by who does not want to wait.
const LOOKS: [Duration; 3] = [Duration::from_millis(1), Duration::from_millis(4), Duration::from_millis(15)];
/// Pauses between questions where too many wait at the server.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
