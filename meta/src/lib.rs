//! The metadata server: names, attributes, block maps and sessions of volumes.

pub mod engine;
pub mod store;

mod error;
mod service;

pub use error::MetaError;
pub use service::{MetaServer, MetaSettings};
