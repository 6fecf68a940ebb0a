//! Random operations of three sessions and three users, each answered as the model says; then every invariant.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use bytes::Bytes;
use proptest::prelude::*;
use proto::dirent::DirRecords;
use proto::{
    Access, AttrChanges, BlockChange, BlockIndex, Caller, Close, Commit, Copied, Errno, FileKind, InodeId, Layout,
    NewNode, Refused, RenameMode, Reply, Request, Rewrite, Source,
};

use super::model::{Answer, Byte, Created, Model, Node, Rewritten, Who, inline_value};
use super::world::{BLOCK_SIZE, LIMITS, User, World, commit, name, piece};
use crate::engine::SessionContext;
use crate::store::{MemoryKv, MetaKv};

/// One operation: what, and the numbers it is made of.
pub(super) type Step = (u8, u8, u8, u8, u8, u8);

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const PERMS: [u16; 8] = [0o777, 0o755, 0o700, 0o1777, 0o2775, 0o644, 0o6755, 0o000];
const USERS: [(u32, &[u32]); 3] = [(0, &[]), (1, &[7, 2]), (2, &[])];

/// A volume and its model, side by side.
pub(super) struct Pair<K: MetaKv> {
    pub(super) world: World<K>,
    pub(super) model: Model,
    pub(super) sessions: Vec<SessionContext>,
    /// Every id there ever was.
    inos: Vec<u64>,
    /// Every object id that was granted.
    objects: Vec<u64>,
    /// What is in the objects that were written: of each byte of the file what a reader sees.
    contents: BTreeMap<u64, BTreeMap<u64, u64>>,
    /// What mounts saw of files, to rewrite blocks by when it is old.
    looks: Vec<Look>,
    next_session: u128,
}

/// What a mount saw of a file.
struct Look {
    ino: u64,
    layout: Layout,
    node: Node,
}

impl<K: MetaKv> Pair<K> {
    pub(super) fn new(kv: K) -> Self {
        let world = World::on(kv, LIMITS);
        let mut pair = Self {
            world,
            model: Model::new(),
            sessions: Vec::new(),
            inos: vec![1],
            objects: Vec::new(),
            contents: BTreeMap::new(),
            looks: Vec::new(),
            next_session: 10,
        };
        pair.add_session(1, false);
        pair.step((12, 0, 0, 0, 0, 0));
        pair.step((2, 0, 0, 0, 0, 0));
        pair.add_session(pair.inos[1], false);
        pair.add_session(1, true);
        pair
    }

    fn add_session(&mut self, root: u64, read_only: bool) {
        self.next_session += 1;
        self.sessions.push(self.world.mount(self.next_session, InodeId(root), read_only));
        self.model.sessions.push((root, read_only));
    }

    /// The same volume served by another process.
    pub(super) fn reopen(self, open: impl FnOnce() -> K) -> Self {
        Self { world: self.world.reopened(open), ..self }
    }

    fn who(&self, number: u8) -> (Who, User<'_, K>) {
        let (uid, groups) = USERS[usize::from(number) % 3];
        // Mostly the session that may do everything.
        let session = [0, 0, 1, 0, 0, 1, 0, 2][usize::from(number / 3) % 8];
        let caller = Caller { uid, gid: uid, groups: Some(groups.to_vec()) };
        (Who { session, uid, groups }, self.world.user(&self.sessions[session], caller))
    }

    fn ino(&self, number: u8) -> u64 {
        // Recent ones twice as often.
        let count = self.inos.len();
        let number = usize::from(number);
        if number < 85 { self.inos[number % count] } else { self.inos[count - 1 - number % count.min(6)] }
    }

    /// Does one operation on both sides and compares the answers.
    pub(super) fn step(&mut self, (what, who, a, b, c, d): Step) {
        let (name_b, name_d) = (NAMES[usize::from(b) % 5], NAMES[usize::from(d) % 5]);
        let perm = PERMS[usize::from(c) % 8];
        let (dir, other) = (self.ino(a), self.ino(c));
        match what % 28 {
            0 | 1 => self.create(who, dir, name_b, perm, d % 4 == 0),
            2 | 3 => self.make(who, dir, name_b, NewNode::Directory { perm: perm & 0o1777 }),
            4 => self.make(who, dir, name_b, NewNode::Symlink { target: Bytes::from_static(b"to") }),
            5 => self.link(who, other, dir, name_b),
            6 | 7 => self.unlink(who, dir, name_b, false),
            8 => self.unlink(who, dir, name_b, true),
            9..=11 => self.rename(who, (dir, name_b), (other, name_d), (b ^ d) % 3),
            12 => self.set(who, dir, AttrChanges { perm: Some(perm), ..AttrChanges::default() }),
            13 => {
                let choice = |number: u8| [None, Some(0), Some(1), Some(2)][usize::from(number) % 4];
                self.set(who, dir, AttrChanges { uid: choice(b), gid: choice(d), ..AttrChanges::default() });
            }
            14 => self.set(who, dir, AttrChanges { size: Some(u64::from(b)), ..AttrChanges::default() }),
            15 | 16 => self.open(who, dir, b, d % 8 == 0),
            17 => self.close(who, dir),
            18 | 19 => self.write(who, dir, b, c, d),
            20 => self.write_inline(who, dir, b),
            21 => self.lookup(who, dir, name_b),
            22 => drop(self.world.volume.sweep(self.world.now(), usize::from(b)).unwrap()),
            23 | 24 => self.look(dir),
            25 | 26 => self.rewrite(who, a, b, c, d),
            _ if b < 24 => self.replace_session(usize::from(b % 2)),
            _ => self.lookup(who, dir, name_b),
        }
        self.world.check_dirs();
    }

    fn create(&mut self, who: u8, dir: u64, text: &str, perm: u16, exclusive: bool) {
        let (who, user) = self.who(who);
        let access = Access { read: true, write: true, execute: false };
        let parent = InodeId(dir);
        let request = Request::Create { parent, name: name(text), perm, access, exclusive, truncate: false };
        let reply = twice(&user, request);
        let answer = self.model.create(who, dir, text, perm, exclusive);
        let Some((attr_ino, created)) = agree(reply, answer) else { return };
        match created {
            Created::Old(ino) => assert_eq!(ino, attr_ino),
            Created::New(file) => {
                self.model.place(attr_ino, file);
                self.model.note_open(who, attr_ino, true);
                self.inos.push(attr_ino);
            }
        }
    }

    fn make(&mut self, who: u8, dir: u64, text: &str, node: NewNode) {
        let (who, user) = self.who(who);
        let (kind, perm) = match node {
            NewNode::Directory { perm } => (FileKind::Directory, perm),
            _ => (FileKind::Symlink, 0o777),
        };
        let reply = twice(&user, Request::Make { parent: InodeId(dir), name: name(text), node });
        let answer = self.model.make(who, dir, text, kind, perm);
        if let Some((ino, file)) = agree(reply, answer) {
            self.model.place(ino, file);
            if kind == FileKind::Symlink {
                self.model.nodes.get_mut(&ino).unwrap().size = 2;
            }
            self.inos.push(ino);
        }
    }

    fn link(&mut self, who: u8, ino: u64, dir: u64, text: &str) {
        let (who, user) = self.who(who);
        let reply = twice(&user, Request::Link { ino: InodeId(ino), parent: InodeId(dir), name: name(text) });
        agree(reply, self.model.link(who, ino, dir, text));
    }

    fn unlink(&mut self, who: u8, dir: u64, text: &str, wants_dir: bool) {
        let (who, user) = self.who(who);
        let (parent, name) = (InodeId(dir), name(text));
        let request = if wants_dir { Request::RemoveDir { parent, name } } else { Request::Unlink { parent, name } };
        agree(twice(&user, request), self.model.unlink(who, dir, text, wants_dir));
    }

    fn rename(&mut self, who: u8, from: (u64, &str), to: (u64, &str), mode: u8) {
        let (who, user) = self.who(who);
        let modes = [RenameMode::Replace, RenameMode::NoReplace, RenameMode::Exchange];
        let request = Request::Rename {
            parent: InodeId(from.0),
            name: name(from.1),
            new_parent: InodeId(to.0),
            new_name: name(to.1),
            mode: modes[usize::from(mode)],
        };
        agree(twice(&user, request), self.model.rename(who, from, to, mode));
    }

    fn set(&mut self, who: u8, ino: u64, changes: AttrChanges) {
        let (who, user) = self.who(who);
        let AttrChanges { perm, uid, gid, size, .. } = changes;
        let reply = twice(&user, Request::SetAttr { ino: InodeId(ino), changes, by_handle: false });
        let answer = match (perm, size) {
            (Some(perm), _) => self.model.chmod(who, ino, perm),
            (_, Some(size)) => self.model.truncate(who, ino, size),
            _ => self.model.chown(who, ino, uid, gid),
        };
        agree(reply, answer);
    }

    fn open(&mut self, who: u8, ino: u64, want: u8, truncate: bool) {
        let (who, user) = self.who(who);
        let access = Access { read: want & 4 != 0, write: want & 2 != 0, execute: want & 1 != 0 };
        let reply = twice(&user, Request::Open { ino: InodeId(ino), access, truncate });
        agree(reply, self.model.open(who, ino, u16::from(want & 7), truncate));
    }

    fn close(&mut self, who: u8, ino: u64) {
        let (who, user) = self.who(who);
        let closes = vec![Close { ino: InodeId(ino), count: 1, atime: None }];
        assert_eq!(user.ask(Request::Release { closes }), Ok(Reply::Done));
        self.model.close(who.session, ino);
    }

    fn write(&mut self, who: u8, ino: u64, b: u8, c: u8, d: u8) {
        let (who, user) = self.who(who);
        let block = u64::from(b % 5);
        let (low, high) = (u32::from(c) % (BLOCK_SIZE + 1), u32::from(d) % (BLOCK_SIZE + 1));
        let (start, end) = if low == high { (0, BLOCK_SIZE) } else { (low.min(high), low.max(high)) };
        let punches = b >= 200;
        let object = if punches || self.model.sessions[who.session].1 { 0 } else { user.grant(1) };
        let change = match punches {
            true => BlockChange::Punch(BlockIndex(block), start, end),
            false => BlockChange::Write(BlockIndex(block), piece(start, end, object)),
        };
        let reply = twice(&user, Request::Commit(commit(InodeId(ino), vec![change])));
        let answer = self.model.write(who, ino, block, (start, end), (!punches).then_some(object));
        agree(reply, answer);
        self.objects.extend((object > 0).then_some(object));
        self.contents.insert(object, places(block, start..end).map(|(_, place)| (place, object)).collect());
    }

    /// Remembers the map of a file.
    fn look(&mut self, ino: u64) {
        let root = self.world.user(&self.sessions[0], Caller::ROOT);
        let Some(node) = self.model.nodes.get(&ino).filter(|node| node.kind == FileKind::Regular) else { return };
        let Ok(layout) = root.layout(InodeId(ino), 0, 1024) else { return };
        let look = Look { ino, layout, node: node.clone() };
        self.looks.truncate(7);
        self.looks.insert(0, look);
    }

    /// Rewrites a block as a mount would that has not looked since.
    fn rewrite(&mut self, who: u8, a: u8, b: u8, c: u8, d: u8) {
        let (who, user) = self.who(who);
        if self.looks.is_empty() || self.model.sessions[who.session].1 {
            return;
        }
        let look = &self.looks[usize::from(a) % self.looks.len()];
        let (ino, block) = (look.ino, u64::from(b % 5));
        let (low, high) = (u32::from(c) % (BLOCK_SIZE + 1), u32::from(d) % (BLOCK_SIZE + 1));
        let span = if low == high { (0, BLOCK_SIZE) } else { (low.min(high), low.max(high)) };
        let mask = a.wrapping_mul(29) ^ d;
        let is_written = |at: u32| (mask >> (at / 2)) & 1 == 1;
        let object = user.grant(1);
        let mut copied: Vec<Copied> = Vec::new();
        let mut content = BTreeMap::new();
        for (at, place) in places(block, span.0..span.1) {
            if is_written(at) {
                content.insert(place, object);
                continue;
            }
            let source = source(&look.layout, place);
            content.insert(place, self.value(&look.layout, place));
            match copied.last_mut() {
                Some(last) if last.end == at && last.source == source => last.end += 1,
                _ => copied.push(Copied { start: at, end: at + 1, source }),
            }
        }
        let rewrite = Rewrite { piece: piece(span.0, span.1, object), copied };
        let change = BlockChange::Rewrite(BlockIndex(block), rewrite);
        let reply = twice(&user, Request::Commit(commit(InodeId(ino), vec![change])));
        let rewritten = Rewritten { block, span, object, is_written: &is_written, seen: &look.node };
        agree(reply, self.model.rewrite(who, ino, &rewritten));
        self.objects.push(object);
        self.contents.insert(object, content);
    }

    /// What a mount reads at a byte, by a map.
    fn value(&self, layout: &Layout, at: u64) -> u64 {
        match source(layout, at) {
            Source::Object(object) => self.contents[&object.0][&at],
            Source::Inline(_) => inline_value(layout.inline.as_ref().unwrap()[at as usize]),
            Source::Hole | Source::Nowhere => 0,
        }
    }

    fn write_inline(&mut self, who: u8, ino: u64, len: u8) {
        let (who, user) = self.who(who);
        let bytes: Vec<u8> = (0..len % 40).map(|at| at.wrapping_mul(len).max(1)).collect();
        let base_version = self.model.nodes.get(&ino).map_or(0, |node| node.version);
        let inline = Some(Bytes::from(bytes.clone()));
        let stale = Commit { inline: inline.clone(), base_version: base_version + 1, ..commit(InodeId(ino), vec![]) };
        let allowed = self.model.may_commit(who, ino);
        let expected = Err(Refused::Error(allowed.err().unwrap_or(Errno::EAGAIN)));
        assert_eq!(user.ask(Request::Commit(stale)), expected);
        let reply = twice(&user, Request::Commit(Commit { inline, base_version, ..commit(InodeId(ino), vec![]) }));
        agree(reply, self.model.write_inline(who, ino, &bytes));
    }

    fn lookup(&mut self, who: u8, dir: u64, text: &str) {
        let (who, user) = self.who(who);
        let found = user.ask(Request::Lookup { parent: InodeId(dir), name: name(text) });
        agree(found, self.model.lookup(who, dir, text));
        agree(user.ask(Request::GetAttr { ino: InodeId(dir) }), self.model.stat(who, dir));
    }

    /// Ends a session, with its opens and the objects it did not commit, and opens another in its place.
    fn replace_session(&mut self, index: usize) {
        self.world.volume.close_session(self.sessions[index].id, self.world.tick()).unwrap();
        self.model.end(index);
        let SessionContext { root, read_only, .. } = self.sessions[index];
        self.next_session += 1;
        self.sessions[index] = self.world.mount(self.next_session, root, read_only);
    }

    /// The volume is what the model says, and every invariant holds.
    pub(super) fn compare(&mut self) {
        self.world.check();
        for (ino, node) in &self.model.nodes {
            let holder = (0..3).find(|session| self.model.opens.contains_key(&(*session, *ino)));
            let session = holder.filter(|_| self.model.is_orphan(*ino)).unwrap_or(0);
            let user = self.world.user(&self.sessions[session], Caller::ROOT);
            let attr = user.stat(InodeId(*ino)).unwrap_or_else(|errno| panic!("stat of {ino}: {errno}"));
            let size = if node.kind == FileKind::Directory { 4096 } else { node.size };
            let expected = (node.kind, node.perm, self.model.nlink(*ino), node.uid, node.gid, size);
            assert_eq!((attr.kind, attr.perm, attr.nlink, attr.uid, attr.gid, attr.size), expected, "inode {ino}");
            match node.kind {
                FileKind::Directory => assert_eq!(listing(&user, *ino), node.names.clone().into_iter().collect()),
                FileKind::Regular => self.compare_content(&user, *ino),
                _ => {}
            }
        }
        assert_eq!(self.world.volume.stat().inodes_used, self.model.nodes.len() as u64);
        self.compare_objects();
    }

    fn compare_content(&self, user: &User<'_, K>, ino: u64) {
        let node = &self.model.nodes[&ino];
        assert_eq!(user.stat(InodeId(ino)).unwrap().version, node.version, "version of {ino}");
        let layout = user.layout(InodeId(ino), 0, 1024).unwrap();
        for at in 0..node.size.max(200) {
            let byte = match source(&layout, at) {
                Source::Object(object) => Byte::Object(object.0),
                Source::Inline(_) => match layout.inline.as_ref().unwrap()[at as usize] {
                    0 => Byte::Hole,
                    byte => Byte::Inline(byte),
                },
                Source::Hole | Source::Nowhere => Byte::Hole,
            };
            assert_eq!(byte, node.byte(at), "byte {at} of {ino}");
            assert_eq!(self.value(&layout, at), node.value(at), "what is read at byte {at} of {ino}");
        }
    }

    /// Dead, live and granted objects are all there ever were, each once.
    fn compare_objects(&mut self) {
        while self.world.volume.sweep(self.world.now(), 100).unwrap() {}
        let user = self.world.user(&self.sessions[0], Caller::ROOT);
        let dead = user.dead();
        let live = self.model.objects();
        let mut granted = Vec::new();
        let (from, to) = crate::engine::keys::grants();
        let collect = &mut |key: &[u8], value: &[u8]| {
            let first = crate::engine::keys::parse_grant(key).unwrap().0;
            let grant: crate::engine::grants::Grant = crate::engine::inode::decode_record("grant", value).unwrap();
            granted.extend(first..first + u64::from(grant.count));
            ControlFlow::Continue(())
        };
        self.world.volume.kv.scan(&from, &to, collect).unwrap();
        let mut all: Vec<u64> = dead.into_iter().chain(live).chain(granted).collect();
        all.sort_unstable();
        assert_eq!(all, self.objects);
        let next = user.grant(1);
        assert!(all.iter().all(|object| *object < next), "{next} was granted before");
        self.objects.push(next);
    }
}

/// The bytes of a range of a block: places in the block and in the file.
fn places(block: u64, range: std::ops::Range<u32>) -> impl Iterator<Item = (u32, u64)> {
    range.map(move |at| (at, block * u64::from(BLOCK_SIZE) + u64::from(at)))
}

/// Where a byte of a file is, by a map.
fn source(layout: &Layout, at: u64) -> Source {
    let (block, offset) = (at / u64::from(BLOCK_SIZE), (at % u64::from(BLOCK_SIZE)) as u32);
    let pieces = layout.blocks.iter().find(|(index, _)| index.0 == block).map(|(_, pieces)| pieces);
    match pieces.into_iter().flatten().find(|piece| (piece.start..piece.end).contains(&offset)) {
        Some(piece) => Source::Object(piece.object),
        None if layout.inline.as_ref().is_some_and(|inline| at < inline.len() as u64) => Source::Inline(layout.version),
        None => Source::Hole,
    }
}

/// Asks, and where it is a mutation asks again with the same id: the answer is the same.
fn twice<K: MetaKv>(user: &User<'_, K>, request: Request) -> Result<Reply, Refused> {
    if !request.is_mutation() {
        return user.ask(request);
    }
    let operation = Some(user.world.next_operation());
    let reply = user.ask_as(operation, request.clone());
    if reply.is_ok() {
        assert_eq!(user.ask_as(operation, request), reply);
    }
    reply
}

/// Both sides succeed, or both fail alike. Returns the id the engine answered and what the model said.
fn agree<T>(reply: Result<Reply, Refused>, answer: Answer<T>) -> Option<(u64, T)> {
    match (reply, answer) {
        (Ok(reply), Ok(value)) => {
            let ino = match reply {
                Reply::Entry(attr) | Reply::Opened(attr, _) => attr.ino.0,
                _ => 0,
            };
            Some((ino, value))
        }
        (Err(Refused::Error(errno)), Err(expected)) => {
            assert_eq!(errno, expected);
            None
        }
        (reply, answer) => panic!("the engine says {reply:?}, the model {:?}", answer.map(|_| "yes")),
    }
}

fn listing<K: MetaKv>(user: &User<'_, K>, ino: u64) -> BTreeSet<(String, u64)> {
    let request = Request::ReadDir { ino: InodeId(ino), offset: 0, bytes_max: 1 << 20, attrs: false };
    let Ok(Reply::Names { records, end: true }) = user.ask(request) else { panic!("cannot list {ino}") };
    DirRecords::new(&records).map(|record| (String::from_utf8_lossy(record.name).into_owned(), record.ino.0)).collect()
}

pub(super) fn steps(count: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..count)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn engine_answers_as_the_model(steps in steps(250)) {
        let mut pair = Pair::new(MemoryKv::default());
        for step in steps {
            pair.step(step);
        }
        pair.compare();
    }

    /// Two mounts that write to one file, each by what it saw of it some time ago.
    #[test]
    fn writers_with_old_maps_take_nothing_from_each_other(
        steps in prop::collection::vec((0usize..10, any::<bool>(), any::<(u8, u8, u8)>()), 1..60)
    ) {
        let mut pair = Pair::new(MemoryKv::default());
        // The second directory there is, which the second session has for its root; then the file, open at both.
        pair.step((0, 0, 1, 0, 5, 1));
        pair.step((15, 6, 2, 6, 0, 1));
        for (what, is_second, (b, c, d)) in steps {
            // Write, cut, inline commit, look, rewrite.
            let what = [18, 18, 18, 14, 20, 23, 23, 25, 25, 25][what];
            let number = if what == 25 { d } else { 2 };
            pair.step((what, if is_second { 6 } else { 0 }, number, b, c, d));
            pair.compare();
        }
    }
}
