//! Consistency: reads every record of a volume and says what does not fit together.

use std::collections::{BTreeMap, BTreeSet};

use proto::{FileKind, InodeId, LockSpans, ObjectId, Piece, SessionId, allocated};

use super::error::EngineError;
use super::grants::Grant;
use super::inode::{Content, Dentry, Inode, decode_block, decode_holders, decode_record};
use super::keys::{self, MapId};
use super::ledger;
use super::locks::{Locker, Locks};
use super::ops::xattr;
use super::superblock::Counters;
use super::sweep::each_dead;
use super::volume::{Volume, each};
use crate::store::MetaKv;

/// Checks a volume and returns one line for each thing that is wrong: none, and every invariant holds. Mutations wait
/// meanwhile; memory grows with the number of inodes.
pub fn check<K: MetaKv>(volume: &Volume<K>) -> Vec<String> {
    let writer = volume.write();
    let mut check = Check { hash: &|name| volume.names.hash(name), block_size: volume.block_size, ..Check::new() };
    let outcome = check.load(volume).map(|()| {
        check.names();
        check.links();
        check.trees();
        check.attributes();
        check.blocks();
        check.objects(writer.counters);
        check.counters(writer.counters);
    });
    if let Err(error) = outcome {
        check.problems.push(error.to_string());
    }
    check.problems
}

struct Check<'a> {
    hash: &'a dyn Fn(&proto::Name) -> u64,
    block_size: u32,
    inodes: BTreeMap<InodeId, Inode>,
    dentries: Vec<(InodeId, u64, proto::Name, Dentry)>,
    back_links: BTreeMap<InodeId, BTreeMap<InodeId, u32>>,
    /// Length of the list of names, and bytes of names and values.
    xattrs: BTreeMap<InodeId, (u32, u32)>,
    blocks: BTreeMap<MapId, BTreeMap<u64, Vec<Piece>>>,
    trims: BTreeSet<MapId>,
    orphans: BTreeSet<InodeId>,
    granted: Vec<ObjectId>,
    dead: Vec<ObjectId>,
    locks: Locks,
    sessions: BTreeSet<SessionId>,
    problems: Vec<String>,
}

impl<'a> Check<'a> {
    fn new() -> Self {
        Self {
            hash: &|_| 0,
            block_size: 0,
            inodes: BTreeMap::new(),
            dentries: Vec::new(),
            back_links: BTreeMap::new(),
            xattrs: BTreeMap::new(),
            blocks: BTreeMap::new(),
            trims: BTreeSet::new(),
            orphans: BTreeSet::new(),
            granted: Vec::new(),
            dead: Vec::new(),
            locks: Locks::default(),
            sessions: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    fn load<K: MetaKv>(&mut self, volume: &Volume<K>) -> Result<(), EngineError> {
        let kv = &volume.kv;
        let bad = || EngineError::corrupt("key");
        each(kv, keys::inodes(), |key, value| {
            self.inodes.insert(keys::parse_inode(key).ok_or_else(bad)?, Inode::decode(value)?);
            Ok(())
        })?;
        each(kv, keys::dentries(), |key, value| {
            let (parent, hash, name) = keys::parse_dentry(key).ok_or_else(bad)?;
            self.dentries.push((parent, hash, name, Dentry::decode(value)?));
            Ok(())
        })?;
        each(kv, keys::all_back_links(), |key, value| {
            let (child, parent) = keys::parse_back_link(key).ok_or_else(bad)?;
            self.back_links.entry(child).or_default().insert(parent, decode_record("back link", value)?);
            Ok(())
        })?;
        each(kv, keys::all_xattrs(), |key, value| {
            let (ino, name) = keys::parse_xattr(key).ok_or_else(bad)?;
            let (list_len, bytes) = self.xattrs.entry(ino).or_default();
            *list_len += xattr::list_len(name);
            *bytes += xattr::bytes(name, xattr::value_of(value));
            Ok(())
        })?;
        each(kv, keys::all_blocks(), |key, value| {
            let (map, index) = keys::parse_block(key).ok_or_else(bad)?;
            self.blocks.entry(map).or_default().insert(index.0, decode_block(value)?);
            Ok(())
        })?;
        each(kv, keys::trims(), |key, _| {
            self.trims.insert(keys::parse_trim(key).ok_or_else(bad)?);
            Ok(())
        })?;
        each(kv, keys::orphans(), |key, value| {
            self.orphans.insert(keys::parse_orphan(key).ok_or_else(bad)?);
            decode_holders(value).map(drop)
        })?;
        each(kv, keys::grants(), |key, value| {
            let first = keys::parse_grant(key).ok_or_else(bad)?;
            let grant: Grant = decode_record("grant", value)?;
            self.granted.extend((first.0..first.0 + u64::from(grant.count)).map(ObjectId));
            Ok(())
        })?;
        each(kv, keys::ledgers(), |_, value| ledger::decode(value).map(drop))?;
        each(kv, keys::sessions(), |key, _| {
            self.sessions.insert(keys::parse_session(key).ok_or_else(bad)?);
            Ok(())
        })?;
        each(kv, keys::locks(), |key, value| {
            let (ino, locker) = keys::parse_lock(key).ok_or_else(bad)?;
            self.lock(ino, locker, decode_record("lock", value)?);
            Ok(())
        })?;
        each_dead(volume, 0, |_, dead| {
            self.dead.extend(dead.objects());
            std::ops::ControlFlow::Continue(())
        })
    }

    /// A lock is of a session and of a file that are there, and nobody else has one that excludes it.
    fn lock(&mut self, ino: InodeId, locker: Locker, spans: LockSpans) {
        let is_somebodys = self.sessions.contains(&locker.session);
        self.expect(is_somebodys, || format!("inode {ino} is locked by session {}, which is over", locker.session));
        let is_there = self.inodes.get(&ino).is_some_and(|inode| inode.attr.kind == FileKind::Regular);
        self.expect(is_there, || format!("inode {ino} is locked and no regular file"));
        let stands_alone = spans.spans().iter().all(|span| self.locks.against(ino, &locker, span).is_none());
        self.expect(stands_alone, || format!("inode {ino}: locks of two owners exclude each other"));
        // Nobody waits for these.
        let _ = self.locks.apply([(ino, locker, spans)]);
    }

    fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(problem());
        }
    }

    /// Every name is filed under its hash, in a directory, and stands for a file of the kind it says.
    fn names(&mut self) {
        for (parent, hash, name, dentry) in std::mem::take(&mut self.dentries) {
            let place = format!("{name:?} in directory {parent}");
            let is_filed = (self.hash)(&name) == hash;
            self.expect(is_filed, || format!("{place} is filed under a wrong hash"));
            let in_dir = self.inodes.get(&parent).is_some_and(Inode::is_dir);
            self.expect(in_dir, || format!("{place}: no such directory"));
            let kind = self.inodes.get(&dentry.ino).map(|inode| inode.attr.kind);
            self.expect(kind == Some(dentry.kind), || format!("{place} stands for {dentry:?}, which is {kind:?}"));
            self.dentries.push((parent, hash, name, dentry));
        }
    }

    /// Link counts, parents, back links and the numbers of names.
    fn links(&mut self) {
        let mut parents: BTreeMap<InodeId, BTreeMap<InodeId, u32>> = BTreeMap::new();
        let (mut entries, mut subdirs) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u32>::new());
        for (parent, _, _, dentry) in &self.dentries {
            *parents.entry(dentry.ino).or_default().entry(*parent).or_default() += 1;
            *entries.entry(*parent).or_default() += 1;
            *subdirs.entry(*parent).or_default() += u32::from(dentry.kind == FileKind::Directory);
        }
        for (ino, inode) in std::mem::take(&mut self.inodes) {
            let named = parents.remove(&ino).unwrap_or_default();
            let names: u32 = named.values().sum();
            let found = if inode.is_dir() { 2 + subdirs.get(&ino).copied().unwrap_or(0) } else { names };
            let nlink = inode.attr.nlink;
            self.expect(nlink == found, || format!("inode {ino}: nlink is {nlink}, found {found}"));
            self.expect(inode.attr.ino == ino, || format!("inode {ino} calls itself {}", inode.attr.ino));
            let names_right = if inode.is_dir() { names == u32::from(ino != InodeId::ROOT) } else { true };
            self.expect(names_right, || format!("directory {ino} has {names} names"));
            let held = entries.get(&ino).copied().unwrap_or(0);
            self.expect(inode.entries == held, || format!("inode {ino}: {} entries, found {held}", inode.entries));
            let parent_right = named.contains_key(&inode.parent) || names == 0;
            self.expect(parent_right, || format!("inode {ino}: no name in its parent {}", inode.parent));
            let is_orphan = self.orphans.remove(&ino);
            self.expect(is_orphan == inode.is_orphan(), || format!("inode {ino}: nlink {nlink}, orphan {is_orphan}"));
            let linked_back = self.back_links.remove(&ino).unwrap_or_default();
            let expected = if inode.has_back_links() { named } else { BTreeMap::new() };
            self.expect(linked_back == expected, || {
                format!("inode {ino}: back links {linked_back:?}, names {expected:?}")
            });
            self.inodes.insert(ino, inode);
        }
        for ino in std::mem::take(&mut self.orphans) {
            self.problems.push(format!("orphan {ino} has no inode"));
        }
        for child in std::mem::take(&mut self.back_links).into_keys() {
            self.problems.push(format!("back links of {child}, which is not there"));
        }
    }

    /// Every directory is below the root.
    fn trees(&mut self) {
        let mut rooted = BTreeSet::from([InodeId::ROOT]);
        for (ino, inode) in &self.inodes {
            let mut path = Vec::new();
            let mut at = if inode.is_dir() { *ino } else { InodeId::ROOT };
            while !rooted.contains(&at) && !path.contains(&at) {
                path.push(at);
                at = self.inodes.get(&at).map_or(at, |inode| inode.parent);
            }
            if rooted.contains(&at) {
                rooted.extend(path);
            } else {
                self.problems.push(format!("directory {ino} is not below the root"));
            }
        }
    }

    fn attributes(&mut self) {
        for (ino, inode) in std::mem::take(&mut self.inodes) {
            let found = self.xattrs.remove(&ino).unwrap_or_default();
            let noted = (inode.xattr_list_len, inode.xattr_bytes);
            self.expect(noted == found, || {
                format!("inode {ino}: attributes take {found:?} bytes (list of names, all), not {noted:?}")
            });
            self.inodes.insert(ino, inode);
        }
        for ino in std::mem::take(&mut self.xattrs).into_keys() {
            self.problems.push(format!("attributes of {ino}, which is not there"));
        }
    }

    /// Blocks belong to a file, are well-formed, end with the file, and add up.
    fn blocks(&mut self) {
        let mut maps: BTreeMap<MapId, InodeId> = BTreeMap::new();
        for (ino, inode) in std::mem::take(&mut self.inodes) {
            self.expect(maps.insert(inode.map, ino).is_none(), || format!("inode {ino} shares map {:?}", inode.map));
            let blocks = self.blocks.get(&inode.map).cloned().unwrap_or_default();
            let mut used: u64 = blocks.values().map(|pieces| allocated(pieces)).sum();
            if let Content::Inline(bytes) = &inode.content {
                used += bytes.len() as u64;
                let fits = !bytes.is_empty() && bytes.len() as u64 <= inode.attr.size;
                self.expect(fits, || format!("inode {ino}: inline content does not fit"));
            }
            self.expect(inode.attr.allocated == used, || {
                format!("inode {ino}: {} bytes allocated, found {used}", inode.attr.allocated)
            });
            for (index, pieces) in blocks {
                let end = pieces.last().map_or(0, |piece| u64::from(piece.end));
                let reach = index * u64::from(self.block_size) + end;
                let is_sorted = pieces.windows(2).all(|pair| pair[0].end <= pair[1].start);
                let is_valid = pieces.iter().all(|piece| piece.is_valid(self.block_size));
                let is_right = is_sorted && is_valid && !pieces.is_empty() && reach <= inode.attr.size;
                self.expect(is_right, || format!("inode {ino}: block {index} is malformed: {pieces:?}"));
            }
            self.inodes.insert(ino, inode);
        }
        let homeless = self.blocks.keys().filter(|map| !maps.contains_key(map) && !self.trims.contains(map));
        let homeless: Vec<_> = homeless.map(|map| format!("blocks of map {map:?}, which no file has")).collect();
        self.problems.extend(homeless);
        for map in std::mem::take(&mut self.trims) {
            self.expect(!maps.contains_key(&map), || format!("map {map:?} of a file is being trimmed"));
        }
    }

    /// An object is granted, in one block, or dead.
    fn objects(&mut self, counters: Counters) {
        let mut seen: BTreeMap<ObjectId, &str> = BTreeMap::new();
        let mut found: Vec<(ObjectId, &str)> = Vec::new();
        for pieces in self.blocks.values().flat_map(BTreeMap::values) {
            let in_block: BTreeSet<_> = pieces.iter().map(|piece| piece.object).collect();
            found.extend(in_block.into_iter().map(|object| (object, "in a block")));
        }
        found.extend(self.granted.iter().map(|object| (*object, "granted")));
        found.extend(self.dead.iter().map(|object| (*object, "dead")));
        for (object, state) in found {
            if let Some(other) = seen.insert(object, state) {
                self.problems.push(format!("object {object} is {state} and {other}"));
            }
            let was_granted = (1..counters.next_object).contains(&object.0);
            self.expect(was_granted, || format!("object {object} is {state} but was never granted"));
        }
    }

    fn counters(&mut self, counters: Counters) {
        let inodes = self.inodes.len() as u64;
        self.expect(counters.inodes_used == inodes, || format!("{} inodes used, found {inodes}", counters.inodes_used));
        let bytes: u64 = self.inodes.values().map(|inode| inode.attr.allocated).sum();
        self.expect(counters.bytes_used == bytes, || format!("{} bytes used, found {bytes}", counters.bytes_used));
        let highest = self.inodes.values().map(|inode| inode.ino().0.max(inode.map.0)).max().unwrap_or(0);
        self.expect(highest < counters.next_id, || format!("id {highest} is in use, next is {}", counters.next_id));
    }
}
