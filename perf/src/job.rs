//! What workers do: the parts of workloads and ceilings that make load.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::ceilings::{block_store, engine, quic_echo};
use crate::worker::Duty;
use crate::workloads::{
    contention, metadata, mixed, random, recovery, revocation, scale, sequential, sessions, small_files, sqlite, tree,
    validation,
};

/// A worker's task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// See [`sequential`].
    Stream(sequential::Stream),
    /// See [`random`].
    Access(random::Accesses),
    /// See [`metadata`].
    Names(metadata::Names),
    /// See [`small_files`].
    Files(small_files::Files),
    /// See [`tree`].
    Tree(tree::Handles),
    /// See [`sqlite`].
    Sqlite(sqlite::Transactions),
    /// See [`mixed`].
    Shares(mixed::Shares),
    /// See [`contention`].
    Contends(contention::Contends),
    /// See [`sessions`].
    Sessions(sessions::Storm),
    /// See [`validation`].
    Validate(validation::Validations),
    /// See [`revocation`].
    Revoke(revocation::Revoke),
    /// See [`recovery`].
    Beat(recovery::Beats),
    /// See [`scale`].
    ScaleFill(scale::Fill),
    /// See [`scale`].
    ScaleEngine(scale::Lookups),
    /// See [`scale`].
    ScaleServe(scale::Serve),
    /// See [`scale`].
    ScaleAsk(scale::Questions),
    /// See [`quic_echo`].
    Echo(quic_echo::Echo),
    /// See [`block_store`].
    Objects(block_store::Objects),
    /// See [`engine`].
    Engine(engine::Requests),
    /// See [`engine`].
    Reopen,
}

impl Job {
    /// The duty of a worker with this job in `folder`.
    pub(crate) fn duty(self, folder: &Path) -> Box<dyn Duty> {
        match self {
            Self::Stream(job) => Box::new(job.in_folder(folder)),
            Self::Access(job) => Box::new(job.in_folder(folder)),
            Self::Names(job) => Box::new(job.in_folder(folder)),
            Self::Files(job) => Box::new(job.in_folder(folder)),
            Self::Tree(job) => Box::new(job.in_folder(folder)),
            Self::Sqlite(job) => Box::new(job.in_folder(folder)),
            Self::Shares(job) => Box::new(job.in_folder(folder)),
            Self::Contends(job) => Box::new(job.in_folder(folder)),
            Self::Sessions(job) => Box::new(job.at_work()),
            Self::Validate(job) => Box::new(job.at_work()),
            Self::Revoke(job) => Box::new(job.at_work()),
            Self::Beat(job) => Box::new(job.in_folder(folder)),
            Self::ScaleFill(job) => Box::new(job.in_folder(folder)),
            Self::ScaleEngine(job) => Box::new(job.in_folder(folder)),
            Self::ScaleServe(job) => Box::new(job.in_folder(folder)),
            Self::ScaleAsk(job) => Box::new(job.in_folder(folder)),
            Self::Echo(job) => Box::new(job.in_folder(folder)),
            Self::Objects(job) => Box::new(job.in_folder(folder)),
            Self::Engine(job) => Box::new(job.in_folder(folder)),
            Self::Reopen => Box::new(engine::Reopening::in_folder(folder)),
        }
    }
}
