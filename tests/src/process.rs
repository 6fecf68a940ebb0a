//! Programs as processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::secrets;

/// The program under test, built beside the tests.
fn executable() -> PathBuf {
    let tests = std::env::current_exe().expect("a test knows its own path");
    // target/debug/deps/<test>: the program lies two levels up.
    let program = tests.ancestors().nth(2).expect("tests lie in target/debug/deps").join("flexfs");
    assert!(program.exists(), "{} is missing: run `cargo build` first, or `cargo xtask test`", program.display());
    program
}

/// `flexfs ARGS` with `home` as the user's folder and nothing to read.
pub fn flexfs(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(executable());
    command.args(args).env("HOME", home).env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

fn words(command: &Command) -> Vec<String> {
    command.get_args().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// What a finished program said.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs `command` to its end.
    pub fn of(command: &mut Command) -> Self {
        secrets::note_arguments(&words(command));
        let output = command.output().expect("the program starts");
        let outcome = Self {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        outcome.hides_tokens(&words(command));
        outcome
    }

    /// Nothing but the commands that are there to show tokens shows one.
    #[track_caller]
    fn hides_tokens(&self, words: &[String]) {
        let shows = |word: &&String| matches!(word.as_str(), "create" | "show" | "update");
        let is_shown = words.iter().any(|word| word == "configure") && words.iter().any(|word| shows(&word));
        if is_shown && let Ok(printed) = serde_json::from_str(&self.stdout) {
            secrets::note_in(&printed);
        }
        let name = words.iter().take(3).cloned().collect::<Vec<_>>().join(" ");
        secrets::none_in(&format!("the errors of {name}"), &self.stderr);
        if !is_shown {
            secrets::none_in(&format!("the output of {name}"), &self.stdout);
        }
    }

    /// The standard output of a success.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.status, 0, "{self:#?}");
        self.stdout
    }

    /// The one line of a failure with this status.
    #[track_caller]
    pub fn failure(self, status: i32) -> String {
        assert_eq!(self.status, status, "{self:#?}");
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "one line is wanted: {self:#?}");
        self.stderr
    }
}

/// A program that runs until it is stopped. Dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with its output in `log`.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        secrets::note_arguments(&words(command));
        let file = File::options().create(true).append(true).open(log).expect("the log can be written");
        let errors = file.try_clone().expect("a file can be duplicated");
        let child = command.stdout(file).stderr(errors).spawn().expect("the program starts");
        Self { child, log: log.to_owned() }
    }

    /// What the program wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and waits for the end; the exit status.
    #[track_caller]
    pub fn terminate(&mut self) -> i32 {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        if self.is_running() {
            kill_process(pid, signal).expect("a child can be signalled");
        }
    }

    /// Waits for the end; the exit status.
    #[track_caller]
    pub fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "process {} does not end; its log:\n{}", self.pid(), self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- log of process {} ({})\n{}", self.pid(), self.log.display(), self.log());
        }
        // Before it ends: a process that ended has no command line.
        let seen = ["cmdline", "environ"].map(|file| {
            let bytes = std::fs::read(format!("/proc/{}/{file}", self.pid())).unwrap_or_default();
            (file, String::from_utf8_lossy(&bytes).into_owned())
        });
        self.kill();
        seen.iter().for_each(|(file, text)| secrets::none_in(&format!("the {file} of a process"), text));
        secrets::none_in(&self.log.display().to_string(), &self.log());
    }
}

/// A program that waits for its start signal.
///
/// A process that holds written files of a mount open cannot start another while the metadata server is away: the
/// kernel flushes them when exec closes their copies. So what is started then is made ready before.
#[derive(Debug)]
pub struct Standby(Daemon);

impl Standby {
    /// Makes `command` ready, with its output in `log`.
    pub fn ready(command: &Command, log: &Path) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "read go && exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        Self(Daemon::start(shell.stdin(Stdio::piped()), log))
    }

    /// Lets it start.
    pub fn go(mut self) -> Daemon {
        let mut input = self.0.child.stdin.take().expect("its input is a pipe");
        std::io::Write::write_all(&mut input, b"go\n").expect("it waits for this line");
        self.0
    }
}

/// Waits until `condition` holds; fails after `seconds` with `what`.
#[track_caller]
pub fn wait_for(what: &str, seconds: u64, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !condition() {
        assert!(Instant::now() < deadline, "waited {seconds} s in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
