//! What a mount asks of a metadata server, one message a stream.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    BlockIndex, InodeId, LockKind, LockOwner, LockSpan, Name, ObjectId, OperationId, Piece, Rewrite, Timespec,
};

/// Who asks: the process behind the request, as the mount's kernel says. `groups` is left out at first;
/// where the decision depends on it the server answers [`crate::Refused::NeedGroups`] and the mount asks again with them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// File system user id.
    pub uid: u32,
    /// File system group id.
    pub gid: u32,
    /// Supplementary groups, at most [`crate::limits::GROUPS_MAX`].
    pub groups: Option<Vec<u32>>,
}

impl Caller {
    /// The superuser of the mounting host.
    pub const ROOT: Self = Self { uid: 0, gid: 0, groups: None };
}

/// A request with its envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestFrame {
    /// Set on mutating requests only: makes a repetition after a reconnect harmless.
    pub operation: Option<OperationId>,
    /// Who asks.
    pub caller: Caller,
    /// What is asked.
    pub request: Request,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// Bytes will be read.
    pub read: bool,
    /// Bytes will be written.
    pub write: bool,
    /// The file will be executed.
    pub execute: bool,
}

/// A time to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetTime {
    /// The server's clock: allowed to whoever may write.
    Now,
    /// This time: allowed to the owner.
    At(Timespec),
}

/// Attributes to change; `None` leaves one as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttrChanges {
    /// New permission bits (12 bits).
    pub perm: Option<u16>,
    /// New owner.
    pub uid: Option<u32>,
    /// New group.
    pub gid: Option<u32>,
    /// New length: truncates or extends with zeroes.
    pub size: Option<u64>,
    /// New access time.
    pub atime: Option<SetTime>,
    /// New modification time.
    pub mtime: Option<SetTime>,
    /// Drop set-user-id, set-group-id and `security.capability`, as a write by somebody else than the owner does.
    pub kill_privileges: bool,
}

/// What may stand at the new name of a rename.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenameMode {
    /// Anything: it is replaced.
    Replace,
    /// Nothing: else `EEXIST`.
    NoReplace,
    /// Something: the two names change places.
    Exchange,
}

/// What may stand under the name of an extended attribute that is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum XattrMode {
    /// Anything.
    Any,
    /// Nothing: else `EEXIST`.
    Create,
    /// Something: else `ENODATA`.
    Replace,
}

/// A new file that is no regular file to be opened at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NewNode {
    /// A regular file, FIFO, socket or device: type and permission bits, device number.
    Node {
        /// `st_mode`: type and permission bits, umask already applied.
        mode: u32,
        /// Device number of a device node, else 0.
        rdev: u32,
    },
    /// A directory with these permission bits.
    Directory {
        /// Permission bits, umask already applied.
        perm: u16,
    },
    /// A symbolic link to this target.
    Symlink {
        /// 1 to [`crate::limits::SYMLINK_MAX`] bytes.
        target: Bytes,
    },
}

/// New content of one block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockChange {
    /// A piece over what is there.
    Write(BlockIndex, Piece),
    /// A piece that holds copies of what was there besides what was written. Not in one commit with a hole.
    Rewrite(BlockIndex, Rewrite),
    /// The bytes `start..end` of the block become a hole.
    Punch(BlockIndex, u32, u32),
}

impl BlockChange {
    /// The block that is changed.
    #[must_use]
    pub const fn block(&self) -> BlockIndex {
        match self {
            Self::Write(index, _) | Self::Rewrite(index, _) | Self::Punch(index, ..) => *index,
        }
    }

    /// The piece that is put into the block; `None` for a hole.
    #[must_use]
    pub const fn piece(&self) -> Option<&Piece> {
        match self {
            Self::Write(_, piece) | Self::Rewrite(_, Rewrite { piece, .. }) => Some(piece),
            Self::Punch(..) => None,
        }
    }

    /// First byte of the block behind the last one that was written; `None` where none was.
    #[must_use]
    pub fn written_end(&self) -> Option<u32> {
        match self {
            Self::Write(_, piece) => Some(piece.end),
            Self::Rewrite(_, rewrite) => rewrite.written_end(),
            Self::Punch(..) => None,
        }
    }
}

/// Written data that becomes part of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// The file.
    pub ino: InodeId,
    /// Pieces and holes, applied in order; at most [`crate::limits::COMMIT_BLOCKS_MAX`].
    pub changes: Vec<BlockChange>,
    /// The whole content instead of pieces: at most [`crate::limits::INLINE_MAX`] bytes, and only while
    /// `base_version` is still the file's version (else `EAGAIN`: make it anew, or write pieces).
    pub inline: Option<Bytes>,
    /// The version the mount saw last. Where it is not the newest any more, others wrote in between, and `mtime` does not
    /// turn their time of change back.
    pub base_version: u64,
    /// End of the written range: the file becomes at least this long.
    pub size_min: u64,
    /// Time of the last write.
    pub mtime: Timespec,
    /// Answer only when the commit and all before it are on disk.
    pub durable: bool,
}

/// Handles of a file that a mount gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Close {
    /// The file.
    pub ino: InodeId,
    /// Number of opens given back.
    pub count: u32,
    /// Last read, where access times are kept and this one is worth keeping.
    pub atime: Option<Timespec>,
}

/// An open file that a mount claims again after the server was restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The file.
    pub ino: InodeId,
    /// Number of opens.
    pub count: u32,
    /// Whether one of them may write.
    pub write: bool,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "fields are named after the argument of the system call")]
pub enum Request {
    /// The file under a name. Reply: `Entry`.
    Lookup { parent: InodeId, name: Name },
    /// Reply: `Entry`.
    GetAttr { ino: InodeId },
    /// Whether the caller may do all of this with a file or directory, for access(2). Reply: `Done`.
    Check { ino: InodeId, access: Access },
    /// `by_handle`: through an open file that may write, so a new size needs no permission. Reply: `Entry`.
    SetAttr { ino: InodeId, changes: AttrChanges, by_handle: bool },
    /// Creates a regular file and opens it. A file that is there is opened, or with `exclusive` `EEXIST`. Reply: `Opened`.
    Create { parent: InodeId, name: Name, perm: u16, access: Access, exclusive: bool, truncate: bool },
    /// Reply: `Entry`.
    Make { parent: InodeId, name: Name, node: NewNode },
    /// Reply: `Target`.
    ReadLink { ino: InodeId },
    /// Reply: `Entry`.
    Link { ino: InodeId, parent: InodeId, name: Name },
    /// Reply: `Done`.
    Unlink { parent: InodeId, name: Name },
    /// Reply: `Done`.
    RemoveDir { parent: InodeId, name: Name },
    /// Reply: `Done`.
    Rename { parent: InodeId, name: Name, new_parent: InodeId, new_name: Name, mode: RenameMode },
    /// Whether the caller may list the directory. Reply: `Done`.
    OpenDir { ino: InodeId },
    /// Entries behind `offset` (0 = from the start), at most `bytes_max` bytes of records. Reply: `Names`.
    ReadDir { ino: InodeId, offset: u64, bytes_max: u32, attrs: bool },
    /// Opens a file. `truncate` empties it (needs `write`). Reply: `Opened`.
    Open { ino: InodeId, access: Access, truncate: bool },
    /// Gives handles back; at most [`crate::limits::HANDLES_MAX`]. Reply: `Done`.
    Release { closes: Vec<Close> },
    /// Claims open files of before a server's restart. Reply: `Claimed`.
    Reclaim { claims: Vec<Claim> },
    /// The block map of an open file. Reply: `Layout`.
    GetLayout { ino: InodeId, first: BlockIndex, count: u32 },
    /// Reply: `Entry`.
    Commit(Commit),
    /// Answers when everything acknowledged so far is on disk. Reply: `Done`.
    Sync,
    /// Object ids to write data under, at most [`crate::limits::GRANT_MAX`]. `given_back`, as many at the most: ids that the
    /// mount will not commit any more; those that are not its to commit are passed over. Reply: `Granted`.
    GrantObjects { count: u32, given_back: Vec<ObjectId> },
    /// Reply: `Value`.
    GetXattr { ino: InodeId, name: Bytes },
    /// Reply: `Done`.
    SetXattr { ino: InodeId, name: Bytes, value: Bytes, mode: XattrMode },
    /// Names, each with a NUL behind it. Reply: `Value`.
    ListXattr { ino: InodeId },
    /// Reply: `Done`.
    RemoveXattr { ino: InodeId, name: Bytes },
    /// Reply: `StatFs`.
    StatFs,
    /// Locks a range of a file that the session has open, an exclusive one of kind `Range` for writing. Does not wait: `EAGAIN`
    /// where others hold it. `ENOLCK` where the owner or the session holds too many. Reply: `Entry`, as the file is now.
    Lock { ino: InodeId, kind: LockKind, owner: LockOwner, span: LockSpan },
    /// Gives up what the owner holds of a range, both bytes included. Reply: `Done`.
    Unlock { ino: InodeId, kind: LockKind, owner: LockOwner, start: u64, end: u64 },
    /// What stands against a lock. Reply: `Lock`.
    TestLock { ino: InodeId, kind: LockKind, owner: LockOwner, span: LockSpan },
    /// Answers when a lock may be had, or after [`crate::limits::LOCK_WAIT_MS`]; whoever asked then tries again. `EDEADLK` where others
    /// wait for what the owner holds before they give up what it wants. Reply: `Done`.
    AwaitLock { ino: InodeId, kind: LockKind, owner: LockOwner, span: LockSpan },
}

impl Request {
    /// Whether the request must not be carried out twice: it then carries an operation id.
    #[must_use]
    pub const fn is_mutation(&self) -> bool {
        match self {
            Self::SetAttr { .. }
            | Self::Create { .. }
            | Self::Make { .. }
            | Self::Link { .. }
            | Self::Unlink { .. }
            | Self::RemoveDir { .. }
            | Self::Rename { .. }
            | Self::Commit(_)
            | Self::GrantObjects { .. }
            | Self::SetXattr { .. }
            | Self::RemoveXattr { .. }
            | Self::Lock { .. }
            | Self::Unlock { .. } => true,
            Self::Open { truncate, .. } => *truncate,
            Self::Lookup { .. }
            | Self::GetAttr { .. }
            | Self::Check { .. }
            | Self::ReadLink { .. }
            | Self::OpenDir { .. }
            | Self::ReadDir { .. }
            | Self::Release { .. }
            | Self::Reclaim { .. }
            | Self::GetLayout { .. }
            | Self::Sync
            | Self::GetXattr { .. }
            | Self::ListXattr { .. }
            | Self::TestLock { .. }
            | Self::AwaitLock { .. }
            | Self::StatFs => false,
        }
    }

    /// Whether the request is about locks alone: no file becomes another by it.
    #[must_use]
    pub const fn is_lock(&self) -> bool {
        matches!(self, Self::Lock { .. } | Self::Unlock { .. } | Self::TestLock { .. } | Self::AwaitLock { .. })
    }

    crate::named_variants! {
        pub, "requests":
        Self::Lookup { .. } => "lookup",
        Self::GetAttr { .. } => "getattr",
        Self::Check { .. } => "check",
        Self::SetAttr { .. } => "setattr",
        Self::Create { .. } => "create",
        Self::Make { .. } => "make",
        Self::ReadLink { .. } => "readlink",
        Self::Link { .. } => "link",
        Self::Unlink { .. } => "unlink",
        Self::RemoveDir { .. } => "rmdir",
        Self::Rename { .. } => "rename",
        Self::OpenDir { .. } => "opendir",
        Self::ReadDir { .. } => "readdir",
        Self::Open { .. } => "open",
        Self::Release { .. } => "release",
        Self::Reclaim { .. } => "reclaim",
        Self::GetLayout { .. } => "layout",
        Self::Commit(_) => "commit",
        Self::Sync => "sync",
        Self::GrantObjects { .. } => "grant",
        Self::GetXattr { .. } => "getxattr",
        Self::SetXattr { .. } => "setxattr",
        Self::ListXattr { .. } => "listxattr",
        Self::RemoveXattr { .. } => "removexattr",
        Self::StatFs => "statfs",
        Self::Lock { .. } => "lock",
        Self::Unlock { .. } => "unlock",
        Self::TestLock { .. } => "testlock",
        Self::AwaitLock { .. } => "awaitlock",
    }
}
