//! The kernel's side of a mount: the mount point, the device, and the threads that serve it.
//!
//! Owns descriptors, rings, threads and what is in flight. Invariant: one pinned thread per CPU takes requests, works on
//! them and replies through its own ring or descriptor; nothing it does blocks, and no request is left without an answer.

mod buffers;
mod device;
mod helper;
mod init;
mod interrupts;
mod kernel;
mod notify;
mod point;
mod uring;
mod worker;

pub(crate) use buffers::MESSAGE_LEN;
pub(crate) use device::{Device, Received};
pub(crate) use init::{Wishes, handshake};
pub(crate) use interrupts::Interrupts;
pub(crate) use kernel::{KernelMount, Unmounted};
pub(crate) use point::MountPoint;
pub use point::check_mount_point;
pub(crate) use uring::{Ring, obstacle, queue_count};
pub(crate) use worker::{Serving, Stop, Worker};

pub use uring::Transport;
