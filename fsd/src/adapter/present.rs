//! How files show themselves to the kernel.

use std::sync::Arc;
use std::time::Duration;

use auth::MountFlags;
use fuse_backend_rs::abi::fuse_abi as abi;
use proto::{Attr, FileKind, InodeId, VolumeStat};

use crate::state::{LiveFlags, Permissions};

/// What every reply of a mount has in common.
#[derive(Clone, Debug)]
pub(crate) struct Presentation {
    /// The directory that the mount shows as its root.
    pub(crate) root: InodeId,
    /// How long the kernel may trust attributes.
    pub(crate) attr_valid: Duration,
    /// How long the kernel may trust that a name stands for a file.
    pub(crate) entry_valid: Duration,
    /// Who decides what programs may do.
    pub(crate) permissions: Permissions,
    /// Restrictions: with `noSUID`, set-id bits of regular files are hidden.
    pub(crate) flags: Arc<LiveFlags>,
}

/// The inode that a node id of the kernel stands for.
pub(super) fn inode_id(node: u64, root: InodeId) -> InodeId {
    if node == abi::ROOT_ID { root } else { InodeId(node) }
}

/// The kernel's node id of an inode.
pub(crate) fn node_id(ino: InodeId, root: InodeId) -> u64 {
    if ino == root { abi::ROOT_ID } else { ino.0 }
}

impl Presentation {
    /// A whole volume by a mount's defaults, without restrictions.
    pub(crate) fn usual() -> Self {
        Self {
            root: InodeId::ROOT,
            attr_valid: Duration::from_secs(1),
            entry_valid: Duration::from_secs(1),
            permissions: Permissions::KernelFirst,
            flags: Arc::new(LiveFlags::new(MountFlags::default())),
        }
    }

    pub(super) fn entry(&self, attr: &Attr) -> abi::EntryOut {
        let entry_valid = self.entry_valid();
        abi::EntryOut {
            nodeid: node_id(attr.ino, self.root),
            generation: 0,
            entry_valid: entry_valid.as_secs(),
            attr_valid: self.attr_valid.as_secs(),
            entry_valid_nsec: entry_valid.subsec_nanos(),
            attr_valid_nsec: self.attr_valid.subsec_nanos(),
            attr: self.attr(attr),
        }
    }

    /// A kernel that leaves decisions to the server hands a name that it knows to everybody. That is right while all are
    /// one user; when they are not any more, each is to ask.
    fn entry_valid(&self) -> Duration {
        let is_everybodys = self.permissions == Permissions::KernelFirst || self.flags.has_fixed_identity();
        if is_everybodys { self.entry_valid } else { Duration::ZERO }
    }

    pub(super) fn attr_out(&self, attr: &Attr, age: Duration) -> abi::AttrOut {
        let valid = self.attr_valid.saturating_sub(age);
        abi::AttrOut {
            attr_valid: valid.as_secs(),
            attr_valid_nsec: valid.subsec_nanos(),
            dummy: 0,
            attr: self.attr(attr),
        }
    }

    fn attr(&self, attr: &Attr) -> abi::Attr {
        let is_hidden = attr.kind == FileKind::Regular && self.flags.current().no_suid;
        let hidden = if is_hidden { SET_ID_BITS } else { 0 };
        abi::Attr {
            ino: attr.ino.0,
            size: attr.size,
            blocks: attr.allocated.div_ceil(512),
            atime: attr.atime.secs as u64,
            mtime: attr.mtime.secs as u64,
            ctime: attr.ctime.secs as u64,
            atimensec: attr.atime.nanos,
            mtimensec: attr.mtime.nanos,
            ctimensec: attr.ctime.nanos,
            mode: attr.mode() & !hidden,
            nlink: attr.nlink,
            uid: attr.uid,
            gid: attr.gid,
            rdev: attr.rdev,
            blksize: PREFERRED_IO,
            flags: 0,
        }
    }
}

/// `S_ISUID` and `S_ISGID`.
pub(crate) const SET_ID_BITS: u32 = 0o6000;
/// `st_blksize`: programs size their buffers by it, and a request costs more than the copy of 128 KiB.
const PREFERRED_IO: u32 = 128 << 10;
/// Unit of statfs(2).
const STAT_BLOCK: u64 = 4096;
/// Shown as the volume's size in bytes where no quota bounds it: 1 PiB.
const NO_QUOTA_BYTES: u64 = 1 << 50;
/// Shown as the number of inodes where no quota bounds it.
const NO_QUOTA_INODES: u64 = 1 << 32;

pub(super) fn statfs(stat: &VolumeStat) -> abi::StatfsOut {
    let unless_zero = |max: u64, default: u64| if max == 0 { default } else { max };
    let blocks = unless_zero(stat.bytes_max, NO_QUOTA_BYTES) / STAT_BLOCK;
    let blocks_free = blocks.saturating_sub(stat.bytes_used.div_ceil(STAT_BLOCK));
    let files = unless_zero(stat.inodes_max, NO_QUOTA_INODES);
    let st = abi::Kstatfs {
        blocks,
        bfree: blocks_free,
        bavail: blocks_free,
        files,
        ffree: files.saturating_sub(stat.inodes_used),
        bsize: STAT_BLOCK as u32,
        namelen: proto::NAME_MAX as u32,
        frsize: STAT_BLOCK as u32,
        ..Default::default()
    };
    abi::StatfsOut { st }
}

#[cfg(test)]
mod tests;
