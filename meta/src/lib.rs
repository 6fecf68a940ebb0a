//! The metadata server: names, attributes, block maps and sessions of volumes.

pub mod engine;
pub mod store;

mod error;
mod service;
mod verify;

pub use error::MetaError;
pub use service::{Ear, MetaMetrics, MetaServer, MetaSettings};
pub use verify::{Findings, verify};
