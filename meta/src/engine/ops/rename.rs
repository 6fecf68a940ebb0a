//! Rename: replace, keep, or exchange.

use std::sync::Arc;

use proto::{Errno, FileKind, InodeId, Name, RenameMode, Reply};

use super::{Ask, LINKS_MAX, create, link, remove};
use crate::engine::error::Outcome;
use crate::engine::inode::{Dentry, Inode};
use crate::engine::permit::{self, EXECUTE, WRITE};
use crate::engine::scope;
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::store::MetaKv;

/// One of the two names: its directory, what it is and what it stands for.
struct Place<'a> {
    dir: Arc<Inode>,
    name: &'a Name,
    inode: Option<Arc<Inode>>,
}

/// Renames `from` to `to`.
pub(super) fn rename<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    from: (InodeId, &Name),
    to: (InodeId, &Name),
    mode: RenameMode,
) -> Outcome<Reply> {
    let (from, to) = (find(tx, ask, from)?, find(tx, ask, to)?);
    let source = from.inode.clone().ok_or(Errno::ENOENT)?;
    match (&to.inode, mode) {
        (Some(_), RenameMode::NoReplace) => return Err(Errno::EEXIST.into()),
        (None, RenameMode::Exchange) => return Err(Errno::ENOENT.into()),
        _ => {}
    }
    check_ancestry(tx, &from, &to, &source, mode)?;
    if to.inode.as_ref().is_some_and(|target| target.ino() == source.ino()) {
        return Ok(Reply::Done);
    }
    permit::removal(&from.dir.attr, &source.attr, ask.caller)?;
    match &to.inode {
        Some(target) => permit::removal(&to.dir.attr, &target.attr, ask.caller)?,
        None => permit::access(&to.dir.attr, ask.caller, WRITE | EXECUTE)?,
    }
    check_parent_change(tx, ask, &from, &to, &source)?;
    if mode == RenameMode::Exchange {
        let target = to.inode.clone().ok_or(Errno::ENOENT)?;
        check_parent_change(tx, ask, &to, &from, &target)?;
        exchange(tx, ask, &from, &to, &source, &target)?;
    } else {
        if let Some(target) = &to.inode {
            check_replaceable(&source, target)?;
        }
        replace(tx, ask, &from, &to, &source)?;
    }
    Ok(Reply::Done)
}

fn find<'a, K: MetaKv>(tx: &Tx<'_, K>, ask: &Ask<'_>, (parent, name): (InodeId, &'a Name)) -> Outcome<Place<'a>> {
    let (dir, dentry) = ask.search(tx, parent, name)?;
    let inode = dentry.map(|dentry| tx.linked(dentry.ino)).transpose()?;
    Ok(Place { dir, name, inode })
}

/// No directory may end up below itself, and none that has the source in it can be replaced.
fn check_ancestry<K: MetaKv>(
    tx: &Tx<'_, K>,
    from: &Place<'_>,
    to: &Place<'_>,
    source: &Inode,
    mode: RenameMode,
) -> Outcome<()> {
    if from.dir.ino() == to.dir.ino() {
        return Ok(());
    }
    if source.is_dir() && scope::is_below(tx, to.dir.ino(), source.ino())? {
        return Err(Errno::EINVAL.into());
    }
    match &to.inode {
        Some(target) if target.is_dir() && scope::is_below(tx, from.dir.ino(), target.ino())? => {
            let errno = if mode == RenameMode::Exchange { Errno::EINVAL } else { Errno::ENOTEMPTY };
            Err(errno.into())
        }
        _ => Ok(()),
    }
}

fn check_replaceable(source: &Inode, target: &Inode) -> Outcome<()> {
    match (source.is_dir(), target.is_dir()) {
        (true, false) => Err(Errno::ENOTDIR.into()),
        (false, true) => Err(Errno::EISDIR.into()),
        (true, true) if target.entries > 0 => Err(Errno::ENOTEMPTY.into()),
        _ => Ok(()),
    }
}

/// A directory that changes its parent is written to: its `..` is another one.
fn check_parent_change<K: MetaKv>(
    tx: &Tx<'_, K>,
    ask: &Ask<'_>,
    from: &Place<'_>,
    to: &Place<'_>,
    moved: &Inode,
) -> Outcome<()> {
    if !moved.is_dir() || from.dir.ino() == to.dir.ino() {
        return Ok(());
    }
    permit::access(&moved.attr, ask.caller, WRITE)?;
    if to.dir.attr.nlink >= LINKS_MAX {
        return Err(Errno::EMLINK.into());
    }
    scope::check_depth(tx, &to.dir)
}

fn replace<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    from: &Place<'_>,
    to: &Place<'_>,
    source: &Inode,
) -> Outcome<()> {
    let removed = to.inode.as_ref().map(|target| target.attr.kind);
    tx.set_dentry(from.dir.ino(), from.name, None);
    change_dir(tx, ask, from.dir.ino(), Some(source.attr.kind), None)?;
    tx.set_dentry(to.dir.ino(), to.name, Some(dentry(source)));
    change_dir(tx, ask, to.dir.ino(), removed, Some(source.attr.kind))?;
    if let Some(target) = &to.inode {
        remove::lose_name(tx, ask, target, to.dir.ino())?;
    }
    relocate(tx, ask, source, from.dir.ino(), to.dir.ino())
}

fn exchange<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    from: &Place<'_>,
    to: &Place<'_>,
    source: &Inode,
    target: &Inode,
) -> Outcome<()> {
    tx.set_dentry(from.dir.ino(), from.name, Some(dentry(target)));
    tx.set_dentry(to.dir.ino(), to.name, Some(dentry(source)));
    change_dir(tx, ask, from.dir.ino(), Some(source.attr.kind), Some(target.attr.kind))?;
    change_dir(tx, ask, to.dir.ino(), Some(target.attr.kind), Some(source.attr.kind))?;
    relocate(tx, ask, source, from.dir.ino(), to.dir.ino())?;
    relocate(tx, ask, target, to.dir.ino(), from.dir.ino())
}

fn dentry(inode: &Inode) -> Dentry {
    Dentry { ino: inode.ino(), kind: inode.attr.kind }
}

/// One name less and one more in a directory, by the kind of what they stand for.
fn change_dir<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    ino: InodeId,
    less: Option<FileKind>,
    more: Option<FileKind>,
) -> Outcome<()> {
    let mut dir = Inode::clone(&*tx.linked(ino)?);
    let is_subdir = |kind: Option<FileKind>| u32::from(kind == Some(FileKind::Directory));
    dir.entries = (dir.entries + u64::from(more.is_some())).saturating_sub(less.is_some().into());
    dir.attr.nlink = (dir.attr.nlink + is_subdir(more)).saturating_sub(is_subdir(less));
    create::touch(&mut dir, ask);
    tx.put_inode(dir);
    Ok(())
}

fn relocate<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, moved: &Inode, from: InodeId, to: InodeId) -> Outcome<()> {
    let mut moved = moved.clone();
    link::move_name(tx, &mut moved, from, to)?;
    moved.attr.ctime = ask.now;
    tx.put_inode(moved);
    Ok(())
}
