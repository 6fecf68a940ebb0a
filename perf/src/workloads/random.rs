//! Random read and write: small blocks at places of a file that are drawn by lot.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::buffer::Aligned;
use crate::crew::Crew;
use crate::job::Job;
use crate::report::{Kind, Rule};
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::worker::Duty;

/// Bytes written at once where a file is prepared.
const PREPARE_BLOCK: usize = 1 << 20;

/// What is done at each place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Access {
    Read,
    Write,
    /// A write that is on disk before the next one begins.
    WriteSynced,
}

/// See the module. All but the file's length is in the id.
struct Random {
    access: Access,
    block: u32,
    /// Processes, each on a file of its own.
    jobs: u32,
    /// Threads of each process: operations it has under way at once.
    depth: u32,
    direct: bool,
    bytes: u64,
}

pub(crate) fn all(size: Size) -> Vec<Box<dyn Work>> {
    use Access::{Read, Write, WriteSynced};
    type Shape = (Access, u32, u32, u32, bool);
    let small = 4 << 10;
    let quick: &[Shape] = &[
        (Read, small, 1, 1, true),
        (Read, small, 4, 1, true),
        (Read, small, 1, 1, false),
        (WriteSynced, small, 1, 1, false),
    ];
    let more: &[Shape] = &[
        (Read, small, 1, 4, true),
        (Read, small, 4, 4, true),
        (Read, 64 << 10, 4, 1, true),
        (Write, small, 1, 1, true),
        (Write, small, 4, 1, true),
        (Write, small, 1, 1, false),
        (Write, 64 << 10, 1, 1, false),
        (WriteSynced, small, 4, 1, false),
    ];
    let (bytes, more) = match size {
        Size::Quick => (32 << 20, &more[..0]),
        Size::Full => (256 << 20, more),
    };
    let shapes = quick.iter().chain(more);
    let works =
        shapes.map(|&(access, block, jobs, depth, direct)| Random { access, block, jobs, depth, direct, bytes });
    works.map(|work| Box::new(work) as Box<dyn Work>).collect()
}

impl Random {
    fn id(&self) -> String {
        let verb = match self.access {
            Access::Read => "read",
            Access::Write => "write",
            Access::WriteSynced => "write-synced",
        };
        let way = if self.direct { "direct" } else { "buffered" };
        format!("random.{verb}.{}k.{}j.{}d.{way}", self.block >> 10, self.jobs, self.depth)
    }

    fn title(&self) -> String {
        let verb = match self.access {
            Access::Read if self.direct => "random read",
            Access::Read => "random read, warm",
            Access::Write => "random write",
            Access::WriteSynced => "random write, fsync each",
        };
        let way = if self.direct { "O_DIRECT" } else { "buffered" };
        let jobs = if self.jobs == 1 { String::new() } else { format!(", {} processes", self.jobs) };
        let depth = if self.depth == 1 { String::new() } else { format!(", {} at once", self.depth) };
        format!("{verb}, {} KiB, {way}{jobs}{depth}", self.block >> 10)
    }
}

impl Work for Random {
    fn figures(&self) -> Vec<Figure> {
        let figure = Figure::new(self.id(), self.title(), Unit::Operations);
        let null = (self.id(), Kind::NullFuse);
        vec![match self.access {
            Access::Read if !self.direct => figure.bounded_by(Kind::Memory),
            Access::Read | Access::Write => figure.bounded_by(Kind::NullFuse),
            Access::WriteSynced => {
                let rule = if self.jobs * self.depth == 1 { Rule::InTurn } else { Rule::Slowest };
                figure.bounded(rule, [("disk.write-synced".to_owned(), Kind::Machine), null])
            }
        }]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.record.kind != Kind::Machine
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let bytes = (self.bytes / u64::from(self.jobs)).next_multiple_of(PREPARE_BLOCK as u64);
        let job = |number: u32| {
            let job = Accesses {
                file: number,
                access: self.access,
                bytes,
                block: self.block,
                depth: self.depth,
                direct: self.direct,
                seconds: field.seconds,
                seed: field.seed.part(number.into()).raw(),
            };
            (Job::Access(job), field.folder(0))
        };
        let mut crew = Crew::start(field.site, (0..self.jobs).map(job).collect())?;
        let found = field.phase(&mut crew, Unit::Operations)?;
        crew.clean()?;
        Ok(vec![found])
    }
}

/// What one process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Accesses {
    pub(crate) file: u32,
    pub(crate) access: Access,
    pub(crate) bytes: u64,
    pub(crate) block: u32,
    pub(crate) depth: u32,
    pub(crate) direct: bool,
    pub(crate) seconds: f64,
    pub(crate) seed: u64,
}

impl Accesses {
    pub(crate) fn in_folder(self, folder: &Path) -> Accessing {
        let path = folder.join(format!("random-{}", self.file));
        Accessing { job: self, path }
    }
}

pub(crate) struct Accessing {
    job: Accesses,
    path: PathBuf,
}

impl Duty for Accessing {
    /// Makes the file, all of it on disk, and in the memory that its accesses may be served from: the page cache, or past
    /// it that of whoever serves the file.
    fn prepare(&mut self) -> Result<()> {
        self.fill().with_context(|| format!("file {}", self.path.display()))
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let seed = Seed::new(self.job.seed);
        std::thread::scope(|scope| {
            let this = &*self;
            let threads: Vec<_> =
                (0..this.job.depth).map(|number| scope.spawn(move || this.access(seed.part(number.into())))).collect();
            for thread in threads {
                let done = thread.join().map_err(|_| anyhow!("a thread panicked"))?;
                tally.join(&done.with_context(|| format!("file {}", this.path.display()))?);
            }
            Ok(())
        })
    }
}

impl Accessing {
    fn fill(&self) -> std::io::Result<()> {
        let mut block = Aligned::filled(PREPARE_BLOCK, Seed::new(self.job.seed));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&self.path)?;
        for offset in (0..self.job.bytes).step_by(PREPARE_BLOCK) {
            file.write_all_at(block.bytes(), offset)?;
        }
        file.sync_all()?;
        let file = self.open(false)?;
        for offset in (0..self.job.bytes).step_by(PREPARE_BLOCK) {
            file.read_exact_at(block.bytes_mut(), offset)?;
        }
        Ok(())
    }

    /// The file as the accesses need it.
    fn open(&self, writes: bool) -> std::io::Result<File> {
        let direct = if self.job.direct { OFlags::DIRECT.bits() as i32 } else { 0 };
        OpenOptions::new().read(true).write(writes).custom_flags(direct).open(&self.path)
    }

    fn access(&self, mut seed: Seed) -> std::io::Result<Tally> {
        let mut tally = Tally::default();
        let mut buffer = Aligned::filled(self.job.block as usize, seed);
        let writes = self.job.access != Access::Read;
        let file = self.open(writes)?;
        let places = self.job.bytes / u64::from(self.job.block);
        let until = Until::seconds(self.job.seconds);
        while until.is_ahead() {
            let offset = seed.below(places) * u64::from(self.job.block);
            tally.time(|| match self.job.access {
                Access::Read => file.read_exact_at(buffer.bytes_mut(), offset),
                Access::Write => file.write_all_at(buffer.bytes(), offset),
                Access::WriteSynced => {
                    file.write_all_at(buffer.bytes(), offset)?;
                    file.sync_data()
                }
            })?;
            tally.bytes += u64::from(self.job.block);
        }
        Ok(tally)
    }
}
