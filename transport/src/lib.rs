//! How the parts talk: QUIC streams between mounts and metadata servers, HTTPS to the admin server, and the
//! certificates both stand on. Messages are opaque bytes here; tokens too.

pub mod client;
pub mod cpus;
pub mod rest;
pub mod server;
pub mod tls;

mod error;
mod quic;
mod socket;

pub use error::{CallError, TransportError, bind_hint};
