//! The data path: from the bytes of a file to objects and block maps, and back.
//!
//! Knows neither the kernel nor the network: bytes come from and go to [`DataPlane`]'s callers, the metadata server is a
//! [`MetaClient`](crate::client::MetaClient), the store a [`block::BlockStore`]. The decisions are in `state`, which is
//! pure; what is around it only carries them out. Everything here is shared between threads.
//!
//! Futures may be dropped at any time: what was written stays written, and a commit that nobody waited for is repeated
//! with new objects. `flush`, `fsync`, `set_attr` and `fallocate` that are dropped leave their work to the next flush.

mod budget;
#[cfg(feature = "counted")]
mod counted;
mod dirty;
mod file;
mod flush;
mod map;
mod objects;
mod plane;
mod read;
mod readahead;
mod resize;
mod rewrite;
mod sealed;
mod state;
mod upload;
mod write;

#[cfg(feature = "counted")]
pub use counted::CountedFile;
pub(crate) use file::File;
pub(crate) use plane::{DataPlane, DataSettings, OpenedFile};
pub(crate) use resize::Fallocate;

#[cfg(test)]
mod tests;
