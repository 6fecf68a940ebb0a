//! Sequential write and read: a file from its begin to its end, in blocks of one size.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
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

/// A slow target writes and reads for so many times the usual time at the most.
const TIME_FACTOR: f64 = 10.0;

/// See the module.
struct Sequential {
    block: u32,
    jobs: u32,
    direct: bool,
    /// Bytes of all files together.
    bytes: u64,
}

pub(crate) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let (bytes, shapes): (u64, &[(u32, u32, bool)]) = match size {
        Size::Quick => (96 << 20, &[(1 << 20, 1, false), (1 << 20, 1, true)]),
        Size::Full => (
            1 << 30,
            &[(1 << 20, 1, false), (128 << 10, 1, false), (1 << 20, 4, false), (1 << 20, 1, true), (1 << 20, 4, true)],
        ),
    };
    let works = shapes.iter().map(|&(block, jobs, direct)| Sequential { block, jobs, direct, bytes });
    works.map(|work| Box::new(work) as Box<dyn Work>).collect()
}

impl Sequential {
    fn id(&self, verb: &str) -> String {
        let way = if self.direct { "direct" } else { "buffered" };
        format!("sequential.{verb}.{}k.{}j.{way}", self.block >> 10, self.jobs)
    }

    fn title(&self, verb: &str) -> String {
        let way = if self.direct { "O_DIRECT" } else { "buffered" };
        let jobs = if self.jobs == 1 { String::new() } else { format!(", {} files at once", self.jobs) };
        let block = if self.block >= 1 << 20 {
            format!("{} MiB", self.block >> 20)
        } else {
            format!("{} KiB", self.block >> 10)
        };
        format!("{verb}, {block} blocks, {way}{jobs}")
    }
}

impl Work for Sequential {
    fn figures(&self) -> Vec<Figure> {
        let (write, read) = (self.id("write"), self.id("read"));
        let written = Figure::new(write.clone(), self.title("sequential write with fsync"), Unit::Bytes);
        let parts = [
            ("disk.write".to_owned(), Kind::Machine),
            ("block-store.put".to_owned(), Kind::Machine),
            (write, Kind::NullFuse),
        ];
        let written = written.bounded(Rule::Slowest, parts);
        if !self.direct {
            // Warm pages are the kernel's: memory is the bound.
            let warm = Figure::new(read, self.title("sequential read, warm"), Unit::Bytes);
            return vec![written, warm.bounded_by(Kind::Memory)];
        }
        let first = Figure::new(read.clone(), self.title("first sequential read"), Unit::Bytes);
        let parts = [("block-store.get".to_owned(), Kind::Machine), (read, Kind::NullFuse)];
        vec![written, first.bounded(Rule::Slowest, parts)]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.record.kind != Kind::Machine
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let bytes = (self.bytes / u64::from(self.jobs)).next_multiple_of(self.block.into());
        let seconds = field.seconds * TIME_FACTOR;
        let stream = |job: u32| {
            let seed = field.seed.part(job.into());
            let stream = Stream { file: job, bytes, block: self.block, direct: self.direct, seconds, seed: seed.raw() };
            (Job::Stream(stream), field.folder(0))
        };
        let mut crew = Crew::start(field.site, (0..self.jobs).map(stream).collect())?;
        let written = field.phase_within(&mut crew, Unit::Bytes, seconds)?;
        if !self.direct {
            // Not measured: what a write leaves in memory differs, what a read leaves does not.
            crew.phase(seconds)?;
        }
        let read = field.phase_within(&mut crew, Unit::Bytes, seconds)?;
        crew.clean()?;
        Ok(vec![written, read])
    }
}

/// One file of a worker: phase 0 writes it, every later one reads it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) file: u32,
    pub(crate) bytes: u64,
    pub(crate) block: u32,
    pub(crate) direct: bool,
    /// Longest time of a phase.
    pub(crate) seconds: f64,
    pub(crate) seed: u64,
}

impl Stream {
    pub(crate) fn in_folder(self, folder: &Path) -> Streaming {
        let path = folder.join(format!("stream-{}", self.file));
        let buffer = Aligned::filled(self.block as usize, Seed::new(self.seed));
        Streaming { job: self, path, buffer, written: 0 }
    }
}

pub(crate) struct Streaming {
    job: Stream,
    path: PathBuf,
    buffer: Aligned,
    written: u64,
}

impl Duty for Streaming {
    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let context = format!("file {}", self.path.display());
        if number == 0 { self.write(tally) } else { self.read(tally) }.context(context)
    }
}

impl Streaming {
    fn open(&self, options: &mut OpenOptions) -> std::io::Result<File> {
        let direct = if self.job.direct { OFlags::DIRECT.bits() as i32 } else { 0 };
        options.custom_flags(direct).open(&self.path)
    }

    fn write(&mut self, tally: &mut Tally) -> std::io::Result<()> {
        let until = Until::seconds(self.job.seconds);
        let file = self.open(OpenOptions::new().write(true).create(true).truncate(true))?;
        while self.written < self.job.bytes && until.is_ahead() {
            let offset = self.written;
            tally.time(|| file.write_all_at(self.buffer.bytes(), offset))?;
            self.written += u64::from(self.job.block);
        }
        file.sync_all()?;
        tally.bytes = self.written;
        Ok(())
    }

    fn read(&mut self, tally: &mut Tally) -> std::io::Result<()> {
        let until = Until::seconds(self.job.seconds);
        let file = self.open(OpenOptions::new().read(true))?;
        let mut place = 0;
        while place < self.written && until.is_ahead() {
            tally.time(|| file.read_exact_at(self.buffer.bytes_mut(), place))?;
            place += u64::from(self.job.block);
        }
        tally.bytes = place;
        Ok(())
    }
}
