//! Names and sizes, and nothing in the files.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proto::dirent::DirRecord;
use proto::{Attr, AttrChanges, Errno, FileKind, InodeId, Name, RenameMode, SetTime, Timespec};

use crate::adapter::Rename;

/// Who makes a file, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Maker {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) now: Timespec,
}

/// All files. Grows with what is made and shrinks with what is removed: a benchmark bounds it.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: HashMap<InodeId, Node>,
    next: u64,
}

#[derive(Debug)]
struct Node {
    attr: Attr,
    opens: u32,
    target: Bytes,
    /// Place in the listing and file, by name.
    names: HashMap<Name, (u64, InodeId)>,
    /// Names by place in the listing: a place is never given twice.
    order: BTreeMap<u64, Name>,
    next_place: u64,
}

impl Tree {
    /// An empty root, made `now`.
    pub(super) fn new(now: Timespec) -> Self {
        let root = Node::new(InodeId::ROOT, FileKind::Directory, 0o777, Maker { uid: 0, gid: 0, now });
        Self { nodes: HashMap::from([(InodeId::ROOT, root)]), next: InodeId::ROOT.0 + 1 }
    }

    pub(super) fn lookup(&self, parent: InodeId, name: &Name) -> Result<Attr, Errno> {
        self.attr(self.find(parent, name)?)
    }

    pub(super) fn attr(&self, ino: InodeId) -> Result<Attr, Errno> {
        Ok(self.node(ino)?.attr)
    }

    pub(super) fn target(&self, ino: InodeId) -> Result<Bytes, Errno> {
        Ok(self.node(ino)?.target.clone())
    }

    pub(super) fn set_attr(&mut self, ino: InodeId, changes: &AttrChanges, now: Timespec) -> Result<Attr, Errno> {
        let attr = &mut self.node_mut(ino)?.attr;
        let time = |time: SetTime| match time {
            SetTime::Now => now,
            SetTime::At(at) => at,
        };
        attr.perm = changes.perm.unwrap_or(attr.perm);
        attr.uid = changes.uid.unwrap_or(attr.uid);
        attr.gid = changes.gid.unwrap_or(attr.gid);
        attr.size = changes.size.unwrap_or(attr.size);
        attr.atime = changes.atime.map_or(attr.atime, time);
        attr.mtime = changes.mtime.map_or(attr.mtime, time);
        attr.ctime = now;
        Ok(*attr)
    }

    /// Makes a file of type and permissions `mode`.
    pub(super) fn make(&mut self, parent: InodeId, name: Name, mode: u32, maker: Maker) -> Result<Attr, Errno> {
        let kind = FileKind::from_mode(mode).ok_or(Errno::EINVAL)?;
        let ino = InodeId(self.next);
        self.enter(parent, name, ino)?;
        self.next += 1;
        let node = Node::new(ino, kind, (mode & 0o7777) as u16, maker);
        let attr = node.attr;
        self.nodes.insert(ino, node);
        Ok(attr)
    }

    pub(super) fn symlink(&mut self, parent: InodeId, name: Name, target: Bytes, maker: Maker) -> Result<Attr, Errno> {
        let ino = self.make(parent, name, 0o120_777, maker)?.ino;
        let node = self.node_mut(ino)?;
        node.attr.size = target.len() as u64;
        node.target = target;
        Ok(node.attr)
    }

    pub(super) fn link(&mut self, ino: InodeId, parent: InodeId, name: Name) -> Result<Attr, Errno> {
        self.node(ino)?;
        self.enter(parent, name, ino)?;
        let attr = &mut self.node_mut(ino)?.attr;
        attr.nlink += 1;
        Ok(*attr)
    }

    pub(super) fn remove(&mut self, parent: InodeId, name: &Name) -> Result<(), Errno> {
        let ino = self.find(parent, name)?;
        if !self.node(ino)?.names.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.node_mut(parent)?.forget(name);
        self.drop_name(ino)
    }

    pub(super) fn rename(&mut self, parent: InodeId, rename: Rename) -> Result<(), Errno> {
        let Rename { name, new_parent, new_name, mode } = rename;
        let ino = self.find(parent, &name)?;
        match (mode, self.find(new_parent, &new_name)) {
            (RenameMode::Exchange, _) => return Err(Errno::EINVAL),
            (RenameMode::NoReplace, Ok(_)) => return Err(Errno::EEXIST),
            (_, Ok(other)) if other == ino => return Ok(()),
            (_, Ok(_)) => self.remove(new_parent, &new_name)?,
            (_, Err(Errno::ENOENT)) => {}
            (_, Err(errno)) => return Err(errno),
        }
        self.node_mut(parent)?.forget(&name);
        self.enter(new_parent, new_name, ino)
    }

    pub(super) fn open(&mut self, ino: InodeId, truncate: bool) -> Result<(), Errno> {
        let node = self.node_mut(ino)?;
        node.opens += 1;
        if truncate {
            node.attr.size = 0;
        }
        Ok(())
    }

    pub(super) fn close(&mut self, ino: InodeId) -> Result<(), Errno> {
        let node = self.node_mut(ino)?;
        node.opens = node.opens.saturating_sub(1);
        self.drop_unused(ino);
        Ok(())
    }

    /// The file is at least `size` bytes long.
    pub(super) fn grow(&mut self, ino: InodeId, size: u64) -> Result<(), Errno> {
        let attr = &mut self.node_mut(ino)?.attr;
        attr.size = attr.size.max(size);
        Ok(())
    }

    /// Shows the entries of a directory behind `offset`, until `push` takes no more.
    pub(super) fn list(
        &self,
        ino: InodeId,
        offset: u64,
        attrs: bool,
        push: &mut dyn FnMut(&DirRecord<'_>) -> bool,
    ) -> Result<(), Errno> {
        let dir = self.node(ino)?;
        let dots: [&[u8]; 2] = [b".", b".."];
        for (place, name) in (1..).zip(dots).filter(|(place, _)| *place > offset) {
            if !push(&DirRecord { ino, offset: place, kind: FileKind::Directory, name, attr: None }) {
                return Ok(());
            }
        }
        for (&place, name) in dir.order.range(offset + 1..) {
            let attr = self.attr(self.find(ino, name)?)?;
            let shown = attrs.then_some(attr);
            let record =
                DirRecord { ino: attr.ino, offset: place, kind: attr.kind, name: name.as_bytes(), attr: shown };
            if !push(&record) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn find(&self, parent: InodeId, name: &Name) -> Result<InodeId, Errno> {
        self.node(parent)?.names.get(name).map(|(_, ino)| *ino).ok_or(Errno::ENOENT)
    }

    fn enter(&mut self, parent: InodeId, name: Name, ino: InodeId) -> Result<(), Errno> {
        let dir = self.node_mut(parent)?;
        if dir.names.contains_key(&name) {
            return Err(Errno::EEXIST);
        }
        let place = dir.next_place;
        dir.next_place += 1;
        dir.order.insert(place, name.clone());
        dir.names.insert(name, (place, ino));
        Ok(())
    }

    fn drop_name(&mut self, ino: InodeId) -> Result<(), Errno> {
        let attr = &mut self.node_mut(ino)?.attr;
        attr.nlink = if attr.kind == FileKind::Directory { 0 } else { attr.nlink - 1 };
        self.drop_unused(ino);
        Ok(())
    }

    fn drop_unused(&mut self, ino: InodeId) {
        if self.nodes.get(&ino).is_some_and(|node| node.attr.nlink == 0 && node.opens == 0) {
            self.nodes.remove(&ino);
        }
    }

    fn node(&self, ino: InodeId) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::ESTALE)
    }

    fn node_mut(&mut self, ino: InodeId) -> Result<&mut Node, Errno> {
        self.nodes.get_mut(&ino).ok_or(Errno::ESTALE)
    }
}

impl Node {
    fn new(ino: InodeId, kind: FileKind, perm: u16, maker: Maker) -> Self {
        let Maker { uid, gid, now } = maker;
        let attr = Attr { uid, gid, version: 0, ..Attr::new(ino, kind, perm, now) };
        let (names, order) = (HashMap::new(), BTreeMap::new());
        Self { attr, opens: 0, target: Bytes::new(), names, order, next_place: FIRST_PLACE }
    }

    fn forget(&mut self, name: &Name) {
        if let Some((place, _)) = self.names.remove(name) {
            self.order.remove(&place);
        }
    }
}

/// Places 1 and 2 are those of `.` and `..`.
const FIRST_PLACE: u64 = 3;

#[cfg(test)]
mod tests;
