//! Taking names away: unlink, rmdir, and what becomes of a file without a name.

use proto::{Errno, FileKind, InodeId, Name, Reply, SessionId};

use super::{Ask, create, link};
use crate::engine::error::Outcome;
use crate::engine::inode::{Inode, decode_holders, encode_record};
use crate::engine::keys;
use crate::engine::permit;
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::store::MetaKv;

/// Removes a name of anything but a directory.
pub(super) fn unlink<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, parent: InodeId, name: &Name) -> Outcome<Reply> {
    let (dir, dentry) = ask.search(tx, parent, name)?;
    let victim = tx.linked(dentry.ok_or(Errno::ENOENT)?.ino)?;
    permit::removal(&dir.attr, &victim.attr, ask.caller)?;
    if victim.is_dir() {
        return Err(Errno::EISDIR.into());
    }
    take_name(tx, ask, &dir, name, &victim)?;
    Ok(Reply::Done)
}

/// Removes an empty directory.
pub(super) fn remove_dir<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, parent: InodeId, name: &Name) -> Outcome<Reply> {
    let (dir, dentry) = ask.search(tx, parent, name)?;
    let victim = tx.linked(dentry.ok_or(Errno::ENOENT)?.ino)?;
    permit::removal(&dir.attr, &victim.attr, ask.caller)?;
    if !victim.is_dir() {
        return Err(Errno::ENOTDIR.into());
    }
    if victim.entries > 0 {
        return Err(Errno::ENOTEMPTY.into());
    }
    take_name(tx, ask, &dir, name, &victim)?;
    Ok(Reply::Done)
}

fn take_name<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, dir: &Inode, name: &Name, victim: &Inode) -> Outcome<()> {
    let mut dir = dir.clone();
    dir.entries = dir.entries.saturating_sub(1);
    dir.attr.nlink -= u32::from(victim.attr.kind == FileKind::Directory);
    create::touch(&mut dir, ask);
    let parent = dir.ino();
    tx.set_dentry(parent, name, None);
    tx.put_inode(dir);
    lose_name(tx, ask, victim, parent)
}

/// A name in `parent` of the file is gone or names something else now. Without a name it lives on while it is open.
pub(super) fn lose_name<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, victim: &Inode, parent: InodeId) -> Outcome<()> {
    if victim.is_dir() {
        return tx.destroy(victim, ask.now);
    }
    let mut victim = victim.clone();
    let had_back_links = victim.has_back_links();
    victim.attr.nlink = victim.attr.nlink.saturating_sub(1);
    victim.attr.ctime = ask.now;
    if had_back_links {
        link::lose_back_link(tx, &mut victim, parent)?;
    }
    if victim.attr.nlink == 0 {
        let ino = victim.ino();
        let holders = tx.holders(ino, ask.now);
        if holders.is_empty() {
            return tx.destroy(&victim, ask.now);
        }
        tx.batch.put(keys::orphan(ino), encode_record(&holders));
    }
    tx.put_inode(victim);
    Ok(())
}

/// A session does not hold an orphan open any more. When it was the last one, the file goes.
pub(in super::super) fn drop_holder<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    now: proto::Timespec,
    ino: InodeId,
    session: SessionId,
) -> Outcome<()> {
    let Some(value) = tx.volume.kv.get(&keys::orphan(ino))? else { return Ok(()) };
    let mut holders = decode_holders(&value)?;
    // It may have opened the file again meanwhile.
    if tx.lock_opens(ino).find(ino, session).is_some() {
        return Ok(());
    }
    holders.retain(|holder| *holder != session);
    if !holders.is_empty() {
        tx.batch.put(keys::orphan(ino), encode_record(&holders));
        return Ok(());
    }
    tx.batch.remove(keys::orphan(ino));
    match tx.find_inode(ino)? {
        Some(inode) => tx.destroy(&inode, now),
        None => Ok(()),
    }
}
