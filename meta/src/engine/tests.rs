//! Scenarios in a tiny world: one volume in memory, a clock that is told the time, mounts and users by hand.

mod claims;
mod content;
mod crash;
mod hostile;
mod identities;
mod listing;
mod locks;
mod model;
mod names;
mod open_files;
mod owners;
mod random;
mod recovery;
mod renames;
mod scope;
mod tearing;
mod world;
mod xattrs;
