//! What keeps a metadata server from starting or going on.

use block::StoreError as BlockStoreError;
use transport::TransportError;

use crate::engine::EngineError;
use crate::store::StoreError;

/// Errors of the metadata server as a whole; those of single requests are answered to the mount.
#[derive(Debug, thiserror::Error)]
pub enum MetaError {
    /// The port or the certificate.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The data folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A volume's records.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A volume's block store.
    #[error("block store: {0}")]
    BlockStore(#[from] BlockStoreError),
    /// A thread or its runtime.
    #[error("cannot start a serving thread: {source}")]
    Thread {
        /// Why not.
        source: std::io::Error,
    },
}
