//! Giving opens back.

use proto::{Close, InodeId, Reply, SessionId, Timespec};

use super::{Ask, lock, remove};
use crate::engine::error::Outcome;
use crate::engine::inode::Inode;
use crate::engine::scope;
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::engine::volume::Volume;
use crate::store::MetaKv;

/// Takes opens back. A file without a name whose last open this was goes. What was not open is ignored.
pub(in super::super) fn release<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, closes: &[Close]) -> Outcome<Reply> {
    set_access_times(volume, ask, closes)?;
    for close in closes {
        if take_back(volume, ask.session.id, close.ino, close.count) {
            leave(volume, ask, close.ino)?;
        }
    }
    Ok(Reply::Done)
}

/// Takes opens of a file back. Tells whether they were the session's last of it.
pub(super) fn take_back<K: MetaKv>(volume: &Volume<K>, session: SessionId, ino: InodeId, count: u32) -> bool {
    let was_last = volume.opens.shard(ino).remove(ino, session, count);
    if let Some(live) = volume.live(session).filter(|_| was_last) {
        live.note_closed();
    }
    was_last
}

/// The session does not hold the file open any more: its locks go, and without a name, and others that hold it, the file
/// itself.
pub(super) fn leave<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, ino: InodeId) -> Outcome<()> {
    lock::drop_of_closed(volume, ask.session.id, ino)?;
    if volume.find_inode(ino)?.is_some_and(|inode| inode.is_orphan()) {
        let mut tx = Tx::begin(volume);
        remove::drop_holder(&mut tx, ask.now, ino, ask.session.id)?;
        tx.commit()?;
    }
    Ok(())
}

/// Keeps the times of last access that are newer than the known ones, of files that the session has open.
fn set_access_times<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, closes: &[Close]) -> Outcome<()> {
    let newer = |inode: &Inode, atime: Timespec| atime > inode.attr.atime;
    let times = closes.iter().filter_map(|close| Some((close.ino, close.atime?.min(ask.now))));
    let times: Vec<_> = times.filter(|(ino, _)| volume.holds_open(ask.session.id, *ino)).collect();
    if ask.session.read_only || times.is_empty() {
        return Ok(());
    }
    let mut tx = Tx::begin(volume);
    for (ino, atime) in times {
        let Some(inode) = tx.find_inode(ino)?.filter(|inode| newer(inode, atime)) else { continue };
        // It may have been moved out of the session's reach since it was opened.
        if scope::admits(&tx, ask.session, &inode)? {
            let mut inode = Inode::clone(&inode);
            inode.attr.atime = atime;
            tx.put_inode(inode);
        }
    }
    tx.commit()?;
    Ok(())
}
