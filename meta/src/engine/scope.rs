//! Scope: which files a session can name at all. Its root, what is below, and nameless files that it holds open.
//!
//! A file outside is answered like one that is gone, so nothing can be learnt of it.

use std::ops::ControlFlow;

use proto::{Errno, InodeId};

use super::error::{Breach, Failure, Outcome};
use super::inode::Inode;
use super::keys;
use super::session::SessionContext;
use super::view::View;

/// Directories from the root down to a directory at the most: bounds every walk up, which others wait for. Twice what
/// the longest path of a system call can name. A tree that was moved can reach below; walks from there are refused.
pub(super) const DEPTH_MAX: u32 = 4096;

/// `ESTALE` unless the session may name the file.
pub(super) fn check(view: &impl View, session: &SessionContext, inode: &Inode) -> Outcome<()> {
    if inode.is_orphan() {
        let is_held = view.holds_open(session.id, inode.ino());
        return if is_held { Ok(()) } else { Err(Errno::ESTALE.into()) };
    }
    let inside = if session.root == InodeId::ROOT {
        true
    } else if inode.is_dir() {
        is_below(view, inode.ino(), session.root)?
    } else {
        is_below(view, inode.parent, session.root)? || some_name_is_below(view, inode, session.root)?
    };
    if inside { Ok(()) } else { Err(Breach::Scope.into()) }
}

/// Whether the session may name the file.
pub(super) fn admits(view: &impl View, session: &SessionContext, inode: &Inode) -> Outcome<bool> {
    match check(view, session, inode) {
        Ok(()) => Ok(true),
        Err(Failure::Refused(_) | Failure::Barred(_)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

fn some_name_is_below(view: &impl View, inode: &Inode, root: InodeId) -> Outcome<bool> {
    if !inode.has_back_links() {
        return Ok(false);
    }
    for parent in parents(view, inode.ino())? {
        if is_below(view, parent, root)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Directories with a name of a file that has several.
pub(super) fn parents(view: &impl View, ino: InodeId) -> Outcome<Vec<InodeId>> {
    let mut parents = Vec::new();
    view.scan(&keys::back_links(ino), &mut |key, _| {
        parents.extend(keys::parse_back_link(key).map(|(_, parent)| parent));
        ControlFlow::Continue(())
    })?;
    Ok(parents)
}

/// Whether directory `ino` is `ancestor` or below it. `ELOOP` where it is too deep to tell.
pub(super) fn is_below(view: &impl View, mut ino: InodeId, ancestor: InodeId) -> Outcome<bool> {
    for _ in 0..=DEPTH_MAX {
        if ino == ancestor {
            return Ok(true);
        }
        if ino == InodeId::ROOT {
            return Ok(false);
        }
        ino = view.linked(ino)?.parent;
    }
    Err(Errno::ELOOP.into())
}

/// `ELOOP` where a directory in `dir` would be too deep.
pub(super) fn check_depth(view: &impl View, dir: &Inode) -> Outcome<()> {
    let mut ino = dir.ino();
    for _ in 0..DEPTH_MAX {
        if ino == InodeId::ROOT {
            return Ok(());
        }
        ino = view.linked(ino)?.parent;
    }
    Err(Errno::ELOOP.into())
}
