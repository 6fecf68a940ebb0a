//! `Entry`: the memory that the kernel puts a request into and takes the reply from.
//!
//! The kernel delivers a request in three parts: its header and the structure of its operation in one place
//! (`fuse_uring_req_header`), names and data in another. The second lies behind some room, so that the parts can be put
//! side by side without moving the data: what results is the message as the device would have delivered it.

use std::io;
use std::ptr::{NonNull, null_mut};

use proto::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::adapter::Encoded;
use crate::session::buffers::WRITE_MAX;

/// Names and data of a request, or what follows the header of a reply: the largest the kernel agreed to.
pub(super) const PAYLOAD_LEN: usize = WRITE_MAX;
/// Length of `fuse_uring_req_header`: header, structure of the operation, and how the ring speaks of them.
pub(super) const HEADER_LEN: usize = 288;
/// Places in `fuse_uring_req_header` (linux/fuse.h).
const OPERATION: usize = 128;
const COMMIT_ID: usize = 256 + 8;
const PAYLOAD_SIZE: usize = 256 + 16;
/// Lengths of `fuse_in_header` and `fuse_out_header`.
const IN_HEADER_LEN: usize = 40;
const OUT_HEADER_LEN: usize = 16;
/// Longest structure of an operation.
const OPERATION_MAX: usize = 128;

const PAGE: usize = 4096;
/// The header is in the first page, the payload behind the second; the room in front of it is the second's end.
const PAYLOAD: usize = 2 * PAGE;
const LEN: usize = PAYLOAD + PAYLOAD_LEN;

/// See the module's text. All methods are for who has the entry from the kernel.
#[derive(Debug)]
pub(super) struct Entry {
    memory: NonNull<u8>,
}

/// A piece of memory as the kernel is told of it (`struct iovec`).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    base: *mut u8,
    len: usize,
}

impl Entry {
    /// Memory of its own pages: what no request ever reached takes none.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: a mapping at a place of the kernel's choice touches no memory that is in use.
        let memory = unsafe { mmap_anonymous(null_mut(), LEN, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)? };
        Ok(Self { memory: NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)? })
    }

    /// Where the kernel puts and finds the two parts.
    pub(super) fn parts(&self) -> [Part; 2] {
        let base = self.memory.as_ptr();
        [Part { base, len: HEADER_LEN }, Part { base: base.wrapping_add(PAYLOAD), len: PAYLOAD_LEN }]
    }

    /// What a reply names the request by.
    pub(super) fn commit_id(&mut self) -> u64 {
        u64::from_le_bytes(*self.bytes()[COMMIT_ID..].first_chunk().expect("the header has a commit id"))
    }

    /// The request as one message. `None` where the lengths contradict each other.
    pub(super) fn message(&mut self) -> Option<&[u8]> {
        let bytes = self.bytes();
        let number = |place: usize| u32::from_le_bytes(*bytes[place..].first_chunk().expect("within the header"));
        let (len, payload_len) = (number(0) as usize, number(PAYLOAD_SIZE) as usize);
        let operation_len = len.checked_sub(IN_HEADER_LEN)?.checked_sub(payload_len)?;
        if operation_len > OPERATION_MAX || payload_len > PAYLOAD_LEN {
            return None;
        }
        let start = PAYLOAD - operation_len - IN_HEADER_LEN;
        bytes.copy_within(..IN_HEADER_LEN, start);
        bytes.copy_within(OPERATION..OPERATION + operation_len, start + IN_HEADER_LEN);
        Some(&bytes[start..PAYLOAD + payload_len])
    }

    /// Puts a reply in place. `false` where it is longer than any that was asked for.
    pub(super) fn put(&mut self, reply: &Encoded) -> bool {
        let (header, body) = reply.head.split_at(OUT_HEADER_LEN);
        let payload_len = body.len() + reply.data.iter().map(bytes::Bytes::len).sum::<usize>();
        if payload_len > PAYLOAD_LEN {
            return false;
        }
        let bytes = self.bytes();
        bytes[..OUT_HEADER_LEN].copy_from_slice(header);
        bytes[PAYLOAD_SIZE..PAYLOAD_SIZE + 4].copy_from_slice(&(payload_len as u32).to_le_bytes());
        let mut place = PAYLOAD;
        for part in std::iter::once(body).chain(reply.data.iter().map(|bytes| &bytes[..])) {
            bytes[place..place + part.len()].copy_from_slice(part);
            place += part.len();
        }
        true
    }

    /// Puts a refusal in place, for the request that lies here.
    pub(super) fn refuse(&mut self, errno: Errno) {
        // In the request's header, behind its length and opcode.
        let unique = u64::from_le_bytes(*self.bytes()[8..].first_chunk().expect("within the header"));
        let refusal = Encoded::refusal(unique, errno);
        assert!(self.put(&refusal), "a refusal is a header and nothing else");
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is ours alone, is so long, reads as zeroes where nothing was written, and lives as long as
        // `self`. The kernel does not touch it: whoever calls has the entry.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_ptr(), LEN) }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length, and nothing refers to it any more.
        let unmapped = unsafe { munmap(self.memory.as_ptr().cast(), LEN) };
        debug_assert!(unmapped.is_ok(), "a mapping that was made can be undone");
    }
}

#[cfg(test)]
mod tests;
