//! Processes that make load, from outside: started together, set going together, and never waited for without end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::children::{has_ended_within, kill_group};
use crate::job::Job;
use crate::stop::{LOOK, LastResort, Stop};
use crate::tally::Tally;
use crate::worker::{Assignment, Order, Said};

/// Workers that may run at once.
pub(crate) const WORKERS_MAX: usize = 256;
/// Time for what is not measured: making and removing files.
const UNMEASURED: Duration = Duration::from_secs(120);
/// Time that a phase may take beyond what it is meant to take: on a slow target its last operation is slow.
const GRACE: Duration = Duration::from_secs(60);
/// Answers of a worker that nobody heard yet: it says one thing at a time.
const ANSWERS_MAX: usize = 4;
/// A killed worker is waited for so long: one that hangs in the kernel is left to it.
const KILLED: Duration = Duration::from_secs(5);

/// What starts workers.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// This program.
    pub(crate) executable: PathBuf,
    /// The wish to end.
    pub(crate) stop: Stop,
}

/// Workers on one job. Dropped, they are killed.
#[derive(Debug)]
pub(crate) struct Crew {
    stop: Stop,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<Said>,
    _resort: LastResort,
}

impl Crew {
    /// Starts a worker for each job, each in a folder, and waits until all are prepared.
    pub(crate) fn start(site: &Site, jobs: Vec<(Job, PathBuf)>) -> Result<Self> {
        assert!(!jobs.is_empty() && jobs.len() <= WORKERS_MAX, "{} workers", jobs.len());
        let mut crew = Self { stop: site.stop.clone(), members: Vec::new() };
        for (job, folder) in jobs {
            let mut member = Member::start(&site.executable)?;
            member.send(&Assignment { job, folder })?;
            crew.members.push(member);
        }
        let end = Instant::now() + UNMEASURED;
        for index in 0..crew.members.len() {
            crew.hear(index, end, "prepare", |said| matches!(said, Said::Ready).then_some(()))?;
        }
        Ok(crew)
    }

    /// Lets all do the next phase, which is meant to take `seconds`, and adds up what they did.
    pub(crate) fn phase(&mut self, seconds: f64) -> Result<Tally> {
        self.go()?;
        let mut whole = Tally::default();
        self.results(seconds)?.iter().for_each(|tally| whole.join(tally));
        Ok(whole)
    }

    /// Lets all begin the next phase.
    pub(crate) fn go(&mut self) -> Result<()> {
        self.members.iter_mut().try_for_each(|member| member.send(&Order::Go))
    }

    /// What each did in the phase, which is meant to take `seconds` from now.
    pub(crate) fn results(&mut self, seconds: f64) -> Result<Vec<Tally>> {
        let end = Instant::now() + Duration::from_secs_f64(seconds) + GRACE;
        let result = |index| {
            self.hear(index, end, "work", |said| match said {
                Said::Did(tally) => Some(*tally),
                _ => None,
            })
        };
        (0..self.members.len()).map(result).collect()
    }

    /// Lets the first of them remove its folder, and ends all.
    pub(crate) fn clean(mut self) -> Result<()> {
        self.members.truncate(1);
        self.members[0].send(&Order::Clean)?;
        self.hear(0, Instant::now() + UNMEASURED, "clean", |said| matches!(said, Said::Cleaned).then_some(()))
    }

    /// What worker `index` says, if it is what is `expected`.
    fn hear<T>(&self, index: usize, end: Instant, task: &str, expected: impl Fn(Said) -> Option<T>) -> Result<T> {
        loop {
            self.stop.check()?;
            match self.members[index].answers.recv_timeout(LOOK) {
                Ok(Said::Failed(reason)) => bail!("{reason}"),
                Ok(said) => {
                    let shown = format!("{said:?}");
                    return expected(said).ok_or_else(|| anyhow!("a worker that was to {task} said {shown}"));
                }
                Err(RecvTimeoutError::Disconnected) => bail!("a worker that was to {task} died"),
                Err(RecvTimeoutError::Timeout) if Instant::now() > end => {
                    bail!("a worker that was to {task} does not come to an end")
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl Member {
    fn start(executable: &Path) -> Result<Self> {
        let mut child = Command::new(executable)
            .args(["bench", "worker", "--parent", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("starting a worker")?;
        let pid = child.id();
        let orders = child.stdin.take().expect("stdin is a pipe");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let (heard, answers) = sync_channel(ANSWERS_MAX);
        let listen = move || {
            for line in BufReader::new(stdout).lines() {
                let said = line.ok().and_then(|line| serde_json::from_str(&line).ok());
                // Silence tells the crew that something is wrong with this worker.
                let Some(said) = said else { return };
                if heard.send(said).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("listener".to_owned()).spawn(listen).context("starting a thread")?;
        Ok(Self { child, orders, answers, _resort: LastResort::new(move || kill_group(pid)) })
    }

    fn send(&mut self, what: &impl serde::Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(what).context("orders are JSON")?;
        line.push(b'\n');
        match self.orders.write_all(&line) {
            // It failed and said so: that is heard next.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            sent => sent.context("telling a worker what to do"),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        kill_group(self.child.id());
        if !has_ended_within(&mut self.child, KILLED) {
            tracing::warn!(pid = self.child.id(), "a worker hangs in the kernel");
        }
    }
}
