//! Making files: create, mknod, mkdir, symlink.

use proto::{Access, Errno, FileKind, InodeId, Name, NewNode, Reply};

use super::{Ask, LINKS_MAX, layout, open};
use crate::engine::error::Outcome;
use crate::engine::inode::{Content, Dentry, Inode};
use crate::engine::keys::MapId;
use crate::engine::permit::{self, EXECUTE, GROUP_EXECUTE, SET_GID, WRITE};
use crate::engine::scope;
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::store::MetaKv;

/// How a file is created.
#[derive(Clone, Copy)]
pub(super) struct Create {
    pub(super) perm: u16,
    pub(super) access: Access,
    pub(super) exclusive: bool,
    pub(super) truncate: bool,
}

/// Creates a regular file and opens it, or opens the one that is there.
pub(super) fn create<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    parent: InodeId,
    name: &Name,
    how: Create,
) -> Outcome<Reply> {
    let (dir, dentry) = ask.search(tx, parent, name)?;
    if let Some(dentry) = dentry {
        return open_existing(tx, ask, dentry, how);
    }
    let inode = new_file(tx, ask, &dir, name, FileKind::Regular, how.perm)?;
    tx.open_file(inode.ino(), ask.session.id, how.access.write)?;
    let reply = Reply::Opened(inode.attr, layout::head(tx, &inode)?);
    tx.put_inode(inode);
    Ok(reply)
}

fn open_existing<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, dentry: Dentry, how: Create) -> Outcome<Reply> {
    match dentry.kind {
        _ if how.exclusive => Err(Errno::EEXIST.into()),
        FileKind::Regular if how.truncate => open::truncate(tx, ask, dentry.ino, how.access),
        FileKind::Regular => {
            let inode = tx.linked(dentry.ino)?;
            open::check(ask, &inode, how.access)?;
            tx.open_file(inode.ino(), ask.session.id, how.access.write)?;
            Ok(Reply::Opened(inode.attr, layout::head(tx, &inode)?))
        }
        FileKind::Directory => Err(Errno::EISDIR.into()),
        // The mount's kernel follows links and opens devices itself: it has to look again.
        _ => Err(Errno::ESTALE.into()),
    }
}

/// Makes anything but a regular file that is to be opened.
pub(super) fn make<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    parent: InodeId,
    name: &Name,
    node: &NewNode,
) -> Outcome<Reply> {
    let (dir, dentry) = ask.search(tx, parent, name)?;
    if dentry.is_some() {
        return Err(Errno::EEXIST.into());
    }
    let inode = match node {
        NewNode::Directory { perm } => new_file(tx, ask, &dir, name, FileKind::Directory, perm & 0o1777)?,
        NewNode::Symlink { target } => {
            let mut inode = new_file(tx, ask, &dir, name, FileKind::Symlink, 0o777)?;
            inode.attr.size = target.len() as u64;
            inode.content = Content::Target(target.clone());
            inode
        }
        NewNode::Node { mode, rdev } => {
            let kind = node_kind(ask, *mode)?;
            let mut inode = new_file(tx, ask, &dir, name, kind, *mode as u16 & 0o7777)?;
            if matches!(kind, FileKind::CharDevice | FileKind::BlockDevice) {
                inode.attr.rdev = *rdev;
            }
            inode
        }
    };
    let attr = inode.attr;
    tx.put_inode(inode);
    Ok(Reply::Entry(attr))
}

/// Devices are the superuser's to make; directories and links are made another way.
fn node_kind(ask: &Ask<'_>, mode: u32) -> Outcome<FileKind> {
    match FileKind::from_mode(mode & 0o170_000) {
        Some(kind @ (FileKind::Regular | FileKind::Fifo | FileKind::Socket)) => Ok(kind),
        Some(kind @ (FileKind::CharDevice | FileKind::BlockDevice)) if ask.caller.uid == 0 => Ok(kind),
        Some(_) => Err(Errno::EPERM.into()),
        None => Err(Errno::EINVAL.into()),
    }
}

/// The record of a new file, its name and what changes in its directory. The caller puts the record.
fn new_file<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    dir: &Inode,
    name: &Name,
    kind: FileKind,
    perm: u16,
) -> Outcome<Inode> {
    permit::access(&dir.attr, ask.caller, WRITE | EXECUTE)?;
    if kind == FileKind::Directory {
        if dir.attr.nlink >= LINKS_MAX {
            return Err(Errno::EMLINK.into());
        }
        scope::check_depth(tx, dir)?;
    }
    tx.charge_inode()?;
    let ino = InodeId(tx.new_id());
    let (gid, perm) = inherit_group(ask, dir, kind, perm)?;
    add_name(tx, ask, dir, name, Dentry { ino, kind });
    Ok(Inode {
        attr: ask.new_attr(ino, kind, perm, gid),
        parent: dir.ino(),
        map: MapId(ino.0),
        entries: 0,
        xattr_list_len: 0,
        xattr_bytes: 0,
        content: Content::None,
    })
}

/// In a set-group-id directory files get its group, and directories the bit too. A program that would run with the rights
/// of a group that its maker is not in loses the bit.
fn inherit_group(ask: &Ask<'_>, dir: &Inode, kind: FileKind, perm: u16) -> Outcome<(u32, u16)> {
    if dir.attr.perm & SET_GID == 0 {
        return Ok((ask.caller.gid, perm));
    }
    let gid = dir.attr.gid;
    if kind == FileKind::Directory {
        return Ok((gid, perm | SET_GID));
    }
    let runs_as_group = perm & (SET_GID | GROUP_EXECUTE) == SET_GID | GROUP_EXECUTE;
    if runs_as_group && ask.caller.uid != 0 && !permit::in_group(ask.caller, gid)? {
        return Ok((gid, perm & !SET_GID));
    }
    Ok((gid, perm))
}

/// Puts a name into a directory that had none of it.
pub(super) fn add_name<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, dir: &Inode, name: &Name, dentry: Dentry) {
    let mut dir = dir.clone();
    dir.entries += 1;
    dir.attr.nlink += u32::from(dentry.kind == FileKind::Directory);
    touch(&mut dir, ask);
    tx.set_dentry(dir.ino(), name, Some(dentry));
    tx.put_inode(dir);
}

/// The names in a directory changed.
pub(super) fn touch(dir: &mut Inode, ask: &Ask<'_>) {
    dir.attr.mtime = ask.now;
    dir.attr.ctime = ask.now;
    dir.attr.version += 1;
}
