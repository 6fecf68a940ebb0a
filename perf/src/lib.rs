//! Measurements that anybody can repeat: workloads on a mount and on what bounds it, side by side in one run.
//!
//! Every figure is given absolute and as a share of its ceiling. The parent process only orders; load comes from workers
//! (the same executable again), servers and mounts are the real ones in processes of their own, and all of them end with
//! the run.

mod admin;
mod buffer;
mod ceilings;
mod children;
mod crew;
mod direct;
mod environment;
mod job;
pub mod method;
mod mounts;
mod progress;
pub mod report;
mod resources;
mod run;
mod seed;
mod session;
mod settings;
mod stop;
mod subject;
mod tally;
mod unit;
mod work;
mod worker;
mod workloads;

pub use ceilings::null_fuse::null;
pub use children::guard;
pub use environment::time_stamp;
pub use report::{compare, show};
pub use resources::Watched;
pub use run::{check_only, run};
pub use settings::{DEFAULT_VARIANT, Settings, Variant};
pub use unit::Unit;
pub use worker::worker;
pub use workloads::scale::INODES;
