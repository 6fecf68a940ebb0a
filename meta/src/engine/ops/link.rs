//! Hard links, and the back links that say where the names of a file are.

use proto::{Errno, InodeId, Name, Reply};

use super::{Ask, LINKS_MAX, create};
use crate::engine::error::{EngineError, Outcome};
use crate::engine::inode::{Dentry, Inode, decode_record, encode_record};
use crate::engine::keys;
use crate::engine::permit::{self, EXECUTE, WRITE};
use crate::engine::scope;
use crate::engine::tx::Tx;
use crate::store::MetaKv;

/// Gives a file one more name.
pub(super) fn link<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    ino: InodeId,
    parent: InodeId,
    name: &Name,
) -> Outcome<Reply> {
    let inode = ask.inode(tx, ino)?;
    let (dir, dentry) = ask.search(tx, parent, name)?;
    if dentry.is_some() {
        return Err(Errno::EEXIST.into());
    }
    permit::access(&dir.attr, ask.caller, WRITE | EXECUTE)?;
    if inode.is_dir() {
        return Err(Errno::EPERM.into());
    }
    if inode.is_orphan() {
        return Err(Errno::ENOENT.into());
    }
    if inode.attr.nlink >= LINKS_MAX {
        return Err(Errno::EMLINK.into());
    }
    let mut inode = Inode::clone(&inode);
    if inode.attr.nlink == 1 {
        let first = if inode.parent == parent { 2 } else { 1 };
        set_count(tx, ino, inode.parent, first);
    }
    if inode.attr.nlink > 1 || inode.parent != parent {
        let count = count(tx, ino, parent)?;
        set_count(tx, ino, parent, count + 1);
    }
    inode.attr.nlink += 1;
    inode.attr.ctime = ask.now;
    create::add_name(tx, ask, &dir, name, Dentry { ino, kind: inode.attr.kind });
    let attr = inode.attr;
    tx.put_inode(inode);
    Ok(Reply::Entry(attr))
}

/// A name of a file with several moved from one directory to another.
pub(super) fn move_name<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, from: InodeId, to: InodeId) -> Outcome<()> {
    if from == to {
        return Ok(());
    }
    if inode.has_back_links() {
        let ino = inode.ino();
        let left = count(tx, ino, from)?.saturating_sub(1);
        set_count(tx, ino, from, left);
        let there = count(tx, ino, to)?;
        set_count(tx, ino, to, there + 1);
    }
    inode.parent = to;
    Ok(())
}

/// A name in `from` of a file with several went; `nlink` is already lower. The last name needs no back link.
pub(super) fn lose_back_link<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, from: InodeId) -> Outcome<()> {
    let ino = inode.ino();
    let left = count(tx, ino, from)?.saturating_sub(1);
    if inode.parent == from && left == 0 {
        let others = scope::parents(tx, ino)?;
        let other = others.into_iter().find(|parent| *parent != from);
        inode.parent = other.ok_or_else(|| EngineError::corrupt(format_args!("file {ino} lacks a back link")))?;
    }
    set_count(tx, ino, from, left);
    if inode.attr.nlink == 1 {
        set_count(tx, ino, inode.parent, 0);
    }
    Ok(())
}

fn count<K: MetaKv>(tx: &Tx<'_, K>, ino: InodeId, parent: InodeId) -> Outcome<u32> {
    match tx.volume.kv.get(&keys::back_link(ino, parent))? {
        Some(value) => Ok(decode_record("back link", &value)?),
        None => Ok(0),
    }
}

fn set_count<K: MetaKv>(tx: &mut Tx<'_, K>, ino: InodeId, parent: InodeId, count: u32) {
    let key = keys::back_link(ino, parent);
    if count == 0 { tx.batch.remove(key) } else { tx.batch.put(key, encode_record(&count)) }
}
