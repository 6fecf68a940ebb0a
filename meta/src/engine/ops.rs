//! The operations, one file for each group.
//!
//! Reads take a [`View`]-able volume and change nothing. Mutations take a transaction; when one returns an error the
//! transaction is dropped, so they may check as they go.

pub(super) mod attr;
pub(super) mod bounds;
pub(super) mod claim;
pub(super) mod close;
pub(super) mod commit;
pub(super) mod content;
pub(super) mod create;
pub(super) mod layout;
pub(super) mod link;
pub(super) mod lock;
pub(super) mod lookup;
pub(super) mod objects;
pub(super) mod open;
pub(super) mod readdir;
pub(super) mod remove;
pub(super) mod rename;
pub(super) mod xattr;

use std::sync::Arc;

use proto::{Attr, Caller, Errno, FileKind, InodeId, Name, OperationId, Reply, Request, Timespec};

use super::error::Outcome;
use super::inode::{Dentry, Inode};
use super::permit::{self, EXECUTE};
use super::scope;
use super::session::SessionContext;
use super::tx::Tx;
use super::view::View;
use super::volume::Volume;
use crate::store::MetaKv;

/// Size that stat(2) shows of a directory.
const DIR_SIZE: u64 = 4096;
/// Names a file can have, and subdirectories a directory.
pub(super) const LINKS_MAX: u32 = 1 << 31;

/// Who asks, and when.
#[derive(Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) session: &'a SessionContext,
    pub(super) caller: &'a Caller,
    pub(super) now: Timespec,
}

impl Ask<'_> {
    /// A file that the session may name: else `ESTALE`.
    pub(super) fn inode(&self, view: &impl View, ino: InodeId) -> Outcome<Arc<Inode>> {
        let inode = view.inode(ino)?;
        scope::check(view, self.session, &inode)?;
        Ok(inode)
    }

    /// A directory that the session may name: else `ENOTDIR`.
    pub(super) fn dir(&self, view: &impl View, ino: InodeId) -> Outcome<Arc<Inode>> {
        let inode = self.inode(view, ino)?;
        if inode.is_dir() { Ok(inode) } else { Err(Errno::ENOTDIR.into()) }
    }

    /// A directory that the caller may search, and what `name` stands for in it.
    pub(super) fn search(
        &self,
        view: &impl View,
        parent: InodeId,
        name: &Name,
    ) -> Outcome<(Arc<Inode>, Option<Dentry>)> {
        let dir = self.dir(view, parent)?;
        permit::access(&dir.attr, self.caller, EXECUTE)?;
        let dentry = view.find_dentry(parent, name)?;
        Ok((dir, dentry))
    }

    /// The attributes of a file that is made now by the caller.
    pub(super) fn new_attr(&self, ino: InodeId, kind: FileKind, perm: u16, gid: u32) -> Attr {
        let size = if kind == FileKind::Directory { DIR_SIZE } else { 0 };
        Attr { uid: self.caller.uid, gid, size, ..Attr::new(ino, kind, perm & 0o7777, self.now) }
    }
}

/// Carries out a request that changes no record.
pub(super) fn observe<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, request: &Request) -> Outcome<Reply> {
    match request {
        Request::Lookup { parent, name } => lookup::lookup(volume, ask, *parent, name),
        Request::GetAttr { ino } => Ok(Reply::Entry(ask.inode(volume, *ino)?.attr)),
        Request::Check { ino, access } => lookup::check(volume, ask, *ino, *access),
        Request::ReadLink { ino } => lookup::read_link(volume, ask, *ino),
        Request::OpenDir { ino } => readdir::open_dir(volume, ask, *ino),
        Request::ReadDir { ino, offset, bytes_max, attrs } => readdir::read_dir(
            volume,
            ask,
            *ino,
            readdir::Page { offset: *offset, bytes_max: *bytes_max, attrs: *attrs },
        ),
        Request::Open { ino, access, .. } => open::open(volume, ask, *ino, *access),
        Request::GetLayout { ino, first, count } => layout::layout(volume, ask, *ino, *first, *count),
        Request::GetXattr { ino, name } => xattr::value(volume, ask, *ino, name),
        Request::ListXattr { ino } => xattr::list(volume, ask, *ino),
        Request::TestLock { ino, kind, owner, span } => {
            lock::test(volume, ask, lock::Wanted { ino: *ino, kind: *kind, owner: *owner, span: *span })
        }
        Request::StatFs => Ok(Reply::StatFs(volume.stat())),
        Request::Sync => Ok(Reply::Done),
        _ => unreachable!("mutations, closes, claims and waits take other ways"),
    }
}

/// Carries out a request that changes records.
pub(super) fn apply<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, request: &Request) -> Outcome<Reply> {
    match request {
        Request::SetAttr { ino, changes, by_handle } => attr::set_attr(tx, ask, *ino, changes, *by_handle),
        Request::Create { parent, name, perm, access, exclusive, truncate } => {
            let how = create::Create { perm: *perm, access: *access, exclusive: *exclusive, truncate: *truncate };
            create::create(tx, ask, *parent, name, how)
        }
        Request::Make { parent, name, node } => create::make(tx, ask, *parent, name, node),
        Request::Link { ino, parent, name } => link::link(tx, ask, *ino, *parent, name),
        Request::Unlink { parent, name } => remove::unlink(tx, ask, *parent, name),
        Request::RemoveDir { parent, name } => remove::remove_dir(tx, ask, *parent, name),
        Request::Rename { parent, name, new_parent, new_name, mode } => {
            rename::rename(tx, ask, (*parent, name), (*new_parent, new_name), *mode)
        }
        Request::Open { ino, access, .. } => open::truncate(tx, ask, *ino, *access),
        Request::Commit(commit) => commit::commit(tx, ask, commit),
        Request::GrantObjects { count, given_back } => objects::grant(tx, ask, *count, given_back),
        Request::SetXattr { ino, name, value, mode } => xattr::set(tx, ask, *ino, (name, value), *mode),
        Request::RemoveXattr { ino, name } => xattr::remove(tx, ask, *ino, name),
        Request::Lock { ino, kind, owner, span } => {
            lock::lock(tx, ask, lock::Wanted { ino: *ino, kind: *kind, owner: *owner, span: *span })
        }
        Request::Unlock { ino, kind, owner, start, end } => {
            lock::unlock(tx, ask, *ino, (*kind, *owner), (*start, *end))
        }
        _ => unreachable!("only mutations come here"),
    }
}

/// Answers an operation that was applied before. An open that an earlier process noted in its memory is noted again.
pub(super) fn repeat<K: MetaKv>(
    mut tx: Tx<'_, K>,
    ask: &Ask<'_>,
    operation: OperationId,
    inherited: bool,
) -> Outcome<Reply> {
    let reply = tx.recall(ask.session.id, operation)?;
    let Reply::Opened(then, _) = &reply else { return Ok(reply) };
    let Some(inode) = tx.find_inode(then.ino)? else { return Ok(reply) };
    let identity = &ask.session.identity;
    let may_name = if inode.is_orphan() {
        claim::is_holder(tx.volume, ask, inode.ino())?
    } else {
        scope::admits(&tx, ask.session, &inode)?
    };
    let may_have_it = identity.may_have_opened(&inode.attr, false) || identity.may_have_opened(&inode.attr, true);
    let may_see = may_name && (may_have_it || tx.holds_open(ask.session.id, inode.ino()));
    // What it was answered then holds nothing that came to the file since.
    if !may_see {
        return Ok(reply);
    }
    let head = layout::head(&tx, &inode)?;
    if inherited {
        // Whether it may write is not kept: the mount asked for it then, and may have been allowed to.
        let may_write = !ask.session.read_only && identity.may_have_opened(&inode.attr, true);
        tx.open_file(inode.ino(), ask.session.id, may_write)?;
        tx.adopt(ask.session.id, operation);
        tx.commit()?;
    }
    Ok(Reply::Opened(inode.attr, head))
}
