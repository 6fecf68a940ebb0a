//! Room on the disk of the database: what needs more of it is refused before the disk is full.
//!
//! A database that could not write takes nothing until it is opened anew. So it is not to come to that: while little is
//! left, names and data are refused with `ENOSPC`, and what gives room back goes on.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proto::Request;

/// What must be free, in bytes: two tables of a volume ([`crate::store`] writes one at once, and merges others).
const RESERVE: u64 = 128 << 20;
/// Time between two looks. A server cannot write the reserve full in so short a time.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The disk of one data folder.
#[derive(Debug)]
pub(crate) struct Space {
    folder: PathBuf,
    is_low: AtomicBool,
}

impl Space {
    /// The disk of `folder`, looked at once.
    pub(crate) fn of(folder: &Path) -> Self {
        let space = Self { folder: folder.to_owned(), is_low: AtomicBool::new(false) };
        space.look();
        space
    }

    /// Looks again and again. Does not end.
    pub(crate) async fn watch(&self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look();
        }
    }

    /// Whether there is no room for `request`.
    pub(crate) fn refuses(&self, request: &Request) -> bool {
        self.is_low.load(Ordering::Relaxed) && needs_room(request)
    }

    /// Bytes of the disk, and how many of them are free.
    pub(crate) fn sizes(&self) -> Option<(u64, u64)> {
        match rustix::fs::statvfs(&self.folder) {
            Ok(disk) => {
                Some((disk.f_blocks.saturating_mul(disk.f_frsize), disk.f_bavail.saturating_mul(disk.f_frsize)))
            }
            Err(error) => {
                tracing::warn!(folder = %self.folder.display(), %error, "cannot ask for free space");
                None
            }
        }
    }

    fn look(&self) {
        let Some((_, free)) = self.sizes() else { return };
        let is_low = free < RESERVE;
        if self.is_low.swap(is_low, Ordering::Relaxed) == is_low {
            return;
        }
        let (folder, free_mib, needed_mib) = (self.folder.display(), free >> 20, RESERVE >> 20);
        if is_low {
            tracing::error!(%folder, free_mib, needed_mib, "the disk of the metadata is nearly full: nothing new is accepted; make room there");
        } else {
            tracing::info!(%folder, free_mib, "the disk of the metadata has room again");
        }
    }
}

/// Whether a request makes the database larger by more than a note. What removes, renames or closes must always go on.
fn needs_room(request: &Request) -> bool {
    matches!(
        request,
        Request::Create { .. }
            | Request::Make { .. }
            | Request::Link { .. }
            | Request::Commit(_)
            | Request::GrantObjects { .. }
            | Request::SetXattr { .. }
    )
}

#[cfg(test)]
mod tests;
