//! Processes of a run: each ends with the run, however that ends.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::stop::{LOOK, LastResort, Stop};

/// Time for a clean end, and for the end after a second signal.
const END_CLEANLY: Duration = Duration::from_secs(20);
const END_ANYHOW: Duration = Duration::from_secs(5);
/// Bytes of a log that are told when its process failed.
const LOG_TAIL: usize = 2000;

/// A daemon that was started for this run.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
    _resort: LastResort,
}

impl Daemon {
    /// Starts `program WORDS` with its output in the file `log`, whose folder is its home: the user's has nothing to do
    /// with it. It gets SIGTERM should this thread end first, and no signals of the terminal. `executable` is this one.
    pub(crate) fn start(executable: &Path, program: &Path, name: &str, words: &[&OsStr], log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("log file {}", log.display()))?;
        let errors = output.try_clone().context("a second descriptor of a log")?;
        let child = Command::new(executable)
            .args(["bench", "guard", "--parent", &std::process::id().to_string(), "--program"])
            .arg(program)
            .arg("--")
            .args(words)
            .env("HOME", log.parent().unwrap_or(Path::new("/")))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let pid = child.id();
        let resort = LastResort::new(move || kill(pid, Signal::KILL));
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), _resort: resort })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of its log, if it ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait() {
            Ok(Some(status)) => bail!("{} ended ({status}): {}", self.name, self.last_words()),
            _ => Ok(()),
        }
    }

    /// Waits until `is_ready`, at most for `limit`.
    pub(crate) fn wait_until(&mut self, stop: &Stop, limit: Duration, is_ready: impl Fn() -> bool) -> Result<()> {
        let end = Instant::now() + limit;
        while !is_ready() {
            self.check()?;
            if Instant::now() > end {
                bail!("{} is not ready after {} s: {}", self.name, limit.as_secs(), self.last_words());
            }
            stop.sleep(LOOK)?;
        }
        Ok(())
    }

    /// Ends it the hard way, as a crash would.
    pub(crate) fn kill(&mut self) {
        kill(self.child.id(), Signal::KILL);
        self.has_ended_within(END_ANYHOW);
    }

    /// Ends it: cleanly, at once, the hard way, whichever works first. Nothing where it has ended.
    pub(crate) fn end(&mut self) {
        for (signal, limit) in [(Signal::TERM, END_CLEANLY), (Signal::TERM, END_ANYHOW), (Signal::KILL, END_ANYHOW)] {
            if self.has_ended_within(Duration::ZERO) {
                return;
            }
            kill(self.child.id(), signal);
            if self.has_ended_within(limit) {
                return;
            }
        }
        tracing::warn!(process = self.name, pid = self.child.id(), "does not end");
    }

    /// What it wrote last, in one line.
    fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(LOG_TAIL)..]).into_owned();
        let lines: Vec<&str> = tail.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { "it wrote nothing".to_owned() } else { lines.join("; ") }
    }

    fn has_ended_within(&mut self, limit: Duration) -> bool {
        has_ended_within(&mut self.child, limit)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether `child` ends in time.
pub(crate) fn has_ended_within(child: &mut Child, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    loop {
        match child.try_wait() {
            Ok(None) if Instant::now() < end => std::thread::sleep(LOOK / 4),
            Ok(None) => return false,
            // An error says that there is no such child.
            _ => return true,
        }
    }
}

/// Signals a process that is a child of this one and was not waited for, so the number is still its own.
pub(crate) fn kill(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

/// Kills a child of this process and what it started: it leads a process group.
pub(crate) fn kill_group(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process_group(pid, Signal::KILL);
    }
}

/// `flexfs bench guard --parent PID --program PROGRAM -- WORDS`: becomes `PROGRAM WORDS`, ended should the process that
/// started it end first.
///
/// # Errors
/// The parent is gone already, or the program cannot be started. Does not return otherwise.
pub fn guard(program: &Path, parent: u32, words: &[OsString]) -> Result<std::convert::Infallible> {
    end_with_parent(parent, Signal::TERM)?;
    Err(Command::new(program).args(words).exec()).with_context(|| format!("program {}", program.display()))
}

/// From here on this process gets `signal` when its parent ends; an error where that is gone already.
pub(crate) fn end_with_parent(parent: u32, signal: Signal) -> Result<()> {
    set_parent_process_death_signal(Some(signal)).context("asking for a signal at the end of the parent")?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    ensure!(now == Some(parent), "process {parent}, which started this one, is gone");
    Ok(())
}
