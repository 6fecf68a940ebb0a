//! Finding files: lookup, readlink.

use proto::{Errno, InodeId, Name, Reply};

use super::Ask;
use crate::engine::error::Outcome;
use crate::engine::inode::Content;
use crate::engine::view::View;

/// The file under a name. Needs search permission.
pub(super) fn lookup(view: &impl View, ask: &Ask<'_>, parent: InodeId, name: &Name) -> Outcome<Reply> {
    let (_, dentry) = ask.search(view, parent, name)?;
    let dentry = dentry.ok_or(Errno::ENOENT)?;
    Ok(Reply::Entry(view.linked(dentry.ino)?.attr))
}

/// Target of a symbolic link.
pub(super) fn read_link(view: &impl View, ask: &Ask<'_>, ino: InodeId) -> Outcome<Reply> {
    match &ask.inode(view, ino)?.content {
        Content::Target(target) => Ok(Reply::Target(target.clone())),
        _ => Err(Errno::EINVAL.into()),
    }
}
