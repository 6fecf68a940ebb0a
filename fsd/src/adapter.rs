//! The kernel's messages and what they mean here.
//!
//! Owns every structure of the FUSE interface and the one place that writes an error number. Refuses a message that is
//! shorter than it says. Invariant: the kernel's root (1) stands for the session's root, every other node id is an inode id.

mod answer;
mod dirents;
mod fields;
mod operation;
mod parse;
mod present;

pub(crate) use answer::{Answer, Encoded, Locked, OpenHints, encode};
pub(crate) use dirents::DirentBuffer;
pub(crate) use fields::{Fields, bytes_of};
pub(crate) use operation::{
    Create, Fallocate, FallocateMode, Lock, Open, Operation, Read, ReadDir, Rename, SetAttr, SetXattr, Write,
};
pub(crate) use parse::{Incoming, parse};
pub(crate) use present::{Presentation, SET_ID_BITS, node_id};
