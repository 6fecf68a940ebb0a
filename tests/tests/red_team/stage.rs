//! The stage of the attacks: a volume with a part that the attacker may see and a part that it may not, and an honest
//! session beside it.

use bytes::Bytes;
use proto::dirent::DirRecords;
use proto::{
    Access, AttrChanges, BlockChange, BlockIndex, Caller, Commit, FileKind, InodeId, Name, NewNode, ObjectId, Piece,
    RenameMode, Reply, Request, StoredFrame, Timespec, XattrMode,
};
use tests::{Cluster, Volume, WireClient};

pub(crate) const READ: Access = Access { read: true, write: false, execute: false };
pub(crate) const BOTH: Access = Access { read: true, write: true, execute: false };

/// A user of the honest host who owns nothing.
pub(crate) fn nobody() -> Caller {
    Caller { uid: 65534, gid: 65534, groups: Some(Vec::new()) }
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

/// Everybody and everything on the stage.
pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) volume: Volume,
    /// A session of the whole volume, whose things the attacker is after.
    pub(crate) honest: WireClient,
    /// A session of `/team`.
    pub(crate) scoped: WireClient,
    pub(crate) things: Things,
}

/// Ids that the attacker knows, whatever it should know of them.
#[derive(Clone, Debug)]
pub(crate) struct Things {
    /// `/team`, the root of the scoped session.
    pub(crate) team: InodeId,
    /// `/team/mine`, a file that the scoped session holds open.
    pub(crate) mine: InodeId,
    /// `/team/way-out`, a symbolic link to `../other/secret`.
    pub(crate) way_out: InodeId,
    /// `/other`.
    pub(crate) other: InodeId,
    /// `/other/secret`, a file of root with content and an attribute; the honest session holds it open.
    pub(crate) secret: InodeId,
    /// `/other/pointer`, a symbolic link.
    pub(crate) pointer: InodeId,
    /// `/other/moved`, which the scoped session had open for writing when it was moved there.
    pub(crate) moved: InodeId,
    /// `/other/carried/kept`, open as well, whose directory was moved away.
    pub(crate) kept: InodeId,
    /// `/other/carried`.
    pub(crate) carried: InodeId,
    /// A file without a name that the honest session holds open.
    pub(crate) orphan: InodeId,
    /// A file of another volume.
    pub(crate) foreign: InodeId,
    /// An object id that was granted to the honest session.
    pub(crate) honest_object: ObjectId,
    /// An object id that was granted to a session of another volume.
    pub(crate) foreign_object: ObjectId,
}

impl Things {
    /// What lies outside the scoped session's root, or nowhere: none of it can be told from what is not there.
    pub(crate) fn beyond(&self) -> Vec<InodeId> {
        let Self { other, secret, pointer, moved, kept, carried, orphan, foreign, .. } = *self;
        let guesses = [InodeId(0), InodeId(u64::MAX), InodeId(i64::MAX as u64)];
        [[InodeId::ROOT, other, secret, pointer, moved, kept, carried, orphan].as_slice(), &[foreign], &guesses]
            .concat()
    }
}

impl Stage {
    pub(crate) async fn set() -> Self {
        let cluster = Cluster::start();
        let volume = cluster.create_volume("stage", &[]);
        let mut honest = WireClient::open(&cluster, &volume.token).await;
        let team = honest.make_dir(InodeId::ROOT, "team", 0o777).await;
        let other = honest.make_dir(InodeId::ROOT, "other", 0o700).await;
        let secret = honest.create(other, "secret", 0o600).await;
        honest.write_inline(secret, "theirs").await;
        honest.set_xattr(secret, "user.note", "theirs").await;
        let pointer = honest.make_link(other, "pointer", "secret").await;
        let orphan = honest.create(other, "orphan", 0o600).await;
        honest.done(Request::Unlink { parent: other, name: name("orphan") }).await;

        let token = cluster.create_token(&volume, "/team", "");
        let mut scoped = WireClient::open(&cluster, &token).await;
        let mine = scoped.create(team, "mine", 0o644).await;
        scoped.make_dir(team, "box", 0o755).await;
        let way_out = scoped.make_link(team, "way-out", "../other/secret").await;
        let moved = scoped.create(team, "moved", 0o644).await;
        let carried = scoped.make_dir(team, "carried", 0o755).await;
        let kept = scoped.create(carried, "kept", 0o644).await;
        for moved in ["moved", "carried"] {
            let mode = RenameMode::NoReplace;
            let (parent, name, new_name) = (team, name(moved), name(moved));
            honest.done(Request::Rename { parent, name, new_parent: other, new_name, mode }).await;
        }
        let (_elsewhere, foreign, foreign_object) = elsewhere(&cluster).await;
        let honest_object = honest.grant(16).await;
        let things = Things {
            team,
            mine,
            way_out,
            other,
            secret,
            pointer,
            moved,
            kept,
            carried,
            orphan,
            foreign,
            honest_object,
            foreign_object,
        };
        Self { cluster, volume, honest, scoped, things }
    }

    /// Memory of the metadata server, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.cluster.meta.pid())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// All that the honest session can see, in words: equal words mean that nothing was changed.
    pub(crate) async fn picture(&mut self) -> Vec<String> {
        let mut words = vec![self.honest.attr_words(self.things.orphan).await];
        let mut rest = vec![InodeId::ROOT];
        while let Some(dir) = rest.pop() {
            words.push(self.honest.attr_words(dir).await);
            for (name, ino, kind) in self.honest.list(dir).await {
                words.push(format!("{dir}/{name}: {}", self.honest.attr_words(ino).await));
                match kind {
                    FileKind::Directory => rest.push(ino),
                    FileKind::Regular => words.push(self.honest.content_words(ino).await),
                    _ => words.push(format!("{:?}", self.honest.ask(Request::ReadLink { ino }).await)),
                }
            }
        }
        words
    }
}

/// A session of another volume on the same server, a file of it and an object id granted to it.
async fn elsewhere(cluster: &Cluster) -> (WireClient, InodeId, ObjectId) {
    let volume = cluster.create_volume("elsewhere", &[]);
    let mut client = WireClient::open(cluster, &volume.token).await;
    let mut file = InodeId::ROOT;
    // Volumes count their inodes alike: this one is beyond those of the stage.
    for number in 0..64 {
        file = client.create(InodeId::ROOT, &format!("file-{number}"), 0o666).await;
    }
    let object = ObjectId(client.grant(4096).await.0 + 4000);
    (client, file, object)
}

/// A commit of the first 100 bytes of a file, as this object.
pub(crate) fn commit_of(ino: InodeId, objects: &[ObjectId]) -> Request {
    let change = |(index, object): (usize, &ObjectId)| BlockChange::Write(BlockIndex(index as u64), piece(*object));
    Request::Commit(Commit {
        ino,
        changes: objects.iter().enumerate().map(change).collect(),
        inline: None,
        base_version: 0,
        size_min: 100,
        mtime: Timespec::default(),
        durable: false,
    })
}

pub(crate) fn piece(object: ObjectId) -> Piece {
    let frames = vec![StoredFrame::new(108, false)];
    Piece { start: 0, end: 100, origin: 0, len: 100, object, object_offset: 0, frames }
}

/// What a session does to set the stage; none of it may fail.
pub(crate) trait Hands {
    async fn done(&mut self, request: Request) -> Reply;
    async fn make_dir(&mut self, parent: InodeId, text: &str, perm: u16) -> InodeId;
    async fn make_link(&mut self, parent: InodeId, text: &str, target: &'static str) -> InodeId;
    async fn create(&mut self, parent: InodeId, text: &str, perm: u16) -> InodeId;
    async fn write_inline(&mut self, ino: InodeId, content: &'static str);
    async fn set_xattr(&mut self, ino: InodeId, text: &'static str, value: &'static str);
    async fn grant(&mut self, count: u32) -> ObjectId;
    async fn list(&mut self, ino: InodeId) -> Vec<(String, InodeId, FileKind)>;
    async fn attr_words(&mut self, ino: InodeId) -> String;
    async fn content_words(&mut self, ino: InodeId) -> String;
}

impl Hands for WireClient {
    async fn done(&mut self, request: Request) -> Reply {
        let shown = format!("{request:?}");
        self.ask(request).await.unwrap_or_else(|refused| panic!("{shown}: {refused:?}"))
    }

    async fn make_dir(&mut self, parent: InodeId, text: &str, perm: u16) -> InodeId {
        let request = Request::Make { parent, name: name(text), node: NewNode::Directory { perm } };
        entry(self.done(request).await)
    }

    async fn make_link(&mut self, parent: InodeId, text: &str, target: &'static str) -> InodeId {
        let node = NewNode::Symlink { target: Bytes::from_static(target.as_bytes()) };
        entry(self.done(Request::Make { parent, name: name(text), node }).await)
    }

    async fn create(&mut self, parent: InodeId, text: &str, perm: u16) -> InodeId {
        let (name, access) = (name(text), BOTH);
        match self.done(Request::Create { parent, name, perm, access, exclusive: true, truncate: false }).await {
            Reply::Opened(attr, _) => attr.ino,
            other => panic!("not opened: {other:?}"),
        }
    }

    async fn write_inline(&mut self, ino: InodeId, content: &'static str) {
        let Reply::Entry(attr) = self.done(Request::GetAttr { ino }).await else { panic!("no entry") };
        let commit = Commit {
            ino,
            changes: Vec::new(),
            inline: Some(Bytes::from_static(content.as_bytes())),
            base_version: attr.version,
            size_min: content.len() as u64,
            mtime: Timespec::default(),
            durable: false,
        };
        self.done(Request::Commit(commit)).await;
    }

    async fn set_xattr(&mut self, ino: InodeId, text: &'static str, value: &'static str) {
        let (name, value) = (Bytes::from_static(text.as_bytes()), Bytes::from_static(value.as_bytes()));
        self.done(Request::SetXattr { ino, name, value, mode: XattrMode::Any }).await;
    }

    async fn grant(&mut self, count: u32) -> ObjectId {
        match self.done(Request::GrantObjects { count, given_back: Vec::new() }).await {
            Reply::Granted { first, .. } => first,
            other => panic!("no grant: {other:?}"),
        }
    }

    async fn list(&mut self, ino: InodeId) -> Vec<(String, InodeId, FileKind)> {
        let request = Request::ReadDir { ino, offset: 0, bytes_max: 256 << 10, attrs: false };
        let Reply::Names { records, end: true } = self.done(request).await else { panic!("a short listing") };
        DirRecords::new(&records)
            .map(|record| (String::from_utf8_lossy(record.name).into_owned(), record.ino, record.kind))
            .collect()
    }

    async fn attr_words(&mut self, ino: InodeId) -> String {
        let attr = self.done(Request::GetAttr { ino }).await;
        format!("{attr:?} {:?}", self.done(Request::ListXattr { ino }).await)
    }

    async fn content_words(&mut self, ino: InodeId) -> String {
        format!("{:?}", self.done(Request::GetLayout { ino, first: BlockIndex(0), count: 1024 }).await)
    }
}

fn entry(reply: Reply) -> InodeId {
    match reply {
        Reply::Entry(attr) => attr.ino,
        other => panic!("no entry: {other:?}"),
    }
}

/// New permission bits.
pub(crate) fn chmod(perm: u16) -> AttrChanges {
    AttrChanges { perm: Some(perm), ..AttrChanges::default() }
}
