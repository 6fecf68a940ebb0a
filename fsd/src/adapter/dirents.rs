//! Listings in the kernel's form.

use fuse_backend_rs::abi::fuse_abi as abi;
use proto::dirent::DirRecord;

use super::fields::bytes_of;
use super::present::Presentation;

/// Collects entries until the kernel's buffer is full.
#[derive(Debug)]
pub(crate) struct DirentBuffer {
    bytes: Vec<u8>,
    size_max: usize,
    plus: bool,
}

impl DirentBuffer {
    /// A buffer of at most `size_max` bytes; `plus`: with attributes and node ids.
    pub(crate) fn new(size_max: u32, plus: bool) -> Self {
        let size_max = size_max.min(SIZE_MAX) as usize;
        Self { bytes: Vec::with_capacity(size_max), size_max, plus }
    }

    /// Adds an entry; false where it does not fit any more. A record without attributes is listed without them.
    pub(crate) fn push(&mut self, record: &DirRecord<'_>, presentation: &Presentation) -> bool {
        let dirent = abi::Dirent {
            ino: record.ino.0,
            off: record.offset,
            namelen: record.name.len() as u32,
            type_: record.kind as u32,
        };
        let entry_len = if self.plus { size_of::<abi::EntryOut>() } else { 0 };
        let len = (entry_len + size_of::<abi::Dirent>() + record.name.len()).next_multiple_of(8);
        if self.bytes.len() + len > self.size_max {
            return false;
        }
        let end = self.bytes.len() + len;
        if self.plus {
            // Node id 0 tells the kernel to look the name up when it is needed.
            let entry = record.attr.as_ref().map(|attr| presentation.entry(attr)).unwrap_or_default();
            self.bytes.extend_from_slice(bytes_of(&entry));
        }
        self.bytes.extend_from_slice(bytes_of(&dirent));
        self.bytes.extend_from_slice(record.name);
        self.bytes.resize(end, 0);
        true
    }

    /// Whether nothing was added yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The entries.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The kernel asks for a page or at most a few of them.
const SIZE_MAX: u32 = 1 << 20;
