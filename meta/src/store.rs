//! Where a volume's records live: an ordered key space with atomic batches.
//!
//! Owns durability and the folder on disk; knows nothing of what the records mean. The engine writes every change as one
//! [`Batch`], so a volume is always in the state of some batch's end. Two implementations: [`FjallKv`] on disk and
//! [`MemoryKv`] for tests and simulation.

mod fjall_kv;
mod folder;
mod memory;
mod watermark;

use std::ops::ControlFlow;
use std::path::PathBuf;

use proto::Sequence;

pub use fjall_kv::{DatabaseUse, FjallDatabase, FjallKv};
pub use memory::MemoryKv;

/// Puts and removals that take effect together or not at all. A later change of a key wins over an earlier one.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Writes a record.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), Some(value.into())));
    }

    /// Removes a record; one that is not there is no error.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), None));
    }

    /// Whether the batch changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    fn into_changes(self) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
        self.changes.into_iter()
    }
}

/// What [`MetaKv::scan`] calls for each record: key and value. `Break` ends the scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// An ordered key space of one volume.
pub trait MetaKv: Send + Sync + 'static {
    /// The newest value of a key. Concurrent with a commit, single reads may already see parts of it.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Visits the records `from <= key < to` in ascending order, all as of one moment between two commits.
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// As `scan`, in descending order.
    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Applies a batch. When it returns, the batch survives the end of the process, not yet of the machine.
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Puts all earlier commits on disk, then notes that `sequence` was reached. Blocks for the disk; commits of other
    /// threads go on meanwhile.
    fn persist(&self, sequence: Sequence) -> Result<(), StoreError>;

    /// The highest sequence known to have been on disk: what a volume must still have when it is opened.
    fn persisted(&self) -> Sequence;
}

/// What the store refuses or fails at.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder of the store.
    #[error("{what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The folder belongs to something else.
    #[error(
        "{path} holds other files but no file FORMAT: not a metadata folder; name an empty folder or one made by meta.flexfs",
        path = path.display()
    )]
    NotOurs {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing that could be opened.
    #[error("{path} is no metadata folder: name the --dbFolder of a meta.flexfs", path = path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// The folder was written by another version of the format.
    #[error("{path} says {found:?}, this program reads {expected:?}: use the version that wrote it", path = path.display())]
    Format {
        /// The format file.
        path: PathBuf,
        /// First line of the file.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Another process has the folder open.
    #[error("{path} is in use by another process: stop that metadata server first", path = path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The file that notes what was on disk cannot be read.
    #[error("{path} holds {found:?}, expected a decimal number", path = path.display())]
    Watermark {
        /// The file.
        path: PathBuf,
        /// Its content.
        found: String,
    },
    /// The database failed. After a failed write it takes no more of them until it is opened anew.
    #[error("metadata database: {0}")]
    Database(#[from] fjall::Error),
}

#[cfg(test)]
mod tests;
