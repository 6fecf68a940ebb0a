//! The admin server: accounts, stores, volumes and tokens behind a REST interface, kept in an SQLite database.
//!
//! Owns who may mount what. Tokens lie sealed in the database and are found by keyed hash; the key is a file beside it.
//! Knows no inode and no block. Permission decisions are made here and in the metadata servers, never in a client.

mod api;
mod audit;
mod db;
mod error;
mod feed;
mod keys;
mod metrics;
mod resources;
mod server;

pub use self::metrics::AdminMetrics;
pub use audit::{AuditReport, Broken, verify_audit};
pub use error::AdminError;
pub use server::{AdminServer, AdminSettings, bind};

#[cfg(test)]
mod tests;
