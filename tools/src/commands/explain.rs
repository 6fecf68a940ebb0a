//! `flexfs explain`: where the time of the slowest recent operations of a mount went.
//!
//! A mount remembers them of itself and tells them through an extended attribute: of a file, or at its root of all.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use fsd::{SLOW_XATTR, SlowOperation, Stage, StageTime};
use rustix::io::Errno;

use crate::output;

/// Flags of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A file, for what was slow on it; a mount point, for what was slow on the mount
    #[arg(required_unless_present = "last")]
    path: Option<PathBuf>,
    /// The mount that was made last
    #[arg(long, conflicts_with = "path")]
    last: bool,
    /// Print them as JSON, times in microseconds
    #[arg(long)]
    json: bool,
}

/// Asks the mount and prints what it tells.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let path = match &arguments.path {
        Some(path) => path.clone(),
        None => last_mount()?,
    };
    let json = ask(&path)?;
    if arguments.json {
        return output::print(&[&json[..], b"\n"].concat());
    }
    let operations: Vec<SlowOperation> = serde_json::from_slice(&json)
        .with_context(|| format!("{}: the mount is of another version", path.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    output::print(report(&path, &operations, now).as_bytes())
}

fn ask(path: &Path) -> Result<Vec<u8>> {
    let mut value = vec![0; VALUE_MAX];
    match rustix::fs::getxattr(path, SLOW_XATTR, &mut value[..]) {
        Ok(len) => {
            value.truncate(len);
            Ok(value)
        }
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => bail!(
            "{}: nothing is told of it; a file or a directory on a mount of flexfs is needed, asked by root or by who \
             mounted it",
            path.display()
        ),
        Err(error) => Err(std::io::Error::from(error)).with_context(|| path.display().to_string()),
    }
}

/// Longest value of an extended attribute.
const VALUE_MAX: usize = 64 << 10;

/// The mount of flexfs that stands last in the kernel's list.
fn last_mount() -> Result<PathBuf> {
    let mut table = String::new();
    std::fs::File::open("/proc/self/mountinfo").and_then(|mut file| file.read_to_string(&mut table))?;
    newest(&table).ok_or_else(|| anyhow!("no mount of flexfs is there: name a path on one, or mount a volume"))
}

fn newest(mountinfo: &str) -> Option<PathBuf> {
    let is_ours = |line: &&str| line.split_once(" - ").is_some_and(|(_, behind)| behind.starts_with("fuse.flexfs "));
    let place = mountinfo.lines().rev().find(is_ours)?.split(' ').nth(4)?;
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    Some(escapes.iter().fold(place.to_owned(), |text, (code, character)| text.replace(code, character)).into())
}

/// The operations with where their time went, slowest first.
fn report(path: &Path, operations: &[SlowOperation], now: f64) -> String {
    if operations.is_empty() {
        return format!("{}: no operation had to wait in the last minutes\n", path.display());
    }
    let mut text = format!("slowest operations of the last minutes, {}; milliseconds\n", path.display());
    for operation in operations {
        let error = operation.error.as_ref().map_or_else(String::new, |error| format!(", {error}"));
        let _ = writeln!(
            text,
            "\n{}  {} of inode {}{error}, {:.0} s ago",
            millis(operation.total),
            operation.operation,
            operation.inode,
            (now - operation.began).max(0.0),
        );
        for (depth, stage) in nested(&operation.stages) {
            let _ = writeln!(text, "{}{}  {}", " ".repeat(4 + 4 * depth), millis(stage.took), words(stage));
        }
        let waited = covered(&operation.stages);
        let rest = operation.total.saturating_sub(waited + operation.queue + operation.reply);
        for (micros, what) in [
            (operation.queue, "before it was taken up: others were first on the thread"),
            (operation.reply, "copying the reply to the kernel"),
            (rest, "the mount itself"),
        ] {
            if micros >= SHOWN_MIN {
                let _ = writeln!(text, "    {}  {what}", millis(micros));
            }
        }
    }
    text
}

/// Shorter times than this are not worth a line of their own, in microseconds.
const SHOWN_MIN: u64 = 10;

fn millis(micros: u64) -> String {
    format!("{:8.2}", micros as f64 / 1000.0)
}

fn words(time: &StageTime) -> String {
    match time.stage {
        Stage::Call => {
            let network = time.took.saturating_sub(time.server);
            let disk =
                if time.disk > 0 { format!(" (of that its disk {})", millis(time.disk).trim()) } else { String::new() };
            let request = time.request.as_deref().unwrap_or("request");
            let (server, network) = (millis(time.server), millis(network));
            format!("{request}: metadata server {}{disk}, network {}", server.trim(), network.trim())
        }
        Stage::Reconnect => "no connection to the metadata server".to_owned(),
        Stage::Blocks => "stored blocks: fetched, checked, unpacked".to_owned(),
        Stage::Store => "the block store's answer".to_owned(),
        Stage::Turn => "other commits of the file".to_owned(),
        Stage::Upload => "uploads of written bytes".to_owned(),
        Stage::Room => "room for written bytes".to_owned(),
    }
}

/// Each stage with the number of those it lies in.
fn nested(stages: &[StageTime]) -> Vec<(usize, &StageTime)> {
    let end = |time: &StageTime| time.at + time.took;
    let depth = |index: usize| {
        let inner = &stages[index];
        stages[..index].iter().filter(|outer| end(outer) >= end(inner) && end(outer) > inner.at).count()
    };
    stages.iter().enumerate().map(|(index, time)| (depth(index), time)).collect()
}

/// Time in which at least one stage went on; they are in the order of their begin.
fn covered(stages: &[StageTime]) -> u64 {
    let mut behind = 0;
    stages.iter().fold(0, |sum, time| {
        let end = time.at + time.took;
        let new = end.saturating_sub(behind.max(time.at));
        behind = behind.max(end);
        sum + new
    })
}

#[cfg(test)]
mod tests;
