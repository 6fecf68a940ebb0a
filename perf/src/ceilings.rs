//! What this machine can do: the parts below a mount, each by itself. A mount is measured against them in the same round.
//!
//! Two of them are folders that every workload runs on too: [`tmpfs`] and [`null_fuse`].

pub(crate) mod block_store;
pub(crate) mod disk;
pub(crate) mod engine;
pub(crate) mod null_fuse;
pub(crate) mod quic_echo;
pub(crate) mod tmpfs;

use crate::work::{Size, Work};

/// All ceilings that are not folders.
pub(crate) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let mut all = disk::all(size);
    all.extend(quic_echo::all());
    all.extend(block_store::all(size));
    all.extend(engine::all());
    all
}
