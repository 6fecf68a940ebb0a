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

/// Bytes that the attributes of one file may take, names and values: no quota counts them.
const XATTR_BYTES_MAX: u32 = 256 << 10;
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
    match (find(tx, &inode, name)?, mode) {
        (Some(_), XattrMode::Create) => return Err(Errno::EEXIST.into()),
        (None, XattrMode::Replace) => return Err(Errno::ENODATA.into()),
        (Some(former), _) => uncount(&mut inode, name, &former),
        (None, _) => {}
    }
    inode.xattr_list_len += list_len(name);
    inode.xattr_bytes += bytes(name, value);
    if inode.xattr_list_len as usize > XATTR_LIST_MAX || inode.xattr_bytes > XATTR_BYTES_MAX {
        return Err(Errno::ENOSPC.into());
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
    let former = find(tx, &inode, name)?.ok_or(Errno::ENODATA)?;
    delete(tx, &mut inode, name, &former);
    inode.attr.ctime = ask.now;
    tx.put_inode(inode);
    Ok(Reply::Done)
}

/// Content changes: what gave rights to whoever executes the file goes, where a policy says that it was not the superuser
/// who changed it. Elsewhere it is the mount's to ask for.
pub(super) fn drop_privileges<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, inode: &mut Inode) -> Outcome<()> {
    if ask.session.identity.may_be_superuser() {
        return Ok(());
    }
    inode.attr.perm = permit::without_privileges(&inode.attr);
    drop_capabilities(tx, inode)
}

/// Removes the capabilities of a program.
pub(super) fn drop_capabilities<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode) -> Outcome<()> {
    if let Some(former) = find(tx, inode, CAPABILITY)? {
        delete(tx, inode, CAPABILITY, &former);
    }
    Ok(())
}

/// Value of an attribute, where it is set.
fn find<K: MetaKv>(tx: &Tx<'_, K>, inode: &Inode, name: &[u8]) -> Outcome<Option<Vec<u8>>> {
    if inode.xattr_list_len == 0 {
        return Ok(None);
    }
    let record = tx.volume.kv.get(&keys::xattr(inode.ino(), name))?;
    Ok(record.map(|record| value_of(&record).to_vec()))
}

fn delete<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, name: &[u8], former: &[u8]) {
    tx.batch.remove(keys::xattr(inode.ino(), name));
    uncount(inode, name, former);
}

fn uncount(inode: &mut Inode, name: &[u8], former: &[u8]) {
    inode.xattr_list_len = inode.xattr_list_len.saturating_sub(list_len(name));
    inode.xattr_bytes = inode.xattr_bytes.saturating_sub(bytes(name, former));
}

/// The value in a record: what is behind the version byte.
pub(in super::super) fn value_of(record: &[u8]) -> &[u8] {
    record.get(1..).unwrap_or_default()
}

/// Bytes of an attribute that count: its name and its value.
pub(in super::super) fn bytes(name: &[u8], value: &[u8]) -> u32 {
    (name.len() + value.len()) as u32
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
