//! What a metadata server answers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Attr, BlockIndex, Errno, InodeId, LockSpan, ObjectId, Piece, Sequence};

/// A reply with its envelope.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReplyFrame {
    /// The volume's newest commit when the reply was made: the reply shows this state or a newer one.
    pub sequence: Sequence,
    /// The newest commit known to be on disk.
    pub durable: Sequence,
    /// The directories that the request changed, as commit `sequence` left them; at most
    /// [`crate::limits::DIRS_CHANGED_MAX`]. One that is gone has no links. Whoever asked need not ask again.
    pub dirs: Vec<Attr>,
    /// How long it took the server.
    pub took: Took,
    /// The outcome.
    pub result: Result<Reply, Refused>,
}

/// Where a server's time for a request went, for whoever wonders why it is slow. Nothing is decided by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Took {
    /// From reading the request to answering it, in microseconds.
    pub micros: u32,
    /// Of that, waiting until the journal was on disk.
    pub disk_micros: u32,
}

/// Why a request was not carried out. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refused {
    /// The answer for the application.
    Error(Errno),
    /// The decision depends on the caller's supplementary groups: ask again with them.
    NeedGroups,
    /// The session is over (revoked, expired, unknown after a restart): open a new one or give up.
    SessionEnded,
    /// The request breaks the protocol; the server counts it.
    Malformed,
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self::Error(errno)
    }
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Version of the content this is the map of.
    pub version: u64,
    /// The file's first bytes, where the inode record keeps them. Pieces lie over them.
    pub inline: Option<Bytes>,
    /// First block the map speaks of.
    pub first: BlockIndex,
    /// First block behind what the map speaks of. A block in between that is not in `blocks` is a hole.
    pub behind: BlockIndex,
    /// Blocks with pieces, ascending.
    pub blocks: Vec<(BlockIndex, Vec<Piece>)>,
}

/// Size and use of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeStat {
    /// Bytes the volume may hold; 0 = no quota.
    pub bytes_max: u64,
    /// Bytes its files occupy.
    pub bytes_used: u64,
    /// Inodes the volume may hold; 0 = no quota.
    pub inodes_max: u64,
    /// Inodes in use.
    pub inodes_used: u64,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// Carried out; nothing to tell.
    Done,
    /// The file found, made or changed.
    Entry(Attr),
    /// The file that was opened and the head of its block map.
    Opened(Attr, Layout),
    /// A file and more of its block map, both of one version.
    Layout(Attr, Layout),
    /// Target of a symbolic link.
    Target(Bytes),
    /// Packed directory records ([`crate::dirent`]); `end` where none follow.
    Names {
        /// The records.
        records: Bytes,
        /// Whether the listing ends with them.
        end: bool,
    },
    /// Value of an extended attribute, or the list of names.
    Value(Bytes),
    /// Claimed files that are no more.
    Claimed {
        /// Inodes that could not be claimed: gone while the server was away.
        gone: Vec<InodeId>,
    },
    /// Object ids `first .. first + count` are the session's to write.
    Granted {
        /// First id.
        first: ObjectId,
        /// Number of ids.
        count: u32,
    },
    /// Size and use of the volume.
    StatFs(VolumeStat),
    /// The lock that stands against the one asked about, if any. Of another mount's the process is 0.
    Lock(Option<LockSpan>),
}
