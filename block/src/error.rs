//! What can go wrong with stored bytes, by what the caller should do about it.

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The object is not there (deleted since its map was read): read the map again.
    NotFound,
    /// An object of that id is there already; it was not touched.
    Exists,
    /// The store is full: the writer's `ENOSPC`.
    NoSpace,
    /// The store refuses us: the rights of the process or of its credentials are wrong.
    Denied,
    /// The store cannot be used right now: try again.
    Unavailable,
    /// Bytes are not what was written.
    Corrupt,
    /// The settings of the store make no sense: the administrator's to mend.
    Invalid,
    /// Anything else; trying again is not known to help.
    Internal,
}

/// A failed operation on a block store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct StoreError {
    /// What the caller should do.
    pub kind: StoreErrorKind,
    /// One line: the thing, what is wrong with it, what would be right.
    pub message: String,
}

impl StoreError {
    /// An error of `kind`.
    #[must_use]
    pub fn new(kind: StoreErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What the operating system said about `thing`.
    pub(crate) fn from_io(thing: impl std::fmt::Display, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let kind = match error.kind() {
            Io::NotFound => StoreErrorKind::NotFound,
            Io::AlreadyExists => StoreErrorKind::Exists,
            Io::StorageFull | Io::QuotaExceeded => StoreErrorKind::NoSpace,
            Io::PermissionDenied | Io::ReadOnlyFilesystem => StoreErrorKind::Denied,
            Io::Interrupted | Io::TimedOut | Io::WouldBlock | Io::StaleNetworkFileHandle => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Internal,
        };
        Self::new(kind, format!("{thing}: {error}"))
    }
}
