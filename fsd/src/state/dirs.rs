//! Open directories: a page of the server's listing, handed to the kernel bit by bit.

use std::sync::Mutex;

use bytes::Bytes;
use proto::dirent::{DirRecord, DirRecords};
use proto::{Attr, Errno, InodeId};

/// An open directory.
#[derive(Debug)]
pub(crate) struct DirHandle {
    /// The directory.
    pub(crate) ino: InodeId,
    page: Mutex<Option<Page>>,
}

impl DirHandle {
    pub(crate) fn new(ino: InodeId) -> Self {
        Self { ino, page: Mutex::new(None) }
    }

    /// The rest of the page that goes on at `offset`. Any other page is dropped: the reader went somewhere else.
    pub(crate) fn take_page(&self, offset: u64) -> Option<Page> {
        self.slot().take().filter(|page| page.offset == offset)
    }

    /// Keeps the rest of a page for the next reading.
    pub(crate) fn keep_page(&self, page: Page) {
        *self.slot() = Some(page);
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Page>> {
        self.page.lock().expect("no code under this lock panics")
    }
}

/// A page of a listing, partly handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    records: Bytes,
    offset: u64,
    end: bool,
}

/// How far a page went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// The kernel takes no more for now.
    Full,
    /// The page is used up: another one follows.
    Exhausted,
    /// The listing ends here.
    End,
}

impl Page {
    /// A page of records that begins behind `offset`; `end` where nothing follows it.
    pub(crate) fn new(offset: u64, records: Bytes, end: bool) -> Self {
        Self { records, offset, end }
    }

    /// Where the listing goes on behind what was handed over.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Hands records to `push` until it refuses one; `overlay` brings attributes up to date with local writes.
    /// `EIO` where the server sent something that is no listing.
    pub(crate) fn fill(
        &mut self,
        mut overlay: impl FnMut(&mut Attr),
        mut push: impl FnMut(&DirRecord<'_>) -> bool,
    ) -> Result<Filled, Errno> {
        let mut taken = 0;
        let mut walk = DirRecords::new(&self.records);
        let mut full = false;
        for mut record in walk.by_ref() {
            if record.offset <= DOTS {
                return Err(Errno::EIO);
            }
            let len = record.encoded_len();
            if let Some(attr) = &mut record.attr {
                overlay(attr);
            }
            if !push(&record) {
                full = true;
                break;
            }
            taken += len;
            self.offset = record.offset;
        }
        if !full && !walk.is_clean() {
            return Err(Errno::EIO);
        }
        self.records = self.records.slice(taken..);
        Ok(match (full, self.end) {
            (true, _) => Filled::Full,
            (false, false) => Filled::Exhausted,
            (false, true) => Filled::End,
        })
    }
}

/// Offsets 1 and 2 are behind `.` and `..`, which the mount adds itself; the server's offsets are larger.
pub(crate) const DOTS: u64 = 2;

#[cfg(test)]
mod tests;
