//! Small files by size: whole files written and read, as mail, sources and photographs are.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::{Kind, Rule};
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::worker::Duty;

/// Bytes of one process at the most: memory has to take them.
const BYTES_MAX: u64 = 256 << 20;

/// See the module.
struct SmallFiles {
    len: u32,
    processes: u32,
}

pub(crate) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let shapes: &[(u32, u32)] = match size {
        Size::Quick => &[(4 << 10, 1), (64 << 10, 1)],
        Size::Full => {
            &[(1 << 10, 1), (4 << 10, 1), (16 << 10, 1), (64 << 10, 1), (256 << 10, 1), (1 << 20, 1), (4 << 10, 8)]
        }
    };
    let works = shapes.iter().map(|&(len, processes)| SmallFiles { len, processes });
    works.map(|work| Box::new(work) as Box<dyn Work>).collect()
}

impl SmallFiles {
    fn id(&self, verb: &str) -> String {
        format!("small-files.{verb}.{}k.{}p", self.len >> 10, self.processes)
    }

    fn title(&self, words: &str) -> String {
        let processes = if self.processes == 1 { "1 process" } else { &format!("{} processes", self.processes) };
        format!("{words}, {} KiB, {processes}", self.len >> 10)
    }
}

impl Work for SmallFiles {
    fn figures(&self) -> Vec<Figure> {
        let (write, read) = (self.id("write"), self.id("read"));
        let written = Figure::new(write, self.title("create, write, fsync and close"), Unit::Files);
        let read_back = Figure::new(read.clone(), self.title("open, read and close"), Unit::Files);
        let (rule, call) =
            if self.processes == 1 { (Rule::InTurn, "quic.call") } else { (Rule::Slowest, "quic.calls") };
        let parts = [(read, Kind::NullFuse), (call.to_owned(), Kind::Machine)];
        vec![written.bounded_by(Kind::Disk), read_back.bounded(rule, parts)]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.has_names()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let job = |process: u32| {
            let seed = field.seed.part(process.into()).raw();
            let files = Files { process, len: self.len, seconds: field.seconds, seed };
            (Job::Files(files), field.folder(0))
        };
        let mut crew = Crew::start(field.site, (0..self.processes).map(job).collect())?;
        let write = field.phase(&mut crew, Unit::Files)?;
        let read = field.phase(&mut crew, Unit::Files)?;
        crew.clean()?;
        Ok(vec![write, read])
    }
}

/// Phase 0 writes files, phase 1 reads them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Files {
    process: u32,
    len: u32,
    seconds: f64,
    seed: u64,
}

impl Files {
    pub(crate) fn in_folder(self, folder: &Path) -> Filing {
        let folder = folder.join(self.process.to_string());
        let mut content = vec![0; self.len as usize];
        Seed::new(self.seed).fill(&mut content);
        Filing { job: self, folder, content, files: 0 }
    }
}

pub(crate) struct Filing {
    job: Files,
    folder: PathBuf,
    content: Vec<u8>,
    files: u64,
}

impl Duty for Filing {
    fn prepare(&mut self) -> Result<()> {
        std::fs::create_dir_all(&self.folder).with_context(|| format!("folder {}", self.folder.display()))
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let context = format!("files in {}", self.folder.display());
        if number == 0 { self.write(tally) } else { self.read(tally) }.context(context)
    }
}

impl Filing {
    fn write(&mut self, tally: &mut Tally) -> std::io::Result<()> {
        let until = Until::seconds(self.job.seconds);
        while tally.bytes < BYTES_MAX && until.is_ahead() {
            let path = self.folder.join(self.files.to_string());
            tally.time(|| {
                let mut file = File::create_new(path)?;
                file.write_all(&self.content)?;
                file.sync_all()
            })?;
            tally.bytes += u64::from(self.job.len);
            self.files += 1;
        }
        Ok(())
    }

    fn read(&mut self, tally: &mut Tally) -> std::io::Result<()> {
        let until = Until::seconds(self.job.seconds);
        for number in (0..self.files).take_while(|_| until.is_ahead()) {
            let path = self.folder.join(number.to_string());
            let mut content = Vec::with_capacity(self.content.len() + 1);
            let len = tally.time(|| File::open(path)?.read_to_end(&mut content))?;
            tally.bytes += len as u64;
        }
        Ok(())
    }
}
