//! What is measured. Each workload runs on any folder; those of the system itself need a mount that the run started.

mod metadata;
mod random;
mod sequential;
mod work;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::worker::Duty;

pub(crate) use work::{Bound, Field, Figure, Found, Work};

/// What a worker does: the part of a workload that makes load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// See [`sequential`].
    Stream(sequential::Stream),
    /// See [`random`].
    Random(random::Job),
    /// See [`metadata`].
    Names(metadata::Names),
}

/// The duty of a worker with `job` in `folder`.
pub(crate) fn duty(job: Job, folder: &Path) -> Box<dyn Duty> {
    match job {
        Job::Stream(job) => Box::new(job.in_folder(folder)),
        Job::Random(job) => Box::new(job.in_folder(folder)),
        Job::Names(job) => Box::new(job.in_folder(folder)),
    }
}

/// How large workloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// For a run of two minutes.
    Quick,
    /// For a run that takes its time.
    Full,
}

/// All workloads on folders.
pub(crate) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let mut all = sequential::all(size);
    all.extend(random::all(size));
    all.extend(metadata::all(size));
    all
}
