//! The world of the end-to-end tests: real programs in processes of their own, real mounts, a folder for each test.
//!
//! Nothing here is simulated. A test that cannot run on this machine fails and says why.

mod authority;
mod client;
mod cluster;
mod conformance;
mod locker;
mod mounted;
mod ordinary;
mod process;
mod raw;
mod secrets;

pub use authority::Authority;
pub use client::WireClient;
pub use cluster::{Cluster, Flags, Volume, free_addr};
pub use conformance::suite;
pub use locker::Locker;
pub use mounted::{Mounted, is_mounted};
pub use ordinary::Ordinary;
pub use process::{Daemon, Outcome, Standby, flexfs, wait_for};
pub use raw::RawPeer;

/// How the mounts of this run take requests from the kernel: `cargo xtask test` runs the tests once for each way.
pub fn transport() -> String {
    std::env::var("FLEXFS_TEST_TRANSPORT").unwrap_or_else(|_| "auto".to_owned())
}

/// Fails unless mounts can be made here.
pub fn require_fuse() {
    assert!(std::path::Path::new("/dev/fuse").exists(), "these tests need /dev/fuse");
    assert!(rustix::process::geteuid().is_root(), "these tests need root: they mount and change owners");
}
