//! Contention: processes on several mounts that all want the same file or name, so that none can work from what its
//! mount remembers.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{FlockOperation, fcntl_lock};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::Kind;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// Readers beside the writer of a watched file.
const READERS: u32 = 3;
/// Processes that contend for a name.
const CONTENDERS: u32 = 4;
/// Time between two tries to make a name that another process has. Without it those who fail keep the directory's lock
/// from the one who is to remove the name.
const TRY_EVERY: Duration = Duration::from_micros(50);
/// Time between two writes of the watched file: readers are to meet changes, not an endless row of them.
const WRITE_EVERY: Duration = Duration::from_millis(2);

/// One of the contests. Their processes take turns on the mounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Contest {
    /// Two processes: each waits for the other's change of a file, and changes it.
    HandOver,
    /// One process locks a file and gives the lock up: nobody else wants it.
    Lock,
    /// Two processes: each locks the file, changes what the other one wrote, and gives the lock up.
    LockInTurn,
    /// Whoever makes a name that all try to make has it, and removes it.
    Name,
    /// One process changes a file, the others read it, each time anew.
    Watch,
}

pub(crate) fn all() -> Vec<Box<dyn Work>> {
    use Contest as C;
    [C::HandOver, C::Lock, C::LockInTurn, C::Name, C::Watch].map(|contest| Box::new(contest) as Box<dyn Work>).into()
}

impl Contest {
    fn processes(self) -> u32 {
        match self {
            Self::Lock => 1,
            Self::HandOver | Self::LockInTurn => 2,
            Self::Name => CONTENDERS,
            Self::Watch => 1 + READERS,
        }
    }
}

impl Work for Contest {
    fn figures(&self) -> Vec<Figure> {
        let (id, title) = match self {
            Self::HandOver => ("hand-over", "one file to and fro between 2 mounts: seen, written, closed".to_owned()),
            Self::Lock => ("lock", "lock and unlock a file that nobody else wants (fcntl)".to_owned()),
            Self::LockInTurn => {
                ("lock-in-turn", "2 mounts want one lock (fcntl): taken, number read and written, given up".to_owned())
            }
            Self::Name => ("name", format!("{CONTENDERS} processes over all mounts want one name: made, removed")),
            Self::Watch => {
                ("watch", format!("{READERS} readers of a file that another mount changes: open, read, close"))
            }
        };
        vec![Figure::new(format!("contention.{id}"), title, Unit::Operations).bounded_by(Kind::Disk)]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.has_names() && subject.record.kind != Kind::NullFuse
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let job = |process: u32| {
            let job = Contends { contest: *self, process, seconds: field.seconds };
            (Job::Contends(job), field.folder(process as usize))
        };
        let mut crew = Crew::start(field.site, (0..self.processes()).map(job).collect())?;
        let each = field.phase_each(&mut crew)?;
        crew.clean()?;
        let counted = if *self == Self::Watch { &each.tallies[1..] } else { &each.tallies[..] };
        let mut whole = Tally::default();
        counted.iter().for_each(|tally| whole.join(tally));
        Ok(vec![each.found(Unit::Operations, whole)])
    }
}

/// One process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Contends {
    contest: Contest,
    process: u32,
    seconds: f64,
}

impl Contends {
    pub(crate) fn in_folder(self, folder: &Path) -> Contending {
        Contending { job: self, path: folder.join("wanted") }
    }
}

pub(crate) struct Contending {
    job: Contends,
    path: PathBuf,
}

impl Duty for Contending {
    /// The first process makes the file that all share.
    fn prepare(&mut self) -> Result<()> {
        if self.job.contest != Contest::Name && self.job.process == 0 {
            self.write(0, true).with_context(|| format!("file {}", self.path.display()))?;
        }
        Ok(())
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let until = Until::seconds(self.job.seconds);
        let contended = match self.job.contest {
            Contest::HandOver => self.hand_over(until, tally),
            Contest::Lock => self.lock(until, tally),
            Contest::LockInTurn => self.lock_in_turn(until, tally),
            Contest::Name => self.take_name(until, tally),
            Contest::Watch if self.job.process == 0 => self.change(until, tally),
            Contest::Watch => self.watch(until, tally),
        };
        contended.with_context(|| format!("file {}", self.path.display()))
    }
}

impl Contending {
    /// The number in the file says whose turn it is. Time is from the own change to the sight of the other's.
    fn hand_over(&self, until: Until, tally: &mut Tally) -> Result<()> {
        let mut since = Instant::now();
        while is_on(until, tally) {
            let number = self.read()?;
            if number % 2 == u64::from(self.job.process) {
                tally.latency.record(since.elapsed());
                tally.operations += 1;
                since = Instant::now();
                self.write(number + 1, false)?;
            }
        }
        Ok(())
    }

    fn lock(&self, until: Until, tally: &mut Tally) -> Result<()> {
        let file = self.open()?;
        while is_on(until, tally) {
            tally.time(|| {
                fcntl_lock(&file, FlockOperation::LockExclusive)?;
                fcntl_lock(&file, FlockOperation::Unlock)
            })?;
        }
        Ok(())
    }

    /// Time is from the wish for the lock to its end.
    fn lock_in_turn(&self, until: Until, tally: &mut Tally) -> Result<()> {
        let (file, mut last) = (self.open()?, 0);
        while is_on(until, tally) {
            last = tally.time(|| {
                fcntl_lock(&file, FlockOperation::LockExclusive)?;
                let mut number = [0; 8];
                file.read_exact_at(&mut number, 0)?;
                let number = u64::from_le_bytes(number);
                ensure!(number >= last, "the file went back from change {last} to change {number}");
                file.write_all_at(&(number + 1).to_le_bytes(), 0)?;
                fcntl_lock(&file, FlockOperation::Unlock)?;
                Ok(number + 1)
            })?;
        }
        Ok(())
    }

    fn open(&self) -> std::io::Result<File> {
        File::options().read(true).write(true).open(&self.path)
    }

    fn take_name(&self, until: Until, tally: &mut Tally) -> Result<()> {
        let mut since = Instant::now();
        while is_on(until, tally) {
            match File::options().write(true).create_new(true).open(&self.path) {
                Ok(_) => {
                    std::fs::remove_file(&self.path).context("only who made the name removes it")?;
                    tally.latency.record(since.elapsed());
                    tally.operations += 1;
                    since = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => std::thread::sleep(TRY_EVERY),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn change(&self, until: Until, tally: &mut Tally) -> Result<()> {
        for number in 1.. {
            if !is_on(until, tally) {
                break;
            }
            tally.time(|| self.write(number, false))?;
            std::thread::sleep(WRITE_EVERY);
        }
        Ok(())
    }

    fn watch(&self, until: Until, tally: &mut Tally) -> Result<()> {
        let mut last = 0;
        while is_on(until, tally) {
            let number = tally.time(|| self.read())?;
            ensure!(number >= last, "the file went back from change {last} to change {number}");
            last = number;
        }
        Ok(())
    }

    fn read(&self) -> std::io::Result<u64> {
        let mut number = [0; 8];
        File::open(&self.path)?.read_exact_at(&mut number, 0)?;
        Ok(u64::from_le_bytes(number))
    }

    fn write(&self, number: u64, create: bool) -> std::io::Result<()> {
        let file = File::options().write(true).create(create).open(&self.path)?;
        file.write_all_at(&number.to_le_bytes(), 0)
    }
}

/// Whether a process goes on: on a busy machine it may be late, but each is to have had its turn once.
fn is_on(until: Until, tally: &Tally) -> bool {
    until.is_ahead() || tally.operations == 0
}
