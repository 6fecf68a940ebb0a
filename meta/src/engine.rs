//! The metadata engine: what a volume is and how every request changes it.
//!
//! Pure: a request, a session and the time go in; a reply comes out, and one batch goes to the store. It decides over
//! permissions, scope, quotas and open files, and trusts nothing that a mount says. It refuses to know connections,
//! tokens and object bytes.
//!
//! Invariants, which [`check()`] proves: every dentry points to a record; `nlink` is the number of names; counters equal
//! what is there; an object id is granted, referenced by exactly one block, dead, or gone.
//!
//! One writer at a time: a mutation takes the volume's writer lock, reads, decides, commits one batch and updates the
//! caches. Readers take no lock; what they cannot make sense of because a commit happened in between they read once
//! more under the lock.

mod abandoned;
mod cache;
mod check;
mod error;
mod grants;
mod identity;
mod inode;
mod keys;
mod ledger;
mod lock_wait;
mod locks;
mod names;
mod opens;
mod ops;
mod permit;
mod scope;
mod session;
mod superblock;
mod sweep;
mod tx;
mod view;
mod volume;

pub use abandoned::close_recorded_sessions;
pub use check::check;
pub use error::{Breach, EngineError};
pub use identity::{FixedCaller, Identity, NOBODY};
pub use lock_wait::LockWait;
pub use session::{SessionContext, SessionRecord};
pub(crate) use superblock::recorded_block_size;
pub use volume::{Executed, Volume, VolumeLimits};

#[cfg(test)]
mod tests;
