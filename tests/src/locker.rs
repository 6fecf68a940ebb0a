//! A program that holds locks, at the other end of two pipes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The program `locker` of this crate, in a process of its own. Dropping it kills it.
pub struct Locker {
    child: Child,
    input: ChildStdin,
    answers: Receiver<String>,
}

impl Locker {
    /// Starts one. `program` is `env!("CARGO_BIN_EXE_locker")`, which only tests know.
    #[must_use]
    pub fn start(program: &str) -> Self {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program is built with the tests");
        let input = child.stdin.take().expect("its input is a pipe");
        let output = child.stdout.take().expect("its output is a pipe");
        let (told, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if told.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, input, answers }
    }

    /// Starts one that opens `path` under the name `f`, for reading and writing.
    #[must_use]
    #[track_caller]
    pub fn opening(program: &str, path: &Path) -> Self {
        let mut locker = Self::start(program);
        locker.ok(&format!("open f {} rw", path.display()));
        locker
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it something and does not wait for the answer.
    pub fn begin(&mut self, command: &str) {
        writeln!(self.input, "{command}").expect("the program reads");
    }

    /// The answer to what was told, if it comes within so many milliseconds.
    pub fn answer_within(&self, milliseconds: u64) -> Option<String> {
        match self.answers.recv_timeout(Duration::from_millis(milliseconds)) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the program ended"),
        }
    }

    /// Tells it something and returns the answer.
    #[track_caller]
    pub fn ask(&mut self, command: &str) -> String {
        self.begin(command);
        self.answer_within(30_000).unwrap_or_else(|| panic!("no answer to {command:?}"))
    }

    /// Tells it something that is to succeed.
    #[track_caller]
    pub fn ok(&mut self, command: &str) {
        assert_eq!(self.ask(command), "ok", "{command}");
    }

    /// `kill -9`, and waits for the end; how long that took.
    pub fn kill(&mut self) -> Duration {
        let begin = std::time::Instant::now();
        let _ = self.child.kill();
        let _ = self.child.wait();
        begin.elapsed()
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        self.kill();
    }
}
