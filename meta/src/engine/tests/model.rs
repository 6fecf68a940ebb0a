//! A reference model: a POSIX tree in plain maps, with the rules written down once more and as simply as possible.

use std::collections::{BTreeMap, BTreeSet};

use proto::{Errno, FileKind};

use super::world::BLOCK_SIZE;

pub(super) type Answer<T> = Result<T, Errno>;

/// Somebody who asks: which session, which user.
#[derive(Clone, Copy, Debug)]
pub(super) struct Who {
    pub(super) session: usize,
    pub(super) uid: u32,
    pub(super) groups: &'static [u32],
}

/// What a byte of a file is: a hole, a byte kept inline, or a byte of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Byte {
    Hole,
    Inline(u8),
    Object(u64),
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: FileKind,
    pub(super) perm: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) names: BTreeMap<String, u64>,
    pub(super) bytes: BTreeMap<u64, Byte>,
    /// What a reader must see: a number for each byte that somebody wrote, wherever it is kept.
    pub(super) values: BTreeMap<u64, u64>,
    /// Bytes of inline content; 0 = none.
    pub(super) inline_len: u64,
    pub(super) version: u64,
}

/// A block to be rewritten, by what a mount saw of the file.
pub(super) struct Rewritten<'a> {
    pub(super) block: u64,
    pub(super) span: (u32, u32),
    pub(super) object: u64,
    /// Which bytes of the block are written; the others are copied.
    pub(super) is_written: &'a dyn Fn(u32) -> bool,
    /// The file when the mount looked.
    pub(super) seen: &'a Node,
}

impl Node {
    fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    pub(super) fn byte(&self, at: u64) -> Byte {
        self.bytes.get(&at).copied().unwrap_or(Byte::Hole)
    }

    pub(super) fn value(&self, at: u64) -> u64 {
        self.values.get(&at).copied().unwrap_or(0)
    }

    /// Where a copy of a byte would come from: an object, the inode record of this version, or nowhere.
    fn source(&self, at: u64) -> (Option<u64>, Option<u64>) {
        match self.byte(at) {
            Byte::Object(object) => (Some(object), None),
            _ if at < self.inline_len => (None, Some(self.version)),
            _ => (None, None),
        }
    }

    /// Inline content that objects cover is not kept.
    fn forget_covered(&mut self) {
        if (0..self.inline_len).all(|at| matches!(self.byte(at), Byte::Object(_))) {
            self.inline_len = 0;
        }
    }
}

/// The model of a volume.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) nodes: BTreeMap<u64, Node>,
    /// Root and read-only flag of each session.
    pub(super) sessions: Vec<(u64, bool)>,
    /// Opens: session, file, count, whether for writing.
    pub(super) opens: BTreeMap<(usize, u64), (u32, bool)>,
}

impl Model {
    pub(super) fn new() -> Self {
        let root = new_node(FileKind::Directory, 0o755, 0, 0);
        Self { nodes: BTreeMap::from([(1, root)]), sessions: Vec::new(), opens: BTreeMap::new() }
    }

    /// Directories with names of a file, one entry for each name.
    pub(super) fn parents(&self, ino: u64) -> Vec<u64> {
        let dirs = self.nodes.iter();
        dirs.flat_map(|(dir, node)| node.names.values().filter(|child| **child == ino).map(|_| *dir)).collect()
    }

    pub(super) fn nlink(&self, ino: u64) -> u32 {
        let node = &self.nodes[&ino];
        if node.is_dir() {
            return 2 + node.names.values().filter(|child| self.nodes[child].is_dir()).count() as u32;
        }
        self.parents(ino).len() as u32
    }

    fn is_below(&self, ino: u64, ancestor: u64) -> bool {
        ino == ancestor || ino != 1 && self.parents(ino).iter().any(|parent| self.is_below(*parent, ancestor))
    }

    pub(super) fn is_orphan(&self, ino: u64) -> bool {
        ino != 1 && self.parents(ino).is_empty()
    }

    fn node(&self, who: Who, ino: u64) -> Answer<&Node> {
        let node = self.nodes.get(&ino).ok_or(Errno::ESTALE)?;
        let inside = if self.is_orphan(ino) {
            self.opens.contains_key(&(who.session, ino))
        } else {
            self.is_below(ino, self.sessions[who.session].0)
        };
        inside.then_some(node).ok_or(Errno::ESTALE)
    }

    fn writes(&self, who: Who) -> Answer<()> {
        ensure(!self.sessions[who.session].1, Errno::EROFS)
    }

    fn search(&self, who: Who, dir: u64, name: &str) -> Answer<Option<u64>> {
        let node = self.node(who, dir)?;
        ensure(node.is_dir(), Errno::ENOTDIR)?;
        ensure(may(node, who, 1), Errno::EACCES)?;
        Ok(node.names.get(name).copied())
    }

    pub(super) fn lookup(&self, who: Who, dir: u64, name: &str) -> Answer<u64> {
        self.search(who, dir, name)?.ok_or(Errno::ENOENT)
    }

    pub(super) fn stat(&self, who: Who, ino: u64) -> Answer<u64> {
        self.node(who, ino).map(|_| ino)
    }

    /// Makes a file, whose id the engine chose, unless the rules forbid it.
    pub(super) fn make(&mut self, who: Who, dir: u64, name: &str, kind: FileKind, perm: u16) -> Answer<NewFile> {
        self.writes(who)?;
        ensure(self.search(who, dir, name)?.is_none(), Errno::EEXIST)?;
        self.new_file(who, dir, name, kind, perm)
    }

    fn new_file(&self, who: Who, dir: u64, name: &str, kind: FileKind, perm: u16) -> Answer<NewFile> {
        let parent = &self.nodes[&dir];
        ensure(may(parent, who, 3), Errno::EACCES)?;
        let mut node = new_node(kind, perm, who.uid, who.uid);
        if parent.perm & 0o2000 != 0 {
            node.gid = parent.gid;
            if kind == FileKind::Directory {
                node.perm |= 0o2000;
            } else if node.perm & 0o2010 == 0o2010 && who.uid != 0 && !in_group(who, node.gid) {
                node.perm &= !0o2000;
            }
        }
        Ok(NewFile { dir, name: name.to_owned(), node })
    }

    pub(super) fn place(&mut self, ino: u64, new: NewFile) {
        assert!(self.nodes.insert(ino, new.node).is_none(), "inode {ino} is used twice");
        self.nodes.get_mut(&new.dir).unwrap().names.insert(new.name, ino);
    }

    /// Creates or opens; a new file is for the caller to place.
    pub(super) fn create(&mut self, who: Who, dir: u64, name: &str, perm: u16, exclusive: bool) -> Answer<Created> {
        self.writes(who)?;
        let Some(ino) = self.search(who, dir, name)? else {
            return self.new_file(who, dir, name, FileKind::Regular, perm).map(Created::New);
        };
        ensure(!exclusive, Errno::EEXIST)?;
        let node = &self.nodes[&ino];
        match node.kind {
            FileKind::Directory => return Err(Errno::EISDIR),
            FileKind::Regular => ensure(may(node, who, 6), Errno::EACCES)?,
            _ => return Err(Errno::ESTALE),
        }
        self.note_open(who, ino, true);
        Ok(Created::Old(ino))
    }

    pub(super) fn note_open(&mut self, who: Who, ino: u64, write: bool) {
        let open = self.opens.entry((who.session, ino)).or_default();
        *open = (open.0 + 1, open.1 || write);
    }

    pub(super) fn open(&mut self, who: Who, ino: u64, want: u16, truncate: bool) -> Answer<u64> {
        ensure(want & 2 == 0 && !truncate || !self.sessions[who.session].1, Errno::EROFS)?;
        let node = self.node(who, ino)?;
        match node.kind {
            FileKind::Directory => return Err(Errno::EISDIR),
            FileKind::Regular => {
                let needed = match (want, truncate) {
                    (_, true) => want | 2,
                    (0, false) => 6,
                    (want, false) => want,
                };
                ensure(may(node, who, needed), Errno::EACCES)?;
            }
            _ => return Err(Errno::ENXIO),
        }
        if truncate {
            self.resize(ino, 0);
        }
        self.note_open(who, ino, want & 2 != 0);
        Ok(ino)
    }

    pub(super) fn close(&mut self, session: usize, ino: u64) {
        if let Some((count, _)) = self.opens.get_mut(&(session, ino)) {
            *count -= 1;
            if *count == 0 {
                self.opens.remove(&(session, ino));
                self.reap(ino);
            }
        }
    }

    /// A session ends.
    pub(super) fn end(&mut self, session: usize) {
        let files: Vec<u64> = self.opens.keys().filter(|open| open.0 == session).map(|open| open.1).collect();
        for ino in files {
            self.opens.remove(&(session, ino));
            self.reap(ino);
        }
    }

    fn reap(&mut self, ino: u64) {
        let is_open = self.opens.keys().any(|open| open.1 == ino);
        if self.nodes.contains_key(&ino) && self.is_orphan(ino) && !is_open {
            self.nodes.remove(&ino);
        }
    }

    fn may_remove(&self, who: Who, dir: u64, victim: u64) -> Answer<()> {
        let (dir, victim) = (&self.nodes[&dir], &self.nodes[&victim]);
        ensure(may(dir, who, 3), Errno::EACCES)?;
        let is_kept = dir.perm & 0o1000 != 0 && ![0, dir.uid, victim.uid].contains(&who.uid);
        ensure(!is_kept, Errno::EPERM)
    }

    pub(super) fn unlink(&mut self, who: Who, dir: u64, name: &str, wants_dir: bool) -> Answer<()> {
        self.writes(who)?;
        let victim = self.search(who, dir, name)?.ok_or(Errno::ENOENT)?;
        self.may_remove(who, dir, victim)?;
        match (self.nodes[&victim].is_dir(), wants_dir) {
            (true, false) => return Err(Errno::EISDIR),
            (false, true) => return Err(Errno::ENOTDIR),
            _ => ensure(self.nodes[&victim].names.is_empty(), Errno::ENOTEMPTY)?,
        }
        self.nodes.get_mut(&dir).unwrap().names.remove(name);
        self.reap(victim);
        Ok(())
    }

    pub(super) fn link(&mut self, who: Who, ino: u64, dir: u64, name: &str) -> Answer<u64> {
        self.writes(who)?;
        self.node(who, ino)?;
        ensure(self.search(who, dir, name)?.is_none(), Errno::EEXIST)?;
        ensure(may(&self.nodes[&dir], who, 3), Errno::EACCES)?;
        ensure(!self.nodes[&ino].is_dir(), Errno::EPERM)?;
        ensure(!self.is_orphan(ino), Errno::ENOENT)?;
        self.nodes.get_mut(&dir).unwrap().names.insert(name.to_owned(), ino);
        Ok(ino)
    }

    /// `mode`: 0 replace, 1 keep, 2 exchange.
    pub(super) fn rename(&mut self, who: Who, from: (u64, &str), to: (u64, &str), mode: u8) -> Answer<()> {
        self.writes(who)?;
        let source = self.search(who, from.0, from.1)?;
        let target = self.search(who, to.0, to.1)?;
        let source = source.ok_or(Errno::ENOENT)?;
        ensure(mode != 1 || target.is_none(), Errno::EEXIST)?;
        ensure(mode != 2 || target.is_some(), Errno::ENOENT)?;
        let is_dir = |ino: u64| self.nodes[&ino].is_dir();
        if from.0 != to.0 {
            ensure(!is_dir(source) || !self.is_below(to.0, source), Errno::EINVAL)?;
            if let Some(target) = target.filter(|target| is_dir(*target)) {
                let errno = if mode == 2 { Errno::EINVAL } else { Errno::ENOTEMPTY };
                ensure(!self.is_below(from.0, target), errno)?;
            }
        }
        if target == Some(source) {
            return Ok(());
        }
        self.may_remove(who, from.0, source)?;
        match target {
            Some(target) => self.may_remove(who, to.0, target)?,
            None => ensure(may(&self.nodes[&to.0], who, 3), Errno::EACCES)?,
        }
        let may_move = |ino: u64| from.0 == to.0 || !is_dir(ino) || may(&self.nodes[&ino], who, 2);
        ensure(may_move(source), Errno::EACCES)?;
        match target {
            Some(target) if mode == 2 => ensure(may_move(target), Errno::EACCES)?,
            Some(target) => {
                ensure(!is_dir(source) || is_dir(target), Errno::ENOTDIR)?;
                ensure(is_dir(source) || !is_dir(target), Errno::EISDIR)?;
                ensure(self.nodes[&target].names.is_empty(), Errno::ENOTEMPTY)?;
            }
            None => {}
        }
        self.nodes.get_mut(&from.0).unwrap().names.remove(from.1);
        self.nodes.get_mut(&to.0).unwrap().names.insert(to.1.to_owned(), source);
        match target {
            Some(target) if mode == 2 => {
                self.nodes.get_mut(&from.0).unwrap().names.insert(from.1.to_owned(), target);
            }
            Some(target) => self.reap(target),
            None => {}
        }
        Ok(())
    }

    pub(super) fn chmod(&mut self, who: Who, ino: u64, perm: u16) -> Answer<u64> {
        self.writes(who)?;
        let node = self.node(who, ino)?;
        ensure(who.uid == 0 || who.uid == node.uid, Errno::EPERM)?;
        let keeps_set_gid = who.uid == 0 || in_group(who, node.gid);
        let perm = if keeps_set_gid { perm } else { perm & !0o2000 };
        self.nodes.get_mut(&ino).unwrap().perm = perm;
        Ok(ino)
    }

    pub(super) fn chown(&mut self, who: Who, ino: u64, uid: Option<u32>, gid: Option<u32>) -> Answer<u64> {
        self.writes(who)?;
        let mut node = self.node(who, ino)?.clone();
        if who.uid != 0 && (uid.is_some() || gid.is_some()) {
            let keeps_owner = who.uid == node.uid && uid.is_none_or(|uid| uid == node.uid);
            let may_regroup = gid.is_none_or(|gid| gid == node.gid || in_group(who, gid));
            ensure(keeps_owner && may_regroup, Errno::EPERM)?;
        }
        if !node.is_dir() && (uid.is_some() || gid.is_some()) {
            node.perm &= if node.perm & 0o010 != 0 { !0o6000 } else { !0o4000 };
        }
        (node.uid, node.gid) = (uid.unwrap_or(node.uid), gid.unwrap_or(node.gid));
        self.nodes.insert(ino, node);
        Ok(ino)
    }

    pub(super) fn truncate(&mut self, who: Who, ino: u64, size: u64) -> Answer<u64> {
        self.writes(who)?;
        let node = self.node(who, ino)?;
        match node.kind {
            FileKind::Directory => return Err(Errno::EISDIR),
            FileKind::Regular => ensure(may(node, who, 2), Errno::EACCES)?,
            _ => return Err(Errno::EINVAL),
        }
        self.resize(ino, size);
        Ok(ino)
    }

    fn resize(&mut self, ino: u64, size: u64) {
        let node = self.nodes.get_mut(&ino).unwrap();
        node.version += 1;
        node.bytes.retain(|at, _| *at < size);
        node.values.retain(|at, _| *at < size);
        node.inline_len = node.inline_len.min(size);
        node.size = size;
    }

    /// Whether the session may commit to the file at all.
    pub(super) fn may_commit(&self, who: Who, ino: u64) -> Answer<()> {
        self.writes(who)?;
        self.node(who, ino)?;
        ensure(self.opens.get(&(who.session, ino)).is_some_and(|open| open.1), Errno::EBADF)
    }

    fn writable(&mut self, who: Who, ino: u64) -> Answer<&mut Node> {
        self.may_commit(who, ino)?;
        Ok(self.nodes.get_mut(&ino).unwrap())
    }

    /// `object` of `None` punches a hole.
    pub(super) fn write(
        &mut self,
        who: Who,
        ino: u64,
        block: u64,
        span: (u32, u32),
        object: Option<u64>,
    ) -> Answer<u64> {
        let node = self.writable(who, ino)?;
        let base = block * u64::from(BLOCK_SIZE);
        let (start, end) = (base + u64::from(span.0), base + u64::from(span.1));
        for at in start..end {
            match object {
                Some(object) => {
                    node.bytes.insert(at, Byte::Object(object));
                    node.values.insert(at, object);
                }
                None => {
                    node.bytes.remove(&at);
                    node.values.remove(&at);
                }
            }
        }
        node.size = node.size.max(if object.is_some() { end } else { 0 });
        node.version += 1;
        node.forget_covered();
        Ok(ino)
    }

    /// Copies never change what a reader sees: only where it is kept, and only if it is still what was copied.
    pub(super) fn rewrite(&mut self, who: Who, ino: u64, rewritten: &Rewritten<'_>) -> Answer<u64> {
        let node = self.writable(who, ino)?;
        let &Rewritten { block, span, object, is_written, seen } = rewritten;
        let base = block * u64::from(BLOCK_SIZE);
        let ends = (span.0..span.1).filter(|at| is_written(*at)).map(|at| base + u64::from(at) + 1);
        node.size = node.size.max(ends.max().unwrap_or(0));
        for (at, place) in (span.0..span.1).map(|at| (at, base + u64::from(at))) {
            if is_written(at) {
                node.values.insert(place, object);
            } else if place >= node.size || node.source(place) != seen.source(place) {
                continue;
            }
            node.bytes.insert(place, Byte::Object(object));
        }
        node.version += 1;
        node.forget_covered();
        Ok(ino)
    }

    pub(super) fn write_inline(&mut self, who: Who, ino: u64, bytes: &[u8]) -> Answer<u64> {
        let node = self.writable(who, ino)?;
        node.bytes = bytes.iter().enumerate().map(|(at, byte)| (at as u64, Byte::Inline(*byte))).collect();
        node.values = bytes.iter().enumerate().map(|(at, byte)| (at as u64, inline_value(*byte))).collect();
        node.inline_len = bytes.len() as u64;
        node.size = bytes.len() as u64;
        node.version += 1;
        Ok(ino)
    }

    /// Objects that some file refers to.
    pub(super) fn objects(&self) -> BTreeSet<u64> {
        let bytes = self.nodes.values().flat_map(|node| node.bytes.values());
        bytes.filter_map(|byte| if let Byte::Object(object) = byte { Some(*object) } else { None }).collect()
    }
}

/// A file that may be made, before it has an id.
pub(super) struct NewFile {
    dir: u64,
    name: String,
    node: Node,
}

pub(super) enum Created {
    New(NewFile),
    Old(u64),
}

fn new_node(kind: FileKind, perm: u16, uid: u32, gid: u32) -> Node {
    let (names, bytes, values) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    Node { kind, perm, uid, gid, size: 0, names, bytes, values, inline_len: 0, version: 1 }
}

/// What a reader sees of an inline byte; 0 is what nobody wrote.
pub(super) fn inline_value(byte: u8) -> u64 {
    if byte == 0 { 0 } else { 1 << 40 | u64::from(byte) }
}

fn ensure(holds: bool, errno: Errno) -> Answer<()> {
    if holds { Ok(()) } else { Err(errno) }
}

fn in_group(who: Who, gid: u32) -> bool {
    who.uid == gid || who.groups.contains(&gid)
}

fn may(node: &Node, who: Who, want: u16) -> bool {
    if who.uid == 0 {
        return want & 1 == 0 || node.is_dir() || node.perm & 0o111 != 0;
    }
    let class = if who.uid == node.uid {
        6
    } else if in_group(who, node.gid) {
        3
    } else {
        0
    };
    (node.perm >> class) & want == want
}
