//! What a mount remembers: plain tables, with time passed in and no waiting inside.

mod closes;
mod dirs;
mod files;
mod handles;
mod known_dirs;
mod locks;
mod permits;
mod shown;

use std::sync::Arc;

use proto::Attr;

use crate::adapter::Presentation;
use crate::data::DataPlane;
use crate::trace::SlowLog;

pub(crate) use closes::{CloseQueue, Turn};
pub(crate) use dirs::{DOTS, DirHandle, Filled, Page};
pub(crate) use files::{FileHandle, OpenFiles};
pub(crate) use handles::{HandleId, HandleTable};
pub(crate) use known_dirs::KnownDirs;
pub(crate) use locks::{HeldLocks, Holder, LockTurn};
pub(crate) use permits::{LiveFlags, Permissions};
pub(crate) use shown::Shown;

/// Everything that operations share; all threads of the mount hold it.
pub(crate) struct State {
    /// How files show themselves.
    pub(crate) presentation: Presentation,
    /// The mount's own umask; `None` where the kernel applies the one of the process that makes a file.
    umask: Option<u16>,
    /// Restrictions.
    pub(crate) flags: Arc<LiveFlags>,
    /// Content of files.
    pub(crate) data: DataPlane,
    /// Open files by inode.
    pub(crate) files: Arc<OpenFiles>,
    /// Directories that replies described.
    pub(crate) known_dirs: Arc<KnownDirs>,
    /// Locks of files that are held here.
    pub(crate) locks: Arc<HeldLocks>,
    /// Open files by handle.
    pub(crate) handles: HandleTable<FileHandle>,
    /// Open directories.
    pub(crate) dirs: HandleTable<DirHandle>,
    /// Closed handles the server has not heard of.
    pub(crate) closes: CloseQueue,
    /// Operations that took long.
    pub(crate) slow: SlowLog,
    shown: Shown,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("flags", &self.flags).finish_non_exhaustive()
    }
}

impl State {
    pub(crate) fn new(
        presentation: Presentation,
        umask: Option<u16>,
        flags: Arc<LiveFlags>,
        files: Arc<OpenFiles>,
        known_dirs: Arc<KnownDirs>,
        locks: Arc<HeldLocks>,
        data: DataPlane,
    ) -> Self {
        Self {
            presentation,
            umask,
            flags,
            data,
            files,
            known_dirs,
            locks,
            handles: HandleTable::default(),
            dirs: HandleTable::default(),
            closes: CloseQueue::default(),
            slow: SlowLog::default(),
            shown: Shown::default(),
        }
    }

    /// The mode of a new file, of which `mode` was asked.
    pub(crate) fn masked(&self, mode: u32) -> u32 {
        mode & !u32::from(self.umask.unwrap_or(0))
    }

    /// Attributes that a reply carried, as the kernel is to see them: with what was written here since.
    pub(crate) fn show(&self, mut attr: Attr) -> Attr {
        self.show_in_place(&mut attr);
        attr
    }

    /// See [`State::show`].
    pub(crate) fn show_in_place(&self, attr: &mut Attr) {
        self.data.overlay(attr);
        self.files.note(attr);
        self.shown.note(attr);
    }

    /// Attributes found by an open, whose reply carries none; and whether the kernel believes older ones.
    pub(crate) fn show_opened(&self, mut attr: Attr) -> (Attr, bool) {
        self.data.overlay(&mut attr);
        let is_current = self.shown.is_current(&attr);
        self.shown.note(&attr);
        (attr, !is_current)
    }
}
