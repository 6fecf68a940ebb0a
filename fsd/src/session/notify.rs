//! Notices to the kernel: what it must not believe any longer.

use fuse_backend_rs::abi::fuse_abi as abi;
use proto::InodeId;

use super::device::Device;
use crate::adapter::{bytes_of, node_id};

/// `FUSE_NOTIFY_INC_EPOCH` (Linux 6.16): all names are to be looked up again.
const INC_EPOCH: i32 = 8;

/// Drops the kernel's attributes of a file, not its pages. Never waits for a page, so a serving thread may do it.
pub(super) fn drop_attributes(device: &Device, ino: InodeId, root: InodeId) {
    invalidate(device, ino, root, -1);
}

/// Drops the kernel's attributes and pages of a file; what was written through a mapping comes here first. Waits as
/// [`drop_caches`] does.
pub(super) fn drop_pages(device: &Device, ino: InodeId, root: InodeId) {
    invalidate(device, ino, root, 0);
}

/// Drops what the kernel knows of `inodes`, pages included, and all names where the kernel can.
/// It waits for pages that are being read: a thread that answers reads must not do this.
pub(super) fn drop_caches(device: &Device, inodes: &[InodeId], root: InodeId) {
    // An older kernel refuses it; its names then time out.
    let _ = device.notify(&notice(INC_EPOCH, &[]));
    for ino in inodes {
        invalidate(device, *ino, root, 0);
    }
}

fn invalidate(device: &Device, ino: InodeId, root: InodeId, offset: i64) {
    let body = abi::NotifyInvalInodeOut { ino: node_id(ino, root), off: offset, len: 0 };
    // The kernel may have forgotten the file already, or be unmounting: both is what was wanted.
    let _ = device.notify(&notice(abi::NotifyOpcode::InvalInode as i32, bytes_of(&body)));
}

fn notice(code: i32, body: &[u8]) -> Vec<u8> {
    let len = size_of::<abi::OutHeader>() + body.len();
    let header = abi::OutHeader { len: len as u32, error: code, unique: 0 };
    [bytes_of(&header), body].concat()
}
