//! Request buffers: large enough for the largest write, used again and again.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

/// Largest write that the kernel sends, in bytes.
pub(crate) const WRITE_MAX: usize = 1 << 20;
/// A request: the largest write with its headers. The kernel insists on so much room.
pub(crate) const MESSAGE_LEN: usize = WRITE_MAX + 4096;
/// Buffers kept for later. Worst case of memory: so many mebibytes for each thread.
const FREE_MAX: usize = 8;

/// The free buffers of a thread.
#[derive(Debug, Default)]
pub(super) struct BufferPool {
    free: Mutex<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// A buffer of [`MESSAGE_LEN`] bytes with whatever content.
    pub(super) fn take(&self) -> Vec<u8> {
        let free = self.free().pop();
        free.unwrap_or_else(|| vec![0; MESSAGE_LEN])
    }

    /// The first `len` bytes of a buffer, shared; the buffer comes back when the last share is dropped.
    pub(super) fn share(self: &Arc<Self>, buffer: Vec<u8>, len: usize) -> Bytes {
        Bytes::from_owner(Shared { buffer, pool: Arc::clone(self) }).slice(..len)
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        self.free.lock().expect("no code under this lock panics")
    }
}

struct Shared {
    buffer: Vec<u8>,
    pool: Arc<BufferPool>,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut free = self.pool.free();
        if free.len() < FREE_MAX {
            free.push(std::mem::take(&mut self.buffer));
        }
    }
}

#[cfg(test)]
mod tests;
