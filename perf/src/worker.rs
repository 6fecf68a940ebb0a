//! A process that makes load, from inside. It does what a line on stdin says and answers by lines on stdout.
//!
//! Load comes from processes, not threads, as it does in life: a kernel does some things once a process.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::children::end_with_parent;
use crate::job::Job;
use crate::resources;
use crate::tally::Tally;

/// What a worker is told first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Assignment {
    /// What to do.
    pub(crate) job: Job,
    /// Where. The folder is made, and removed when the worker is told to clean.
    pub(crate) folder: PathBuf,
}

/// What a worker is told then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Do the next phase.
    Go,
    /// Remove the folder.
    Clean,
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Said {
    /// All is prepared for the first phase.
    Ready,
    /// The phase is over.
    Did(Box<Tally>),
    /// The folder is removed.
    Cleaned,
    /// It did not work; the worker has ended.
    Failed(String),
}

/// A job with what it keeps between its phases.
pub(crate) trait Duty {
    /// Before the first phase; not measured.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// Phase `number`, from 0: all processes begin it at the same moment.
    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()>;
}

/// `flexfs bench worker --parent PID`: works until stdin ends. What the work fails at is told on stdout, to the crew.
///
/// # Errors
/// Nobody is there to be told.
pub fn worker(parent: u32) -> Result<()> {
    end_with_parent(parent, Signal::KILL)?;
    match work() {
        Ok(()) => Ok(()),
        Err(error) => say(&Said::Failed(format!("{error:#}"))),
    }
}

fn work() -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    let Some(first) = lines.next() else { return Ok(()) };
    let Assignment { job, folder } = serde_json::from_str(&first?).context("the assignment")?;
    std::fs::create_dir_all(&folder).with_context(|| format!("folder {}", folder.display()))?;
    let mut duty = job.duty(&folder);
    duty.prepare()?;
    say(&Said::Ready)?;
    let mut number = 0;
    for line in lines {
        match serde_json::from_str(&line?).context("the order")? {
            Order::Go => {
                let mut tally = Tally::default();
                let (cpu, start) = (resources::own_cpu(), Instant::now());
                duty.phase(number, &mut tally)?;
                if tally.seconds == 0.0 {
                    tally.seconds = start.elapsed().as_secs_f64();
                }
                tally.cpu_seconds = resources::own_cpu() - cpu;
                tally.rss_peak = resources::own_peak();
                number += 1;
                if tally.operations == 0 {
                    bail!("phase {number} did nothing in its time");
                }
                say(&Said::Did(Box::new(tally)))?;
            }
            Order::Clean => {
                match std::fs::remove_dir_all(&folder) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    removed => removed.with_context(|| format!("removing {}", folder.display()))?,
                }
                say(&Said::Cleaned)?;
            }
        }
    }
    Ok(())
}

fn say(said: &Said) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(said)?)?;
    Ok(stdout.flush()?)
}
