//! What can go wrong: `EngineError` for the server, `Failure` inside an operation.

use proto::{Errno, Refused, Sequence};

use crate::store::StoreError;

/// A volume that cannot be opened or went wrong. Requests that hit one are answered `EIO`.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record that this program cannot have written, or a rule between records that does not hold.
    #[error("metadata is damaged: {0}")]
    Corrupt(String),
    /// The database lost commits that mounts were told to be on disk.
    #[error(
        "the volume ends at commit {found} but commit {expected} was on disk: the database was set back or damaged; \
         restore a newer copy, or remove the file sequence/VOLUME to accept the loss"
    )]
    LostCommits {
        /// Last commit in the database.
        found: Sequence,
        /// Last commit known to have been on disk.
        expected: Sequence,
    },
    /// The volume was made with another block size.
    #[error(
        "the volume's block size is {found} bytes, its settings say {expected}: it cannot change after the first use"
    )]
    BlockSize {
        /// What the volume was made with.
        found: u32,
        /// What the settings say.
        expected: u32,
    },
}

impl EngineError {
    pub(crate) fn corrupt(what: impl std::fmt::Display) -> Self {
        Self::Corrupt(what.to_string())
    }
}

/// Why an operation ends without success.
#[derive(Debug)]
pub(super) enum Failure {
    /// An answer for the mount; nothing was changed.
    Refused(Refused),
    /// A record is missing that another one names. Under the writer lock that is damage, for a reader it is a commit in
    /// between.
    Torn(&'static str),
    /// The server's own trouble.
    Broken(EngineError),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Self {
        Self::Refused(Refused::Error(errno))
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self::Broken(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Broken(error.into())
    }
}

/// Outcome of a step of an operation.
pub(super) type Outcome<T> = Result<T, Failure>;
