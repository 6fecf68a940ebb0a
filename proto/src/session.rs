//! Opening a session: the first stream of every connection, and what the server says unasked.

use serde::{Deserialize, Serialize};

use crate::{Attr, SessionId, VolumeId};

/// ALPN of this generation of the protocol. It changes when an old peer could misread a message.
pub const ALPN: &[u8] = b"flexfs/2";

/// Oldest minor version this build speaks.
pub const VERSION_MIN: u16 = 1;
/// Newest minor version this build speaks. 1: the first.
pub const VERSION_MAX: u16 = 1;

/// A secret in a message: never shown by `Debug`, wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted(pub String);

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Redacted {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

/// The greeting. Every connection of a mount sends one: the first opens the session, the others join it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest version the mount speaks.
    pub version_min: u16,
    /// Newest version the mount speaks.
    pub version_max: u16,
    /// The volume token.
    pub token: Redacted,
    /// Mount flags of the command line, as bits ([`crate::flag_bits`]); the server adds those of volume and token.
    pub flags: u32,
    /// Program version, for logs.
    pub client: String,
    /// Host name and mount point, for logs and lists of sessions. A session of the same token in the same place ends when
    /// another one is opened there, unless its mount still answers.
    pub place: String,
    /// The session to join or to resume, with its key.
    pub resume: Option<(SessionId, SessionKey)>,
}

impl Hello {
    /// A greeting that opens a session without restrictions, in any version that this program speaks.
    #[must_use]
    pub fn new(token: &str, client: &str, place: &str) -> Self {
        Self {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            token: Redacted(token.to_owned()),
            flags: 0,
            client: client.to_owned(),
            place: place.to_owned(),
            resume: None,
        }
    }
}

/// Proof that a connection belongs to the session's mount.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionKey(pub [u8; 16]);

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// Answer to a greeting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Greeting {
    /// The session is open.
    Welcome(Box<Welcome>),
    /// It is not; the reason is for the user to read and holds no secret.
    Sorry(SessionRefusal, String),
}

/// What a mount learns when its session opens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    /// Version both sides speak from here on.
    pub version: u16,
    /// The session.
    pub session: SessionId,
    /// Key to join it with.
    pub key: SessionKey,
    /// Whether an earlier session was taken up again: its operation ids and open files still count.
    pub resumed: bool,
    /// The volume.
    pub volume: VolumeSettings,
    /// Effective mount flags, as bits.
    pub flags: u32,
    /// Since when they hold, as in [`Event::FlagsChanged`].
    pub flags_since: i64,
    /// Whether every caller is the same user to the server, whoever it is on its host: a kernel that judges by the host's
    /// users would refuse what the server allows.
    pub fixed_identity: bool,
    /// The directory that the token's mount path names: the root of this mount.
    pub root: Attr,
}

/// Why a session was refused: what the caller should do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionRefusal {
    /// The token opens nothing (wrong, deleted, retired volume).
    TokenRejected,
    /// The token's mount path is no directory of the volume.
    MountPathMissing,
    /// No common version.
    Version,
    /// The server cannot tell right now (admin server unreachable, starting): try again.
    Unavailable,
    /// The session to join is over: open a new one.
    SessionUnknown,
    /// The server has all the sessions it takes.
    TooManySessions,
    /// The greeting breaks the protocol.
    Malformed,
}

/// How frames are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Frames are stored as they are.
    None,
    /// LZ4 block format, where it shrinks the frame.
    Lz4,
}

/// Where the bytes of a volume live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockStoreSettings {
    /// Kind of store: `local`.
    pub api_code: String,
    /// Endpoint; of a `local` store the absolute path of its folder.
    pub address: String,
    /// Bucket; of a `local` store a folder below `address`.
    pub bucket: String,
    /// Put before every key, with the volume's id behind it.
    pub prefix: String,
}

impl BlockStoreSettings {
    /// The folder `bucket` below `address` of this host.
    #[must_use]
    pub fn local(address: impl Into<String>, bucket: impl Into<String>) -> Self {
        let (address, bucket) = (address.into(), bucket.into());
        Self { api_code: "local".to_owned(), address, bucket, prefix: String::new() }
    }
}

/// Settings of a volume, fixed while a session lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSettings {
    /// The volume.
    pub id: VolumeId,
    /// Its name.
    pub name: String,
    /// Bytes in a block, a power of two.
    pub block_size: u32,
    /// Compression of new frames.
    pub compression: Compression,
    /// Seconds that replaced data is kept; -1 = for ever.
    pub retention_secs: i64,
    /// Blocks the volume may occupy; 0 = no quota.
    pub blocks_max: u64,
    /// Inodes the volume may hold; 0 = no quota.
    pub inodes_max: u64,
    /// The block store.
    pub block_store: BlockStoreSettings,
}

impl VolumeSettings {
    /// A volume without quotas that keeps nothing of what is replaced, compressed with LZ4.
    #[must_use]
    pub fn new(id: VolumeId, name: impl Into<String>, block_size: u32, block_store: BlockStoreSettings) -> Self {
        Self {
            id,
            name: name.into(),
            block_size,
            compression: Compression::Lz4,
            retention_secs: 0,
            blocks_max: 0,
            inodes_max: 0,
            block_store,
        }
    }
}

/// What a server says unasked, on a stream of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The session is over for good; the reason is for the log.
    SessionEnded(String),
    /// Other restrictions hold from here on: all of them, not only the new ones.
    FlagsChanged {
        /// Effective mount flags, as bits.
        flags: u32,
        /// As in [`Welcome`].
        fixed_identity: bool,
        /// Since when, in microseconds since 1970: of two words the newer counts.
        since: i64,
    },
    /// Is the mount still there? A receipt says so.
    Ping,
}

/// Mount flags as bits of a message. The names and the rules are `auth`'s.
#[allow(missing_docs, reason = "each constant is the flag of that name")]
pub mod flag_bits {
    pub const RO: u32 = 1 << 0;
    pub const NO_EXEC: u32 = 1 << 1;
    pub const NO_SUID: u32 = 1 << 2;
    pub const NO_ATIME: u32 = 1 << 3;
    pub const ROOT_SQUASH: u32 = 1 << 4;
    /// Every bit this version knows.
    pub const ALL: u32 = RO | NO_EXEC | NO_SUID | NO_ATIME | ROOT_SQUASH;
}
