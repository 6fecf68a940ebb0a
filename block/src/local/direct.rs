//! Writing an object past the page cache.
//!
//! Objects are read rarely, and then through the mount's own cache of frames: their bytes in the page cache would be a
//! second copy. Writing them directly took a third of the CPU time of buffered writes with a flush behind, and where the
//! page cache grows into memory that the host has not backed yet, 1.8-2.4 GB/s against 0.35 GB/s (2 cores, ext4 on
//! virtio). Owns the aligned buffers this needs.

use std::fs::File;
use std::io::Write;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

/// Alignment of memory, place and length that every file system on a disk takes.
const ALIGN: usize = 4096;
/// Bytes that one write carries.
const BUFFER_LEN: usize = 1 << 20;
/// Buffers kept for later.
const FREE_MAX: usize = 8;

/// The buffers of a store, used again and again. Worst case of memory: a mebibyte for each put at once.
#[derive(Debug, Default)]
pub(super) struct DirectBuffers {
    free: Mutex<Vec<Buffer>>,
}

#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    /// First aligned byte.
    start: usize,
}

impl DirectBuffers {
    /// Writes `chunks` to an empty file opened with `O_DIRECT`. The file is as long as they are; nothing is flushed.
    ///
    /// # Errors
    /// `EINVAL` where the file system wants another alignment: the file must be written another way then.
    pub(super) fn write(&self, file: &mut File, chunks: &[Bytes]) -> std::io::Result<()> {
        let mut buffer = self.free().pop().unwrap_or_else(Buffer::new);
        let outcome = buffer.write(file, chunks);
        let mut free = self.free();
        if free.len() < FREE_MAX {
            free.push(buffer);
        }
        outcome
    }

    fn free(&self) -> MutexGuard<'_, Vec<Buffer>> {
        self.free.lock().expect("no code under this lock panics")
    }
}

impl Buffer {
    fn new() -> Self {
        let bytes = vec![0; BUFFER_LEN + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        Self { bytes, start }
    }

    fn write(&mut self, file: &mut File, chunks: &[Bytes]) -> std::io::Result<()> {
        let room = &mut self.bytes[self.start..self.start + BUFFER_LEN];
        let (mut filled, mut len) = (0, 0);
        for chunk in chunks {
            let mut rest = &chunk[..];
            len += rest.len() as u64;
            while !rest.is_empty() {
                let (head, tail) = rest.split_at(rest.len().min(BUFFER_LEN - filled));
                room[filled..filled + head.len()].copy_from_slice(head);
                filled += head.len();
                rest = tail;
                if filled == BUFFER_LEN {
                    file.write_all(room)?;
                    filled = 0;
                }
            }
        }
        let padded = filled.next_multiple_of(ALIGN);
        room[filled..padded].fill(0);
        file.write_all(&room[..padded])?;
        if padded > filled { file.set_len(len) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
