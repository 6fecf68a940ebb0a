//! `flexfs bench`: measurements of a mount, of any directory, and of the machine below them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use perf::{DEFAULT_VARIANT, Settings, Variant, Watched};

use crate::dispatch::Invocation;
use crate::paths;

/// The words after `bench`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Measure, beside the ceilings of this machine
    Run(Run),
    /// Tell what moved between two runs, beyond the noise
    Compare {
        /// results.json of the earlier run
        old: PathBuf,
        /// results.json of the later run
        new: PathBuf,
        /// Show what did not move, too
        #[arg(long)]
        all: bool,
    },
    /// Show the report of an earlier run again
    Show {
        /// Its results.json
        results: PathBuf,
    },
    /// One process that makes load
    #[command(hide = true)]
    Worker {
        /// Process that started this one
        #[arg(long)]
        parent: u32,
    },
    /// Become another command that ends with its parent
    #[command(hide = true)]
    Guard {
        /// Process that started this one
        #[arg(long)]
        parent: u32,
        /// Executable of the other command
        #[arg(long)]
        program: PathBuf,
        /// Words of the other command
        #[arg(last = true, required = true)]
        words: Vec<OsString>,
    },
    /// Mount a FUSE file system that does nothing, until it is unmounted
    #[command(hide = true)]
    Null {
        /// Empty directory to mount on
        mount_point: PathBuf,
        /// How requests travel: uring, classic, or auto for the first of them that there is
        #[arg(long, default_value = "auto")]
        transport: String,
        /// Let the kernel read and write files by itself, in memory (Linux 6.9, root)
        #[arg(long)]
        passthrough: bool,
    },
}

/// Flags of `bench run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The short run: two minutes, few shapes of each workload
    #[arg(long)]
    quick: bool,
    /// Directory to measure instead of a `flexfs up` of its own; several show one file system
    #[arg(long, value_name = "DIR")]
    target: Vec<PathBuf>,
    /// Folder for the report [default: flexfs-bench-TIME]
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Folder on the disk to measure: for data of the run's own and for the reference [default: the current one]
    #[arg(long = "dataFolder", value_name = "DIR")]
    data_folder: Option<PathBuf>,
    /// Only workloads whose id begins so, as `metadata` or `random.read`
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = perf::check_only)]
    only: Vec<String>,
    /// Flags of one of several `flexfs up` to measure side by side, as `two='--threads 2'`; of another build, as
    /// `old=@PROGRAM`
    #[arg(long, value_name = "NAME=FLAGS", value_parser = parse_variant, conflicts_with = "target")]
    variant: Vec<Variant>,
    /// Measure every transport of this kernel with every runtime of a mount's threads, side by side
    #[arg(long, conflicts_with_all = ["target", "variant"])]
    matrix: bool,
    /// A process behind the target, whose CPU time and memory are shown
    #[arg(long, value_name = "NAME=PID", value_parser = parse_process, requires = "target")]
    process: Vec<Watched>,
    /// Files for the tree workload [default: 250 or 4,000 files made from the seed]
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
    /// Inodes of the large volume that the group `scale` fills: about 300 bytes of disk each
    #[arg(long, value_name = "N", default_value_t = perf::INODES, value_parser = clap::value_parser!(u64).range(1000..=1_000_000_000))]
    inodes: u64,
    /// Rounds that count
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,
    /// Seconds of each workload that is bounded by time
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    seconds: Option<f64>,
    /// Number that everything random follows from
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Carries out `command`.
pub(crate) fn run(command: Command, invocation: &Invocation) -> Result<()> {
    match command {
        Command::Run(arguments) => perf::run(&arguments.settings(invocation)?),
        Command::Compare { old, new, all } => perf::compare(&old, &new, all),
        Command::Show { results } => perf::show(&results),
        Command::Worker { parent } => perf::worker(parent),
        Command::Guard { parent, program, words } => perf::guard(&program, parent, &words).map(|never| match never {}),
        Command::Null { mount_point, transport, passthrough } => perf::null(&mount_point, &transport, passthrough),
    }
}

fn executable() -> Result<PathBuf> {
    std::env::current_exe().context("finding the executable")
}

impl Run {
    fn settings(self, invocation: &Invocation) -> Result<Settings> {
        let variants = match (self.matrix, self.variant.is_empty()) {
            (true, _) => Variant::matrix(),
            (false, true) => vec![Variant { name: DEFAULT_VARIANT.to_owned(), program: None, flags: Vec::new() }],
            (false, false) => self.variant,
        };
        let output = self.output.unwrap_or_else(|| PathBuf::from(format!("flexfs-bench-{}", perf::time_stamp())));
        Ok(Settings {
            executable: executable()?,
            command: invocation.words.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            targets: self.target,
            variants,
            data_folder: paths::absolute(self.data_folder.as_deref().unwrap_or(Path::new(".")))?,
            output,
            quick: self.quick,
            rounds: self.rounds,
            seconds: self.seconds,
            seed: self.seed,
            only: self.only,
            inodes: self.inodes,
            processes: self.process,
            tree: self.tree.map(|tree| paths::absolute(&tree)).transpose()?,
        })
    }
}

fn parse_variant(text: &str) -> Result<Variant, String> {
    let (name, flags) = text.split_once('=').ok_or("a name, `=` and flags of `flexfs up` are needed")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err(format!("name {name:?}: letters, digits and `-` are needed"));
    }
    let (program, flags): (Vec<&str>, Vec<&str>) = flags.split_whitespace().partition(|word| word.starts_with('@'));
    let program = match program.as_slice() {
        [] => None,
        [one] => {
            Some(PathBuf::from(&one[1..]).canonicalize().map_err(|error| format!("program {}: {error}", &one[1..]))?)
        }
        _ => return Err("one program at the most is needed".to_owned()),
    };
    Ok(Variant { name: name.to_owned(), program, flags: flags.into_iter().map(str::to_owned).collect() })
}

fn parse_process(text: &str) -> Result<Watched, String> {
    let parsed = text.split_once('=').and_then(|(name, pid)| Some((name, pid.parse().ok()?)));
    let (name, pid) = parsed.ok_or("a name, `=` and a process id are needed")?;
    Ok(Watched { name: name.to_owned(), pid })
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number from 0.01 to 3600 is needed".to_owned()),
    }
}
