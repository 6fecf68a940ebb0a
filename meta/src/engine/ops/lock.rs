//! Locks: taking, giving up, asking, waiting.
//!
//! Only a file that the session has open can be locked, so that what one mount can lock is bounded by what it may open, and
//! its locks end with its last close.

use std::sync::Arc;

use proto::{Errno, InodeId, LockKind, LockOwner, LockSpan, Reply, SessionId};

use super::Ask;
use crate::engine::error::{Breach, EngineError, Failure, Outcome};
use crate::engine::inode::Inode;
use crate::engine::locks::{LOCKERS_MAX, LOCKS_MAX, Locker, WaitingFor};
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
    let may_write = holder.map(|holder| holder.write);
    let inode = check_with(tx, ask, &wanted, may_write)?;
    let locker = wanted.locker(ask.session.id);
    let mut spans = {
        let locks = tx.volume.locks();
        if locks.against(ino, &locker, &span).is_some() {
            return Err(Errno::EAGAIN.into());
        }
        let spans = locks.held(ino, &locker);
        // A lock in the middle of a range makes two more of it.
        let is_full = locks.count(ask.session.id) + 2 > LOCKS_MAX
            || (spans.is_empty() && locks.lockers_of(ask.session.id, ino).len() >= LOCKERS_MAX);
        if is_full {
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
    if left.are_too_many() {
        return Err(Errno::ENOLCK.into());
    }
    if left != held {
        tx.set_locks((ino, locker, left));
    }
    Ok(Reply::Done)
}

/// What stands against a lock. The processes of other hosts are their own affair.
pub(super) fn test<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, wanted: Wanted) -> Outcome<Reply> {
    check(volume, ask, &wanted)?;
    let session = ask.session.id;
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
    check(volume, ask, &wanted)?;
    Ok(WaitingFor { ino: wanted.ino, locker: wanted.locker(ask.session.id), span: wanted.span })
}

fn check<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, wanted: &Wanted) -> Outcome<Arc<Inode>> {
    let may_write = volume.opens.find(wanted.ino, ask.session.id).map(|holder| holder.write);
    check_with(volume, ask, wanted, may_write)
}

/// Whether the session may have such a lock: `may_write` says how it has the file open, if it has.
fn check_with(view: &impl View, ask: &Ask<'_>, wanted: &Wanted, may_write: Option<bool>) -> Outcome<Arc<Inode>> {
    let inode = view.inode(wanted.ino)?;
    match (inode.is_orphan(), may_write) {
        (true, None) => return Err(Errno::ESTALE.into()),
        (true, Some(_)) => {}
        (false, _) => scope::check(view, ask.session, &inode)?,
    }
    if wanted.span.exclusive && ask.session.read_only {
        return Err(Breach::ReadOnly.into());
    }
    match (may_write, wanted.kind) {
        (None, _) => Err(Errno::EBADF.into()),
        (Some(false), LockKind::Range) if wanted.span.exclusive => Err(Errno::EBADF.into()),
        _ => Ok(inode),
    }
}

/// Gives up all that a session holds of a file.
pub(in super::super) fn drop_of_file<K: MetaKv>(
    volume: &Volume<K>,
    session: SessionId,
    ino: InodeId,
) -> Result<(), EngineError> {
    if !volume.locks().has_any(session, ino) {
        return Ok(());
    }
    let mut tx = Tx::begin(volume);
    let lockers = volume.locks().lockers_of(session, ino);
    for locker in lockers {
        tx.set_locks((ino, locker, Default::default()));
    }
    tx.commit().map(drop)
}

/// Gives up all that a session holds of files that `goes` says yes to.
pub(in super::super) fn drop_where<K: MetaKv>(
    volume: &Volume<K>,
    session: SessionId,
    goes: impl Fn(InodeId) -> bool,
) -> Outcome<()> {
    let files = volume.locks().files_of(session);
    for ino in files.into_iter().filter(|ino| goes(*ino)) {
        drop_of_file(volume, session, ino).map_err(Failure::from)?;
    }
    Ok(())
}
