//! Speed of a mounted folder beside a reference folder: the same work on both, in turns, medians with their range.
//!
//! `cargo run --release --package perf -- --target /mnt/flexfs --reference /var/tmp`

mod report;
mod workload;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use report::Report;
use workload::Workload;

#[derive(Parser)]
struct Arguments {
    /// Folder to measure.
    #[arg(long)]
    target: Option<PathBuf>,
    /// Folder to measure beside it, in the same run.
    #[arg(long)]
    reference: Option<PathBuf>,
    /// Rounds; each does every workload on both folders.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Bytes of the sequential workloads, in MiB.
    #[arg(long, default_value_t = 512)]
    mebibytes: u64,
    /// Seconds of each metadata workload.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Processes whose resident memory is shown at the end.
    #[arg(long)]
    pid: Vec<u32>,
    #[command(subcommand)]
    worker: Option<Worker>,
}

#[derive(Subcommand)]
enum Worker {
    /// One process of a metadata workload; started by the benchmark itself.
    #[command(hide = true)]
    Create { folder: PathBuf, seconds: f64 },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Worker::Create { folder, seconds }) = arguments.worker {
        return workload::create_worker(&folder, seconds);
    }
    let target = arguments.target.context("--target DIR: the folder to measure is missing")?;
    let mut folders = vec![target];
    folders.extend(arguments.reference);
    let workloads = [
        Workload::Create { processes: 1, seconds: arguments.seconds },
        Workload::Create { processes: 8, seconds: arguments.seconds },
        Workload::SequentialWrite { bytes: arguments.mebibytes << 20 },
        Workload::WarmRead { bytes: arguments.mebibytes << 20 },
    ];
    let mut report = Report::default();
    for round in 0..arguments.rounds {
        for workload in &workloads {
            for folder in &folders {
                eprintln!("round {} of {}: {workload} on {}", round + 1, arguments.rounds, folder.display());
                let figure = workload.run(folder).with_context(|| format!("{workload} on {}", folder.display()))?;
                report.add(&workload.to_string(), folder, figure);
            }
        }
    }
    report.print(&folders);
    for pid in arguments.pid {
        println!("resident memory of process {pid}: {}", report::resident(pid)?);
    }
    Ok(())
}
