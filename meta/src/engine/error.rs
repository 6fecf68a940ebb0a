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

/// What a request asked for that its session may not have, whichever user asks. Mounts do not come to that, or seldom: a
/// file that they know may have been moved out of their reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// A file with a name, but none below the session's root. `ESTALE`, as if it were gone.
    Scope,
    /// A change in a read-only session. `EROFS`.
    ReadOnly,
    /// Object ids that are not the session's to commit. `EPERM`.
    Objects,
    /// No message of this protocol, or one beyond its bounds.
    Protocol,
}

impl Breach {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Scope, Self::ReadOnly, Self::Objects, Self::Protocol];

    /// What the mount is answered.
    #[must_use]
    pub const fn answer(self) -> Refused {
        match self {
            Self::Scope => Refused::Error(Errno::ESTALE),
            Self::ReadOnly => Refused::Error(Errno::EROFS),
            Self::Objects => Refused::Error(Errno::EPERM),
            Self::Protocol => Refused::Malformed,
        }
    }
}

/// Why an operation ends without success.
#[derive(Debug)]
pub(super) enum Failure {
    /// An answer for the mount; nothing was changed.
    Refused(Refused),
    /// Refused too, and to be counted.
    Barred(Breach),
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
        match refused {
            Refused::Malformed => Self::Barred(Breach::Protocol),
            refused => Self::Refused(refused),
        }
    }
}

impl From<Breach> for Failure {
    fn from(breach: Breach) -> Self {
        Self::Barred(breach)
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
