//! What a run is told.

use std::path::PathBuf;

use fsd::{Runtime, Transport};

use crate::resources::Watched;

/// Settings of `flexfs bench run`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This program: it starts servers, mounts and workers.
    pub executable: PathBuf,
    /// Words of the command line, for the report.
    pub command: Vec<String>,
    /// Folders to measure, all of one file system. None: the run starts systems of its own.
    pub targets: Vec<PathBuf>,
    /// Systems to start where there are no targets; at least one then.
    pub variants: Vec<Variant>,
    /// Folder on the disk that holds the run's own files.
    pub data_folder: PathBuf,
    /// Folder of the report; made by the run.
    pub output: PathBuf,
    /// The short run: two minutes at the most.
    pub quick: bool,
    /// Rounds; `None` = as usual.
    pub rounds: Option<u32>,
    /// Seconds of a workload that is bounded by time; `None` = as usual.
    pub seconds: Option<f64>,
    /// Where everything random comes from.
    pub seed: u64,
    /// Only workloads whose id begins with one of these words; empty = all.
    pub only: Vec<String>,
    /// Inodes of the large volume.
    pub inodes: u64,
    /// Processes behind the targets, to watch.
    pub processes: Vec<Watched>,
    /// Tree of files for the tree workload; `None` = one that follows from the seed.
    pub tree: Option<PathBuf>,
}

/// A system to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// Its name in the report.
    pub name: String,
    /// Another build of this program; `None` = this one.
    pub program: Option<PathBuf>,
    /// Flags of `flexfs up`.
    pub flags: Vec<String>,
}

impl Variant {
    /// Every way this machine has to bring requests to a mount, with every runtime of its threads.
    #[must_use]
    pub fn matrix() -> Vec<Self> {
        let runtimes = [Runtime::Tokio, Runtime::TokioUring];
        let of_transport = |transport: Transport| {
            runtimes.map(|runtime| {
                let (transport, runtime) = (transport.to_string(), runtime.to_string());
                let name = format!("{transport}-{runtime}");
                let flags = ["--transport", &transport, "--runtime", &runtime].map(str::to_owned);
                Self { name, program: None, flags: flags.into() }
            })
        };
        Transport::available().into_iter().flat_map(of_transport).collect()
    }
}

/// Name of the only variant.
pub const DEFAULT_VARIANT: &str = "flexfs";
