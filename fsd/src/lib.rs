//! The mount daemon: a volume as an ordinary directory.
//!
//! A request comes down from the kernel through `session` (the device, threads), `adapter` (the kernel's structures) and
//! one function of `ops`, which asks the metadata server through `client` and moves bytes through `data`.

mod client;
#[allow(dead_code, unused_imports, reason = "the operations that use it follow")]
mod data;
mod error;
mod settings;

pub use error::MountError;
pub use settings::MountSettings;
