//! Blocks at rest: the stores that keep objects, the frames objects are made of, and the memory cache of frames.
//!
//! An object is written once and never changed, so a byte read from one is never stale. This crate knows neither file
//! names nor servers: who may write which object, and when one is deleted, is decided elsewhere.

pub mod frame;

mod cache;
mod error;
mod local;
mod memory;
mod reader;
mod store;

pub use error::{StoreError, StoreErrorKind};
pub use local::{LocalStore, with_ring};
pub use memory::MemoryStore;
pub use reader::{BlockReader, zeroes};
pub use store::{BlockStore, BoxFuture, ListCursor, Listing, ObjectInfo, open, open_or_make};
