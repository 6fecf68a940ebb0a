//! Locks: taking, giving up, asking, waiting.
//!
//! Only a file that the session has open can be locked, so that what one mount can lock is bounded by what it may open, and
//! its locks end with its last close.

use std::sync::Arc;

use proto::{Errno, InodeId, LockKind, LockOwner, LockSpan, LockSpans, Reply, SessionId};

use super::Ask;
use crate::engine::error::Outcome;
use crate::engine::inode::Inode;
use crate::engine::locks::{LOCKERS_MAX, LOCKERS_OF_FILE_MAX, LOCKS_MAX, Locker, WaitingFor};
use crate::engine::opens::Holder;
use crate::engine::scope;
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::engine::volume::Volume;
use crate::store::MetaKv;

/// The lock that is asked for or about.
#[derive(Clone, Copy)]
pub(in super::super) struct Wanted {
    pub(in super::super) ino: InodeId,
    pub(in super::super) kind: LockKind,
    pub(in super::super) owner: LockOwner,
    pub(in super::super) span: LockSpan,
}

impl Wanted {
    fn locker(&self, session: SessionId) -> Locker {
        Locker { session, kind: self.kind, owner: self.owner }
    }
}

/// Takes a lock, in the place of what its owner held of the range. `EAGAIN` where others hold it.
pub(super) fn lock<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, wanted: Wanted) -> Outcome<Reply> {
    let Wanted { ino, span, .. } = wanted;
    // Until the commit nobody closes the file: a lock that came after the last close would stay.
    let holder = tx.lock_opens(ino).find(ino, ask.session.id);
    let (inode, holder) = find(tx, ask, ino, holder)?;
    permit(&wanted, holder)?;
    let locker = wanted.locker(ask.session.id);
    let mut spans = {
        let locks = tx.volume.locks();
        if locks.against(ino, &locker, &span).is_some() {
            return Err(Errno::EAGAIN.into());
        }
        let spans = locks.held(ino, &locker);
        let is_crowded = || {
            locks.lockers(ino) >= LOCKERS_OF_FILE_MAX || locks.lockers_of(ask.session.id, ino).count() >= LOCKERS_MAX
        };
        // A lock in the middle of a range makes two more of it.
        if locks.count(ask.session.id) + 2 > LOCKS_MAX || (spans.is_empty() && is_crowded()) {
            return Err(Errno::ENOLCK.into());
        }
        spans
    };
    spans.hold(span);
    if spans.are_too_many() {
        return Err(Errno::ENOLCK.into());
    }
    tx.set_locks((ino, locker, spans));
    Ok(Reply::Entry(inode.attr))
}

/// Gives up what the owner holds of a range. It need not be able to name the file any more.
pub(super) fn unlock<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    ino: InodeId,
    (kind, owner): (LockKind, LockOwner),
    (start, end): (u64, u64),
) -> Outcome<Reply> {
    let locker = Locker { session: ask.session.id, kind, owner };
    let held = tx.volume.locks().held(ino, &locker);
    let mut left = held.clone();
    left.release(start, end);
    // A hole in a range makes two of it.
    let grows = left.spans().len() > held.spans().len();
    if grows && (left.are_too_many() || tx.volume.locks().count(ask.session.id) >= LOCKS_MAX) {
        return Err(Errno::ENOLCK.into());
    }
    if left != held {
        tx.set_locks((ino, locker, left));
    }
    Ok(Reply::Done)
}

/// What stands against a lock. The processes of other hosts are their own affair.
pub(super) fn test<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, wanted: Wanted) -> Outcome<Reply> {
    let session = ask.session.id;
    find(volume, ask, wanted.ino, volume.opens.find(wanted.ino, session))?;
    let against = volume.locks().against(wanted.ino, &wanted.locker(session), &wanted.span);
    Ok(Reply::Lock(against.map(|(locker, held)| {
        let pid = if locker.session == session { held.pid } else { 0 };
        LockSpan { pid, ..held }
    })))
}

/// What is waited for, where the session may have it.
pub(in super::super) fn waiting_for<K: MetaKv>(
    volume: &Volume<K>,
    ask: &Ask<'_>,
    wanted: Wanted,
) -> Outcome<WaitingFor> {
    let (_, holder) = find(volume, ask, wanted.ino, volume.opens.find(wanted.ino, ask.session.id))?;
    permit(&wanted, holder)?;
    Ok(WaitingFor { ino: wanted.ino, locker: wanted.locker(ask.session.id), span: wanted.span })
}

/// A file that the session has open, and how: `holder`, who was looked up before.
fn find(view: &impl View, ask: &Ask<'_>, ino: InodeId, holder: Option<Holder>) -> Outcome<(Arc<Inode>, Holder)> {
    let inode = view.inode(ino)?;
    match (inode.is_orphan(), holder) {
        (true, None) => return Err(Errno::ESTALE.into()),
        (true, Some(_)) => {}
        (false, _) => scope::check(view, ask.session, &inode)?,
    }
    Ok((inode, holder.ok_or(Errno::EBADF)?))
}

/// Whether a session that has the file open like this may have the lock.
fn permit(wanted: &Wanted, holder: Holder) -> Outcome<()> {
    let needs_write = wanted.span.exclusive && wanted.kind == LockKind::Range;
    if needs_write && !holder.write { Err(Errno::EBADF.into()) } else { Ok(()) }
}

/// Gives up all that a session holds of a file that it closed; unless it opened it again meanwhile.
pub(in super::super) fn drop_of_closed<K: MetaKv>(volume: &Volume<K>, session: SessionId, ino: InodeId) -> Outcome<()> {
    if !volume.locks().has_any(session, ino) {
        return Ok(());
    }
    let mut tx = Tx::begin(volume);
    if tx.lock_opens(ino).find(ino, session).is_some() {
        return Ok(());
    }
    let lockers: Vec<Locker> = volume.locks().lockers_of(session, ino).collect();
    lockers.into_iter().for_each(|locker| tx.set_locks((ino, locker, LockSpans::default())));
    tx.commit()?;
    Ok(())
}

/// Gives up what a session holds of files that it does not have open.
pub(in super::super) fn drop_of_unclaimed<K: MetaKv>(volume: &Volume<K>, session: SessionId) -> Outcome<()> {
    let files = volume.locks().files_of(session);
    files.into_iter().try_for_each(|ino| drop_of_closed(volume, session, ino))
}

/// Gives up all that a session holds which is over, a part at a time: others go on in between.
pub(in super::super) fn drop_all<K: MetaKv>(volume: &Volume<K>, session: SessionId) -> Outcome<()> {
    loop {
        let mut tx = Tx::begin(volume);
        let lockers = volume.locks().some_of(session, DROPPED_AT_ONCE);
        if lockers.is_empty() {
            return Ok(());
        }
        lockers.into_iter().for_each(|(ino, locker)| tx.set_locks((ino, locker, LockSpans::default())));
        tx.commit()?;
    }
}

/// Owners whose locks are given up in one batch.
const DROPPED_AT_ONCE: usize = 512;
