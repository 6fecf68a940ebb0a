//! Open files: what the metadata server must hear again after its restart, and what a write must know.

mod doubts;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};

use dashmap::DashMap;
use dashmap::mapref::multiple::RefMutMulti;
use proto::{Attr, Claim, Close, Errno, FileKind, InodeId, Timespec};

use crate::adapter::{Open, SET_ID_BITS};
use crate::data::File;

/// An open file, one for each open(2).
pub(crate) struct FileHandle {
    /// The file.
    pub(crate) ino: InodeId,
    /// Its content, shared by all its handles.
    pub(crate) file: Arc<File>,
    /// Whether it was opened for writing.
    pub(crate) write: bool,
    /// Whether it was opened to be executed: the kernel keeps it open as long as the program runs.
    pub(crate) execute: bool,
    /// Attributes when it was opened.
    opened: Attr,
    /// First read through this handle.
    first_read: OnceLock<Timespec>,
}

impl FileHandle {
    pub(crate) fn new(attr: &Attr, file: Arc<File>, open: &Open) -> Self {
        let (write, execute) = (open.write, open.execute);
        Self { ino: attr.ino, file, write, execute, opened: *attr, first_read: OnceLock::new() }
    }

    /// Notes that bytes were read.
    pub(crate) fn note_read(&self, now: Timespec) {
        self.first_read.get_or_init(|| now);
    }

    /// What closing the handle tells the server.
    pub(crate) fn close(&self, keep_atime: bool) -> Close {
        let atime = self.first_read.get().copied().filter(|now| keep_atime && atime_is_due(&self.opened, *now));
        Close { ino: self.ino, count: 1, atime }
    }
}

/// relatime: an access time is worth keeping where it would pass a change, or the old one is a day old.
fn atime_is_due(attr: &Attr, now: Timespec) -> bool {
    const DAY: i64 = 24 * 60 * 60;
    attr.atime <= attr.mtime || attr.atime <= attr.ctime || attr.atime.secs.saturating_add(DAY) <= now.secs
}

/// The files that are open, or that the server may count as open, by inode.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    open: DashMap<InodeId, OpenInode>,
    /// Files that are not open, of which the server may not know.
    unsettled: Mutex<BTreeSet<InodeId>>,
    /// Held while the server is told of them.
    settling: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct OpenInode {
    count: u32,
    /// Opens that the server has not answered.
    opening: u32,
    /// Closes that the server has not answered: it counts these opens still.
    closing: u32,
    /// Whether the server may count more.
    doubtful: bool,
    /// Whether the server is being told that the file is not open.
    settling: bool,
    writers: u32,
    executors: u32,
    set_id: bool,
    gone: bool,
}

impl OpenFiles {
    /// Counts an open.
    pub(crate) fn opened(&self, attr: &Attr, open: &Open) {
        let mut inode = self.open.entry(attr.ino).or_default();
        inode.count += 1;
        inode.writers += u32::from(open.write);
        inode.executors += u32::from(open.execute);
        inode.set_id = has_set_id(attr);
    }

    /// Counts a close. [`OpenFiles::released`] follows when the server was told.
    pub(crate) fn closed(&self, ino: InodeId, write: bool, execute: bool) {
        if let Some(mut inode) = self.open.get_mut(&ino) {
            inode.count = inode.count.saturating_sub(1);
            inode.closing += 1;
            inode.writers = inode.writers.saturating_sub(u32::from(write));
            inode.executors = inode.executors.saturating_sub(u32::from(execute));
            inode.gone &= inode.count > 0;
        }
    }

    /// Takes notice of attributes that a reply carried.
    pub(crate) fn note(&self, attr: &Attr) {
        if attr.kind == FileKind::Regular
            && let Some(mut inode) = self.open.get_mut(&attr.ino)
        {
            inode.set_id = has_set_id(attr);
        }
    }

    /// Whether a program runs from the file.
    pub(crate) fn is_executed(&self, ino: InodeId) -> bool {
        self.open.get(&ino).is_some_and(|inode| inode.executors > 0)
    }

    /// Whether the file carries set-id bits, as far as this mount saw.
    pub(crate) fn has_set_id(&self, ino: InodeId) -> bool {
        self.open.get(&ino).is_some_and(|inode| inode.set_id)
    }

    /// Whether the file is still the server's: else `ESTALE`.
    pub(crate) fn permit_use(&self, ino: InodeId) -> Result<(), Errno> {
        match self.open.get(&ino) {
            Some(inode) if inode.gone => Err(Errno::ESTALE),
            _ => Ok(()),
        }
    }

    /// Marks files that the server does not know any more.
    pub(crate) fn mark_gone(&self, inodes: &[InodeId]) {
        for ino in inodes {
            if let Some(mut inode) = self.open.get_mut(ino) {
                inode.gone = inode.count > 0;
            }
        }
    }

    /// Everything that is open, for a server that was away. From here on it may count more opens of these files: those
    /// that were on their way are sent again, and closes may overtake a claim.
    pub(crate) fn claims(&self) -> Vec<Claim> {
        let claim = |mut entry: RefMutMulti<'_, InodeId, OpenInode>| {
            entry.doubtful = true;
            entry.claim(*entry.key())
        };
        self.open.iter_mut().filter_map(claim).collect()
    }

    /// The inodes that are open.
    pub(crate) fn inodes(&self) -> Vec<InodeId> {
        self.open.iter().map(|entry| *entry.key()).collect()
    }
}

impl OpenInode {
    /// What the server is to count, if anything: also what closes on their way will take off.
    fn claim(&self, ino: InodeId) -> Option<Claim> {
        let count = self.count + self.closing;
        (count > 0 && !self.gone).then_some(Claim { ino, count, write: self.writers > 0 })
    }

    /// Whether nobody has the file open or is about to.
    fn is_idle(&self) -> bool {
        self.count + self.opening + self.closing == 0
    }
}

fn has_set_id(attr: &Attr) -> bool {
    attr.kind == FileKind::Regular && u32::from(attr.perm) & SET_ID_BITS != 0
}

#[cfg(test)]
mod tests;
