//! What is measured. Each run leaves the folder as it found it.

use std::fmt;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// A measurable piece of work.
pub(crate) enum Workload {
    /// Creates and closes empty files, each process in a folder of its own.
    Create { processes: usize, seconds: f64 },
    /// Writes a file in 1 MiB pieces, fsync at the end.
    SequentialWrite { bytes: u64 },
    /// Reads a file in 1 MiB pieces that was read once before.
    WarmRead { bytes: u64 },
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { processes, .. } => write!(f, "create, {processes} process(es), files/s"),
            Self::SequentialWrite { .. } => write!(f, "sequential write with fsync, MB/s"),
            Self::WarmRead { .. } => write!(f, "sequential read, warm, MB/s"),
        }
    }
}

impl Workload {
    /// Runs once; the figure in the unit of the name.
    pub(crate) fn run(&self, folder: &Path) -> Result<f64> {
        let scratch = folder.join(format!("perf-{}", std::process::id()));
        fs::create_dir(&scratch)?;
        let figure = match *self {
            Self::Create { processes, seconds } => create(&scratch, processes, seconds),
            Self::SequentialWrite { bytes } => sequential_write(&scratch, bytes),
            Self::WarmRead { bytes } => warm_read(&scratch, bytes),
        };
        fs::remove_dir_all(&scratch)?;
        figure
    }
}

fn create(scratch: &Path, processes: usize, seconds: f64) -> Result<f64> {
    let mut workers = Vec::new();
    for number in 0..processes {
        let folder = scratch.join(number.to_string());
        fs::create_dir(&folder)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("create").arg(&folder).arg(seconds.to_string());
        workers.push(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
    }
    // All wait for a line, so that none begins before the last was started.
    for worker in &mut workers {
        worker.stdin.as_mut().context("stdin is piped")?.write_all(b"go\n")?;
    }
    workers.into_iter().map(files_per_second).sum()
}

fn files_per_second(mut worker: Child) -> Result<f64> {
    let mut line = String::new();
    BufReader::new(worker.stdout.as_mut().context("stdout is piped")?).read_line(&mut line)?;
    ensure!(worker.wait()?.success(), "a worker failed");
    Ok(line.trim().parse()?)
}

/// The body of one process: prints files per second.
pub(crate) fn create_worker(folder: &Path, seconds: f64) -> Result<()> {
    std::io::stdin().read_line(&mut String::new())?;
    let (start, limit) = (Instant::now(), Duration::from_secs_f64(seconds));
    let mut made = 0u32;
    while start.elapsed() < limit {
        File::create_new(folder.join(format!("file-{made}")))?;
        made += 1;
    }
    println!("{}", f64::from(made) / start.elapsed().as_secs_f64());
    Ok(())
}

fn sequential_write(scratch: &Path, bytes: u64) -> Result<f64> {
    let content = incompressible(1 << 20);
    let mut file = File::create(scratch.join("file"))?;
    let start = Instant::now();
    for _ in 0..bytes >> 20 {
        file.write_all(&content)?;
    }
    file.sync_all()?;
    Ok(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
}

fn warm_read(scratch: &Path, bytes: u64) -> Result<f64> {
    sequential_write(scratch, bytes)?;
    let path = scratch.join("file");
    read_through(&path)?;
    let start = Instant::now();
    let read = read_through(&path)?;
    ensure!(read == bytes, "{read} of {bytes} bytes were read");
    Ok(bytes as f64 / 1e6 / start.elapsed().as_secs_f64())
}

fn read_through(path: &Path) -> Result<u64> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut total = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(total),
            read => total += read as u64,
        }
    }
}

/// Bytes that no compression shrinks (xorshift64, fixed seed): the unflattering case.
fn incompressible(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
