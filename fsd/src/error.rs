//! Why a mount does not come up or ends.

use std::path::PathBuf;

use proto::SessionRefusal;

/// A mount that cannot be made, or that came to an end it should not have.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mount point cannot be used.
    #[error("mount point {path}: {reason}")]
    MountPoint {
        /// As the user gave it.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The kernel or the mount helper refused.
    #[error("cannot mount on {path}: {reason}")]
    Kernel {
        /// The mount point.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
    /// The metadata server cannot be reached, or is not the one that is pinned.
    #[error("metadata server {addr}: {reason}")]
    Server {
        /// As the settings name it.
        addr: String,
        /// Why.
        reason: String,
    },
    /// The metadata server refused the session.
    #[error("metadata server {addr}: {reason}")]
    Refused {
        /// As the settings name it.
        addr: String,
        /// What the caller should do about it.
        refusal: SessionRefusal,
        /// The server's reason, for the user.
        reason: String,
    },
    /// The volume's block store cannot be used from here.
    #[error("block store of volume {volume}: {reason}")]
    BlockStore {
        /// Name of the volume.
        volume: String,
        /// Why.
        reason: String,
    },
    /// A serving thread or its runtime cannot be made.
    #[error("serving thread: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}
