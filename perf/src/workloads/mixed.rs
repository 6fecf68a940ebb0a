//! Several processes on several mounts of one file system: readers beside writers, and all on one file.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::Kind;
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// Processes, half of them readers: the mounts take turns, so readers and writers are on each.
const PROCESSES: u32 = 4;
/// Length of a file, written and read as a whole.
const FILE_LEN: usize = 4 << 20;
/// Bytes that a process on the shared file writes at its own place.
const SHARE: usize = 4 << 10;

/// Readers and writers of files of their own.
struct Mixed;

/// All write the same file, and read what their neighbour wrote.
struct Shared;

pub(crate) fn all() -> Vec<Box<dyn Work>> {
    vec![Box::new(Mixed), Box::new(Shared)]
}

impl Work for Mixed {
    fn figures(&self) -> Vec<Figure> {
        // Faster writers leave the readers less: only a disk with writers as slow says something.
        let figure = |id: &str, words| Figure::new(id, words, Unit::Bytes).bounded_by(Kind::Disk);
        vec![
            figure("mixed.read", "2 readers beside 2 writers, 4 MiB files, over all mounts"),
            figure("mixed.write", "2 writers beside 2 readers, 4 MiB files with fsync, over all mounts"),
        ]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.has_names()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let role = |process: u32| if process < PROCESSES / 2 { Role::Read } else { Role::Write };
        let mut crew = Crew::start(field.site, jobs(field, role))?;
        let each = field.phase_each(&mut crew)?;
        crew.clean()?;
        let of = |wanted: Role| {
            let mut whole = Tally::default();
            let tallies = (0..).zip(&each.tallies).filter(|(process, _)| role(*process) == wanted);
            tallies.for_each(|(_, tally)| whole.join(tally));
            each.found(Unit::Bytes, whole)
        };
        Ok(vec![of(Role::Read), of(Role::Write)])
    }
}

impl Work for Shared {
    fn figures(&self) -> Vec<Figure> {
        let words = "4 writers of one file over all mounts: open, write, fsync, close";
        vec![Figure::new("mixed.one-file", words, Unit::Operations).bounded_by(Kind::Disk)]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.has_names()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let mut crew = Crew::start(field.site, jobs(field, |_| Role::Share))?;
        let found = field.phase(&mut crew, Unit::Operations)?;
        crew.clean()?;
        Ok(vec![found])
    }
}

fn jobs(field: &Field<'_>, role: impl Fn(u32) -> Role) -> Vec<(Job, PathBuf)> {
    let job = |process: u32| {
        let seed = field.seed.part(process.into()).raw();
        let sharing = Shares { process, role: role(process), seconds: field.seconds, seed };
        (Job::Shares(sharing), field.folder(process as usize))
    };
    (0..PROCESSES).map(job).collect()
}

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Role {
    Read,
    Write,
    Share,
}

/// One process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Shares {
    process: u32,
    role: Role,
    seconds: f64,
    seed: u64,
}

impl Shares {
    pub(crate) fn in_folder(self, folder: &Path) -> Sharing {
        let len = if self.role == Role::Share { SHARE } else { FILE_LEN };
        let mut content = vec![0; len];
        Seed::new(self.seed).fill(&mut content);
        Sharing { job: self, folder: folder.to_owned(), content }
    }
}

pub(crate) struct Sharing {
    job: Shares,
    folder: PathBuf,
    content: Vec<u8>,
}

impl Duty for Sharing {
    fn prepare(&mut self) -> Result<()> {
        match self.job.role {
            Role::Read | Role::Write => self.write(&self.own_file()),
            Role::Share => File::options().append(true).create(true).open(self.shared_file()).map(drop),
        }
        .with_context(|| format!("files in {}", self.folder.display()))
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let until = Until::seconds(self.job.seconds);
        while until.is_ahead() {
            let done = tally.time(|| match self.job.role {
                Role::Read => read(&self.own_file()),
                Role::Write => self.write(&self.own_file()),
                Role::Share => self.share(),
            });
            done.with_context(|| format!("files in {}", self.folder.display()))?;
            tally.bytes += self.content.len() as u64;
        }
        Ok(())
    }
}

impl Sharing {
    fn own_file(&self) -> PathBuf {
        self.folder.join(format!("mixed-{}", self.job.process))
    }

    fn shared_file(&self) -> PathBuf {
        self.folder.join("shared")
    }

    fn write(&self, path: &Path) -> std::io::Result<()> {
        let file = File::options().write(true).create(true).truncate(true).open(path)?;
        for (place, part) in (0..).step_by(1 << 20).zip(self.content.chunks(1 << 20)) {
            file.write_all_at(part, place)?;
        }
        file.sync_all()
    }

    fn share(&self) -> std::io::Result<()> {
        let file = File::options().write(true).open(self.shared_file())?;
        file.write_all_at(&self.content, u64::from(self.job.process) * SHARE as u64)?;
        file.sync_all()
    }
}

fn read(path: &Path) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    while file.read(&mut buffer)? > 0 {}
    Ok(())
}
