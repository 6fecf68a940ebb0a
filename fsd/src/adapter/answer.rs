//! Answers to the kernel, and the one place that writes an error number.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use fuse_backend_rs::abi::fuse_abi as abi;
use proto::{Attr, Errno, LockSpan, VolumeStat};

use super::fields::bytes_of;
use super::operation::Lock;
use super::parse::{READ_LOCK, UNLOCKED, WRITE_LOCK};
use super::present::{Presentation, statfs};
use crate::state::HandleId;

/// What spares the kernel work with an open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenHints {
    /// Pages the kernel has of the file are still right.
    pub(crate) keep_cache: bool,
    /// Closing the handle commits nothing: it changed nothing.
    pub(crate) no_flush: bool,
    /// Number of the file that the kernel is to read and write by itself, if any.
    pub(crate) backing: Option<NonZeroU32>,
}

/// What an operation came to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// Done; nothing to tell.
    Done,
    /// The file under a name.
    Entry(Attr),
    /// Attributes of a file the kernel knows; they were right `age` ago.
    Attr { attr: Attr, age: Duration },
    /// An open file; `attr_changed`: attributes that the kernel has of it are not right any more.
    Opened { handle: HandleId, hints: OpenHints, attr_changed: bool },
    /// A file made or found, and opened.
    Created { attr: Attr, handle: HandleId, hints: OpenHints },
    /// An open directory.
    OpenedDir { handle: HandleId },
    /// Bytes of a file, in order.
    Data(Vec<Bytes>),
    /// Anything that is its bytes: a listing, a link's target, an attribute's value.
    Bytes(Bytes),
    /// Bytes taken.
    Written(u32),
    /// Length of a value that was not asked for itself.
    Size(u32),
    /// Size and use of the volume.
    StatFs(VolumeStat),
    /// A lock that was had.
    Locked(Locked),
    /// The lock that stands against the one asked about, if any.
    Lock(Option<LockSpan>),
}

/// A lock that was had.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Locked {
    /// What was asked for.
    pub(crate) lock: Lock,
    /// What its owner held of the range before.
    pub(crate) before: Vec<LockSpan>,
    /// The version of the file, where the kernel may have pages of an older one.
    pub(crate) news: Option<u64>,
}

impl Answer {
    /// Whether somebody holds a handle or a lock by this answer, to be given back if it never arrives.
    pub(crate) const fn gives_something(&self) -> bool {
        matches!(self, Self::Opened { .. } | Self::Created { .. } | Self::OpenedDir { .. } | Self::Locked(_))
    }
}

/// A reply for the device: `head` and then `data`, as one write.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// Header and structures.
    pub(crate) head: Vec<u8>,
    /// Bulk that follows.
    pub(crate) data: Vec<Bytes>,
}

/// Encodes the outcome of request `unique`.
pub(crate) fn encode(unique: u64, outcome: Result<Answer, Errno>, presentation: &Presentation) -> Encoded {
    match outcome {
        Ok(answer) => {
            let mut encoded = Encoded::empty();
            encoded.put(answer, presentation);
            encoded.finish(unique, 0)
        }
        Err(errno) => Encoded::refusal(unique, errno),
    }
}

impl Encoded {
    /// A reply to request `unique` that consists of `body`.
    pub(crate) fn of_bytes(unique: u64, body: &[u8]) -> Self {
        let mut encoded = Self::empty();
        encoded.append(body);
        encoded.finish(unique, 0)
    }

    /// A reply to request `unique` that says why it was not carried out.
    pub(crate) fn refusal(unique: u64, errno: Errno) -> Self {
        Self::empty().finish(unique, -i32::from(errno.0))
    }

    fn empty() -> Self {
        Self { head: bytes_of(&abi::OutHeader::default()).to_vec(), data: Vec::new() }
    }

    fn finish(mut self, unique: u64, error: i32) -> Self {
        let len = self.head.len() + self.data.iter().map(Bytes::len).sum::<usize>();
        let header = abi::OutHeader { len: len as u32, error, unique };
        self.head[..size_of::<abi::OutHeader>()].copy_from_slice(bytes_of(&header));
        self
    }

    fn put(&mut self, answer: Answer, presentation: &Presentation) {
        match answer {
            Answer::Done | Answer::Locked(_) => {}
            Answer::Entry(attr) => self.append(bytes_of(&presentation.entry(&attr))),
            Answer::Attr { attr, age } => self.append(bytes_of(&presentation.attr_out(&attr, age))),
            Answer::Opened { handle, hints, .. } => self.append(bytes_of(&open_out(handle, hints))),
            Answer::Created { attr, handle, hints } => {
                self.append(bytes_of(&presentation.entry(&attr)));
                self.append(bytes_of(&open_out(handle, hints)));
            }
            Answer::OpenedDir { handle } => {
                self.append(bytes_of(&open_out(
                    handle,
                    OpenHints { keep_cache: false, no_flush: false, backing: None },
                )));
            }
            Answer::Data(data) => self.data = data,
            Answer::Bytes(bytes) => self.data = vec![bytes],
            Answer::Written(size) => self.append(bytes_of(&abi::WriteOut { size, padding: 0 })),
            Answer::Size(size) => self.append(bytes_of(&abi::GetxattrOut { size, padding: 0 })),
            Answer::StatFs(stat) => self.append(bytes_of(&statfs(&stat))),
            Answer::Lock(span) => self.append(bytes_of(&lock_out(span))),
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        self.head.extend_from_slice(bytes);
    }
}

/// `FOPEN_NOFLUSH` (Linux 5.16): close does not ask for a flush. An older kernel ignores it.
const NO_FLUSH: u32 = 1 << 5;
/// `FOPEN_PASSTHROUGH` (Linux 6.9).
const PASSTHROUGH: u32 = 1 << 7;

fn open_out(handle: HandleId, hints: OpenHints) -> abi::OpenOut {
    let keep_cache = if hints.keep_cache { abi::OpenOptions::KEEP_CACHE.bits() } else { 0 };
    let no_flush = if hints.no_flush { NO_FLUSH } else { 0 };
    let (passthrough, backing) = hints.backing.map_or((0, 0), |backing| (PASSTHROUGH, backing.get()));
    abi::OpenOut { fh: handle.0, open_flags: keep_cache | no_flush | passthrough, passthrough: backing }
}

fn lock_out(span: Option<LockSpan>) -> abi::LkOut {
    let lk = span.map_or(abi::FileLock { type_: UNLOCKED, ..Default::default() }, |span| abi::FileLock {
        start: span.start,
        end: span.end,
        type_: if span.exclusive { WRITE_LOCK } else { READ_LOCK },
        pid: span.pid,
    });
    abi::LkOut { lk }
}

#[cfg(test)]
mod tests;
