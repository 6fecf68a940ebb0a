//! Where the server may count opens that are none: a reply was lost, so nobody knows whether it took an open or a close.
//!
//! Its count is then too high, never too low, and harms nobody while the file is open. After the last close the server is
//! told that the file is not open at all, which may be said twice. Invariant: no open of the file is sent meanwhile; one
//! by a name that turns out to be the file's is not used before it was claimed.

use std::collections::BTreeSet;
use std::sync::MutexGuard;

use proto::limits::HANDLES_MAX;
use proto::{Claim, Close, InodeId};

use super::OpenFiles;

/// An open on its way to the server. Dropped without an answer it leaves a doubt.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    files: &'a OpenFiles,
    ino: InodeId,
    is_answered: bool,
}

impl Opening<'_> {
    /// The server decided; an open that it granted is counted already.
    pub(crate) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(mut inode) = self.files.open.get_mut(&self.ino) {
            inode.opening -= 1;
            inode.doubtful |= !self.is_answered;
        }
        self.files.rest(self.ino);
    }
}

/// The right to tell the server which files are not open.
#[derive(Debug)]
pub(crate) struct Settling<'a> {
    files: &'a OpenFiles,
    _turn: tokio::sync::MutexGuard<'a, ()>,
}

impl OpenFiles {
    /// To be called before an open is sent. Waits while the server is being told that the file is not open.
    pub(crate) async fn opening(&self, ino: InodeId) -> Opening<'_> {
        self.open.entry(ino).or_default().opening += 1;
        let opening = Opening { files: self, ino, is_answered: false };
        self.settled(ino).await;
        opening
    }

    /// Waits while the server is being told that the file is not open.
    pub(crate) async fn settled(&self, ino: InodeId) {
        if self.open.get(&ino).is_some_and(|inode| inode.settling) {
            drop(self.settling.lock().await);
        }
    }

    /// Closes were sent; `is_answered`: and the server took them.
    pub(crate) fn released(&self, closes: &[Close], is_answered: bool) {
        for close in closes {
            if let Some(mut inode) = self.open.get_mut(&close.ino) {
                inode.closing = inode.closing.saturating_sub(close.count);
                inode.doubtful |= !is_answered;
            }
            self.rest(close.ino);
        }
    }

    /// Begins to tell the server of files that are not open, where there are any. Waits for others who do.
    pub(crate) async fn settle(&self) -> Option<Settling<'_>> {
        if self.unsettled().is_empty() {
            return None;
        }
        Some(Settling { files: self, _turn: self.settling.lock().await })
    }

    /// Forgets a file that is not open, or notes that the server must hear of it first.
    fn rest(&self, ino: InodeId) {
        self.open.remove_if(&ino, |_, inode| {
            let is_at_rest = inode.is_idle() && !inode.settling;
            if is_at_rest && inode.doubtful {
                self.unsettled().insert(ino);
            }
            is_at_rest && !inode.doubtful
        });
    }

    fn unsettled(&self) -> MutexGuard<'_, BTreeSet<InodeId>> {
        self.unsettled.lock().expect("no code under this lock panics")
    }
}

impl Settling<'_> {
    /// Files that the server is to be told of next, as many as one message takes. [`Settling::told`] follows.
    pub(crate) fn next(&self) -> Vec<Claim> {
        let mut unsettled = self.files.unsettled();
        let mut next: Vec<_> = std::iter::from_fn(|| unsettled.pop_first()).take(HANDLES_MAX).collect();
        drop(unsettled);
        next.retain(|ino| {
            // One that is open again comes back with its last close.
            self.files.open.get_mut(ino).is_some_and(|mut inode| {
                inode.settling = inode.is_idle();
                inode.settling
            })
        });
        next.into_iter().map(|ino| Claim { ino, count: 0, write: false }).collect()
    }

    /// The server was told; `is_answered`: and took it. Returns claims of files that were opened meanwhile, by names that
    /// did not show which file they stand for.
    pub(crate) fn told(&self, claims: &[Claim], is_answered: bool) -> Vec<Claim> {
        let mut opened = Vec::new();
        for Claim { ino, .. } in claims {
            if let Some(mut inode) = self.files.open.get_mut(ino) {
                inode.settling = false;
                inode.doubtful = !is_answered || !inode.is_idle();
                opened.extend(inode.claim(*ino));
            }
            self.files.rest(*ino);
        }
        opened
    }
}

#[cfg(test)]
mod tests;
