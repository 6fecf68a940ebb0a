//! Bounds of every message. A peer that exceeds one is wrong or hostile; its message is refused, never truncated.

/// Longest encoded request or reply in bytes: a full readdir page or a full commit fits with room to spare.
pub const MESSAGE_MAX: usize = 2 << 20;
/// Longest encoded session greeting in bytes. It is read before the peer is known.
pub const HELLO_MAX: usize = 16 << 10;
/// Longest symlink target in bytes (Linux `PATH_MAX` less the NUL).
pub const SYMLINK_MAX: usize = 4095;
/// Longest extended attribute name in bytes (Linux `XATTR_NAME_MAX`).
pub const XATTR_NAME_MAX: usize = 255;
/// Longest extended attribute value in bytes (Linux `XATTR_SIZE_MAX`).
pub const XATTR_VALUE_MAX: usize = 64 << 10;
/// Longest list of extended attribute names of one file in bytes (Linux `XATTR_LIST_MAX`).
pub const XATTR_LIST_MAX: usize = 64 << 10;
/// Bytes of directory records a reply carries at the most.
pub const READDIR_BYTES_MAX: u32 = 256 << 10;
/// Supplementary groups of a caller (Linux allows 65,536; more than these are refused with `EINVAL`).
pub const GROUPS_MAX: usize = 1024;
/// Block changes in one commit.
pub const COMMIT_BLOCKS_MAX: usize = 1024;
/// Ranges of copied bytes in one commit.
pub const COPIES_MAX: usize = 4096;
/// Block map entries in one reply.
pub const BLOCKS_MAX: u32 = 1024;
/// Who asks for no more block map entries than these gets them in few kibibytes, or fewer of them.
pub const SHORT_MAP_BLOCKS: u32 = 16;
/// Pieces a block may consist of. A mount rewrites a block long before.
pub const PIECES_MAX: usize = 256;
/// Content kept in the inode record itself, in bytes; a longer file lives in the block store.
pub const INLINE_MAX: u32 = 8 << 10;
/// Directories that one request changes: a rename has two with names in them, the one that is moved, and the one that
/// changes places with it or is replaced by it.
pub const DIRS_CHANGED_MAX: usize = 4;
/// Object ids granted at once.
pub const GRANT_MAX: u32 = 4096;
/// Mutating requests a session may have unanswered at once: also the length of its ledger.
pub const OPERATIONS_IN_FLIGHT_MAX: u64 = 256;
/// Handles closed or claimed by one message.
pub const HANDLES_MAX: usize = 4096;
/// Ranges that one owner (a process, an open file description) may have locked of one file.
pub const LOCK_SPANS_MAX: usize = 1024;
/// How long a server keeps a mount waiting for a lock before it has to ask again, in milliseconds: less than a mount
/// waits for any answer.
pub const LOCK_WAIT_MS: u64 = 4000;
/// Length limit of a file in bytes: offsets are signed 64-bit numbers in the kernel's interface.
pub const FILE_SIZE_MAX: u64 = i64::MAX as u64;
