//! The mount daemon: a volume as an ordinary directory.
//!
//! A request comes down from the kernel through `session` (the device, threads), `adapter` (the kernel's structures) and
//! one function of `ops`, which asks the metadata server through `client` and moves bytes through `data`. What must be
//! remembered between requests is in `state`.

mod adapter;
mod client;
#[cfg(feature = "counted")]
pub mod counted;
mod data;
mod error;
mod meter;
mod mount;
mod null;
mod ops;
mod session;
mod settings;
mod state;
mod trace;

pub use error::MountError;
pub use meter::MountMetrics;
pub use mount::{Controller, Ended, Mount, Runtime};
pub use null::NullMount;
pub use session::{Transport, check_mount_point};
pub use settings::{MemoryMax, MountSettings};
pub use trace::{SLOW_XATTR, SlowOperation, Stage, StageTime};
