//! A mount in the background: this executable starts itself again and waits until that process reports.
//!
//! The report is one line on the child's stdout, a pipe. Nothing is forked, so no thread is lost on the way.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use auth::creds::MountCreds;

use super::live::Readiness;
use crate::dispatch::Invocation;
use crate::progress::Waiting;
use crate::{failure, paths};

/// A log that is larger when a mount starts is put aside, in bytes.
const LOG_MAX: u64 = 8 << 20;
/// Longest report that is read, in bytes.
const REPORT_MAX: u64 = 64 << 10;
/// The report of a mount that is there; any other line is why it is not.
const MOUNTED: &str = "mounted";

/// Starts the process that stays, and returns when it has mounted or failed.
pub(super) fn leave_behind(volume: &str, invocation: &Invocation) -> Result<()> {
    let (log, file) = open_log(volume)?;
    let executable = std::env::current_exe().context("finding the executable")?;
    let mut child = Command::new(executable)
        .args(detached_words(&invocation.words))
        // A service that mounts is not this mount: its manager must not hear of its end.
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .context("starting the mount process")?;
    let mut report = String::new();
    {
        let _waiting = Waiting::show(format!("mounting {volume}"));
        let pipe = child.stdout.take().expect("stdout is a pipe");
        BufReader::new(pipe.take(REPORT_MAX)).read_line(&mut report).context("waiting for the mount process")?;
    }
    match report.trim_end() {
        MOUNTED => Ok(()),
        "" => {
            let status = child.wait().context("waiting for the mount process")?;
            bail!("the mount process ended before the mount appeared ({status}); see {}", log.display())
        }
        reason => bail!("{reason}"),
    }
}

/// The life of that process: `mount` gets what to report with, and stays as long as the mount.
pub(super) fn serve(mount: impl FnOnce(Readiness) -> Result<()>) -> Result<()> {
    rustix::process::setsid().context("leaving the terminal")?;
    mount(Readiness::Parent).inspect_err(|error| {
        // After the report of success stdout is /dev/null, and the log has it all.
        report(&failure::one_line(error)).unwrap_or_else(|_| tracing::debug!("nobody waits for the report"));
    })
}

/// Tells the parent that the mount is there, and lets go of it: of its pipe, and of the folder it was started in.
pub(super) fn report_mounted() -> Result<()> {
    report(MOUNTED).context("whoever started the mount has gone")?;
    let nowhere = File::options().write(true).open("/dev/null").context("opening /dev/null")?;
    rustix::stdio::dup2_stdout(&nowhere).context("closing stdout")?;
    std::env::set_current_dir("/").context("leaving the current folder")
}

fn report(line: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// The command line of the process that stays: the same words, and a flag that says so.
fn detached_words(words: &[OsString]) -> Vec<OsString> {
    let verb = words.iter().position(|word| word == "start").expect("clap found the word `start`");
    let mut words = words[1..].to_vec();
    words.insert(verb, "--detached".into());
    words
}

/// Opens `~/.flexfs/mount/log/<volume>.log` to append.
fn open_log(volume: &str) -> Result<(PathBuf, File)> {
    // What can name a credentials file can name a log.
    MountCreds::default_path(volume)?;
    let folder = paths::flexfs_folder("mount/log")?;
    paths::make_private_folder(&folder)?;
    let path = folder.join(format!("{volume}.log"));
    put_aside(&path).with_context(|| format!("log file {}", path.display()))?;
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("log file {}", path.display()))?;
    Ok((path, file))
}

/// Renames a large log to `.old`, so that two of them bound what a volume's mounts leave behind at start.
fn put_aside(path: &Path) -> std::io::Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > LOG_MAX => std::fs::rename(path, path.with_extension("log.old")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
