//! Changing attributes: chmod, chown, truncate, utimens.

use proto::{AttrChanges, Errno, FileKind, InodeId, Reply, SetTime};

use super::{Ask, content, xattr};
use crate::engine::error::Outcome;
use crate::engine::inode::Inode;
use crate::engine::permit::{self, SET_GID, WRITE};
use crate::engine::tx::Tx;
use crate::store::MetaKv;

/// Applies all changes or none.
pub(super) fn set_attr<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    ino: InodeId,
    changes: &AttrChanges,
    by_handle: bool,
) -> Outcome<Reply> {
    let inode = ask.inode(tx, ino)?;
    if *changes == AttrChanges::default() {
        return Ok(Reply::Entry(inode.attr));
    }
    let mut inode = Inode::clone(&inode);
    let may_write = by_handle && tx.volume.opens.find(ino, ask.session.id).is_some_and(|holder| holder.write);
    check_times(ask, &inode, changes)?;
    change_perm(ask, &mut inode, changes.perm)?;
    change_owner(ask, &mut inode, changes)?;
    if changes.kill_privileges {
        if !may_write && !permit::owns(&inode.attr, ask.caller) {
            permit::access(&inode.attr, ask.caller, WRITE)?;
        }
        inode.attr.perm = permit::without_privileges(&inode.attr);
        xattr::drop_capabilities(tx, &mut inode)?;
    }
    if let Some(size) = changes.size {
        check_size(ask, &inode, may_write)?;
        content::resize(tx, &mut inode, size, ask.now)?;
        xattr::drop_privileges(tx, ask, &mut inode)?;
        inode.attr.mtime = ask.now;
    }
    set_time(ask, &mut inode.attr.atime, changes.atime);
    set_time(ask, &mut inode.attr.mtime, changes.mtime);
    inode.attr.ctime = ask.now;
    let attr = inode.attr;
    tx.put_inode(inode);
    Ok(Reply::Entry(attr))
}

/// A given time is for the owner to set, the present one for whoever may write.
fn check_times(ask: &Ask<'_>, inode: &Inode, changes: &AttrChanges) -> Outcome<()> {
    let times = [changes.atime, changes.mtime];
    if permit::owns(&inode.attr, ask.caller) || times == [None, None] {
        return Ok(());
    }
    if times.iter().flatten().any(|time| matches!(time, SetTime::At(_))) {
        return Err(Errno::EPERM.into());
    }
    permit::access(&inode.attr, ask.caller, WRITE)
}

fn change_perm(ask: &Ask<'_>, inode: &mut Inode, perm: Option<u16>) -> Outcome<()> {
    let Some(perm) = perm else { return Ok(()) };
    if !permit::owns(&inode.attr, ask.caller) {
        return Err(Errno::EPERM.into());
    }
    inode.attr.perm = perm & 0o7777;
    // Who is not in the group gives nobody its rights.
    if perm & SET_GID != 0 && ask.caller.uid != 0 && !permit::in_group(ask.caller, inode.attr.gid)? {
        inode.attr.perm &= !SET_GID;
    }
    Ok(())
}

/// The superuser gives files to anybody, an owner only to a group of its own.
fn change_owner(ask: &Ask<'_>, inode: &mut Inode, changes: &AttrChanges) -> Outcome<()> {
    if changes.uid.is_none() && changes.gid.is_none() {
        return Ok(());
    }
    let caller = ask.caller;
    let uid = changes.uid.unwrap_or(inode.attr.uid);
    let gid = changes.gid.unwrap_or(inode.attr.gid);
    if caller.uid != 0 {
        let keeps_owner = uid == inode.attr.uid;
        if caller.uid != inode.attr.uid || !keeps_owner || gid != inode.attr.gid && !permit::in_group(caller, gid)? {
            return Err(Errno::EPERM.into());
        }
    }
    inode.attr.perm = permit::without_privileges(&inode.attr);
    inode.attr.uid = uid;
    inode.attr.gid = gid;
    Ok(())
}

fn check_size(ask: &Ask<'_>, inode: &Inode, may_write: bool) -> Outcome<()> {
    match inode.attr.kind {
        FileKind::Regular if may_write => Ok(()),
        FileKind::Regular => permit::access(&inode.attr, ask.caller, WRITE),
        FileKind::Directory => Err(Errno::EISDIR.into()),
        _ => Err(Errno::EINVAL.into()),
    }
}

fn set_time(ask: &Ask<'_>, time: &mut proto::Timespec, change: Option<SetTime>) {
    match change {
        None => {}
        Some(SetTime::Now) => *time = ask.now,
        Some(SetTime::At(at)) => *time = at,
    }
}
