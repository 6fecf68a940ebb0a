//! Finding files: lookup, readlink, access.

use proto::{Access, Errno, InodeId, Name, Reply};

use super::Ask;
use crate::engine::error::Outcome;
use crate::engine::inode::Content;
use crate::engine::permit;
use crate::engine::view::View;

/// The file under a name. Needs search permission.
pub(super) fn lookup(view: &impl View, ask: &Ask<'_>, parent: InodeId, name: &Name) -> Outcome<Reply> {
    let (_, dentry) = ask.search(view, parent, name)?;
    let dentry = dentry.ok_or(Errno::ENOENT)?;
    Ok(Reply::Entry(view.linked(dentry.ino)?.attr))
}

/// Whether the caller may do all of `access` with a file: else `EACCES`, or `EROFS`.
pub(super) fn check(view: &impl View, ask: &Ask<'_>, ino: InodeId, access: Access) -> Outcome<Reply> {
    let attr = ask.inode(view, ino)?.attr;
    if access.write && ask.session.read_only {
        return Err(Errno::EROFS.into());
    }
    permit::access(&attr, ask.caller, permit::wanted(access))?;
    Ok(Reply::Done)
}

/// Target of a symbolic link.
pub(super) fn read_link(view: &impl View, ask: &Ask<'_>, ino: InodeId) -> Outcome<Reply> {
    match &ask.inode(view, ino)?.content {
        Content::Target(target) => Ok(Reply::Target(target.clone())),
        _ => Err(Errno::EINVAL.into()),
    }
}
