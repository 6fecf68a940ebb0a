//! Extended attributes.
//!
//! `user.*` goes by the file's permission bits, `trusted.*` is the superuser's, `security.*` is for all to read and the
//! superuser to write. Other namespaces are not supported.

use std::ops::ControlFlow;

use bytes::Bytes;
use proto::limits::XATTR_LIST_MAX;
use proto::{Errno, FileKind, InodeId, Reply, XattrMode};

use super::Ask;
use crate::engine::error::Outcome;
use crate::engine::inode::Inode;
use crate::engine::keys::{self, VALUE_VERSION};
use crate::engine::permit::{self, READ, STICKY, WRITE};
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::engine::volume::Volume;
use crate::store::MetaKv;

/// The capabilities of a program, dropped when somebody else writes to it.
const CAPABILITY: &[u8] = b"security.capability";

/// Value of an attribute.
pub(super) fn value<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, ino: InodeId, name: &Bytes) -> Outcome<Reply> {
    let inode = ask.inode(volume, ino)?;
    check(ask, &inode, name, READ)?;
    if inode.xattr_list_len == 0 {
        return Err(Errno::ENODATA.into());
    }
    let value = volume.kv.get(&keys::xattr(ino, name))?.ok_or(Errno::ENODATA)?;
    Ok(Reply::Value(Bytes::from(value).slice(1..)))
}

/// Names of all attributes that the caller may see.
pub(super) fn list(view: &impl View, ask: &Ask<'_>, ino: InodeId) -> Outcome<Reply> {
    let inode = ask.inode(view, ino)?;
    let mut names = Vec::new();
    if inode.xattr_list_len > 0 {
        view.scan(&keys::xattrs(ino), &mut |key, _| {
            let name = keys::parse_xattr(key).map_or(&[][..], |(_, name)| name);
            if ask.caller.uid == 0 || !name.starts_with(b"trusted.") {
                names.extend_from_slice(name);
                names.push(0);
            }
            ControlFlow::Continue(())
        })?;
    }
    Ok(Reply::Value(names.into()))
}

/// Sets an attribute.
pub(super) fn set<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    ino: InodeId,
    (name, value): (&Bytes, &Bytes),
    mode: XattrMode,
) -> Outcome<Reply> {
    let mut inode = Inode::clone(&*ask.inode(tx, ino)?);
    check(ask, &inode, name, WRITE)?;
    let exists = exists(tx, &inode, name)?;
    match mode {
        XattrMode::Create if exists => return Err(Errno::EEXIST.into()),
        XattrMode::Replace if !exists => return Err(Errno::ENODATA.into()),
        _ => {}
    }
    if !exists {
        inode.xattr_list_len += list_len(name);
        if inode.xattr_list_len as usize > XATTR_LIST_MAX {
            return Err(Errno::ENOSPC.into());
        }
    }
    let mut record = Vec::with_capacity(1 + value.len());
    record.push(VALUE_VERSION);
    record.extend_from_slice(value);
    tx.batch.put(keys::xattr(ino, name), record);
    inode.attr.ctime = ask.now;
    tx.put_inode(inode);
    Ok(Reply::Done)
}

/// Removes an attribute.
pub(super) fn remove<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, ino: InodeId, name: &Bytes) -> Outcome<Reply> {
    let mut inode = Inode::clone(&*ask.inode(tx, ino)?);
    check(ask, &inode, name, WRITE)?;
    if !exists(tx, &inode, name)? {
        return Err(Errno::ENODATA.into());
    }
    delete(tx, &mut inode, name);
    inode.attr.ctime = ask.now;
    tx.put_inode(inode);
    Ok(Reply::Done)
}

/// Removes the capabilities of a program.
pub(super) fn drop_capabilities<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode) -> Outcome<()> {
    if exists(tx, inode, CAPABILITY)? {
        delete(tx, inode, CAPABILITY);
    }
    Ok(())
}

fn exists<K: MetaKv>(tx: &Tx<'_, K>, inode: &Inode, name: &[u8]) -> Outcome<bool> {
    Ok(inode.xattr_list_len > 0 && tx.volume.kv.get(&keys::xattr(inode.ino(), name))?.is_some())
}

fn delete<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, name: &[u8]) {
    tx.batch.remove(keys::xattr(inode.ino(), name));
    inode.xattr_list_len = inode.xattr_list_len.saturating_sub(list_len(name));
}

/// Bytes of a name in the list of names: itself and a NUL.
pub(in super::super) fn list_len(name: &[u8]) -> u32 {
    name.len() as u32 + 1
}

fn check(ask: &Ask<'_>, inode: &Inode, name: &[u8], want: u16) -> Outcome<()> {
    let is_superuser = ask.caller.uid == 0;
    let writes = want == WRITE;
    let refuse = |errno: Errno| Err(errno.into());
    if let Some(rest) = name.strip_prefix(b"user.") {
        if rest.is_empty() {
            return refuse(Errno::EINVAL);
        }
        let is_dir = inode.is_dir();
        if !is_dir && inode.attr.kind != FileKind::Regular {
            return refuse(if writes { Errno::EPERM } else { Errno::ENODATA });
        }
        if is_dir && writes && inode.attr.perm & STICKY != 0 && !permit::owns(&inode.attr, ask.caller) {
            return refuse(Errno::EPERM);
        }
        return permit::access(&inode.attr, ask.caller, want);
    }
    if name.starts_with(b"trusted.") && name.len() > 8 {
        return match (is_superuser, writes) {
            (true, _) => Ok(()),
            (false, true) => refuse(Errno::EPERM),
            (false, false) => refuse(Errno::ENODATA),
        };
    }
    if name.starts_with(b"security.") && name.len() > 9 {
        return if is_superuser || !writes { Ok(()) } else { refuse(Errno::EPERM) };
    }
    refuse(Errno::EOPNOTSUPP)
}
