//! Names: create, stat, open, list, rename and remove empty files.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::job::Job;
use crate::report::{Kind, Rule};
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Size, Work};
use crate::worker::Duty;

/// See the module.
struct Metadata {
    processes: u32,
    /// Mounts that the processes are spread over, as far as there are so many.
    mounts: u32,
    /// All processes in one folder, or each in a folder of its own.
    one_folder: bool,
    /// Files of one process at the most: what is made in a moment in memory has to be removed again.
    files_max: u64,
}

pub(crate) fn all(size: Size) -> Vec<Box<dyn Work>> {
    let (files_max, shapes): (u64, &[(u32, u32, bool)]) = match size {
        Size::Quick => (4000, &[(1, 1, false), (8, 1, false)]),
        Size::Full => (40_000, &[(1, 1, false), (2, 1, false), (8, 1, false), (8, 2, false), (8, 1, true)]),
    };
    let works =
        shapes.iter().map(|&(processes, mounts, one_folder)| Metadata { processes, mounts, one_folder, files_max });
    works.map(|work| Box::new(work) as Box<dyn Work>).collect()
}

/// The phases in their order, each with its words and what of the system it asks.
const PHASES: [(&str, &str, Asks); 6] = [
    ("create", "create and close", Asks::Change),
    ("stat", "stat, no cache", Asks::Look),
    ("open", "open and close", Asks::Look),
    ("readdir", "list", Asks::Cache),
    ("rename", "rename", Asks::Change),
    ("unlink", "remove", Asks::Change),
];

/// Which parts of the system an operation passes.
#[derive(Clone, Copy)]
enum Asks {
    /// FUSE, the network and a change in the engine.
    Change,
    /// FUSE, the network and a look into the engine.
    Look,
    /// FUSE: one answer holds many names.
    Cache,
}

impl Metadata {
    fn suffix(&self) -> String {
        let mounts = if self.mounts == 1 { String::new() } else { format!(".{}m", self.mounts) };
        format!("{}p{mounts}{}", self.processes, if self.one_folder { ".one-folder" } else { "" })
    }

    fn figure(&self, verb: &str, words: &str, asks: Asks) -> Figure {
        let id = format!("metadata.{verb}.{}", self.suffix());
        let folder = if self.one_folder { " in one folder" } else { "" };
        let mounts = if self.mounts == 1 { String::new() } else { format!(" over {} mounts", self.mounts) };
        let processes = if self.processes == 1 { "1 process" } else { &format!("{} processes", self.processes) };
        let figure = Figure::new(id.clone(), format!("{words}, {processes}{mounts}{folder}"), Unit::Files);
        // One process has one operation under way: its way through the parts adds up.
        let (rule, calls, engine) = match (self.processes, asks) {
            (_, Asks::Cache) => return figure.bounded_by(Kind::NullFuse),
            (1, Asks::Change) => (Rule::InTurn, "quic.call", "engine.create"),
            (1, Asks::Look) => (Rule::InTurn, "quic.call", "engine.lookup"),
            (_, Asks::Change) => (Rule::Slowest, "quic.calls", "engine.creates"),
            (_, Asks::Look) => (Rule::Slowest, "quic.calls", "engine.lookups"),
        };
        let parts = [(id, Kind::NullFuse), (calls.to_owned(), Kind::Machine), (engine.to_owned(), Kind::Machine)];
        figure.bounded(rule, parts)
    }
}

impl Work for Metadata {
    fn figures(&self) -> Vec<Figure> {
        PHASES.iter().map(|(verb, words, asks)| self.figure(verb, words, *asks)).collect()
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.has_names()
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let names = |number: u32| {
            let names = Names {
                process: number,
                one_folder: self.one_folder,
                files_max: self.files_max,
                seconds: field.seconds,
            };
            (Job::Names(names), field.folder((number % self.mounts) as usize))
        };
        let mut crew = Crew::start(field.site, (0..self.processes).map(names).collect())?;
        let found = PHASES.iter().map(|_| field.phase(&mut crew, Unit::Files)).collect::<Result<Vec<_>>>()?;
        crew.clean()?;
        Ok(found)
    }
}

/// What one process does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Names {
    process: u32,
    one_folder: bool,
    files_max: u64,
    seconds: f64,
}

impl Names {
    pub(crate) fn in_folder(self, folder: &Path) -> Naming {
        let folder = if self.one_folder { folder.to_owned() } else { folder.join(self.process.to_string()) };
        Naming { job: self, folder, files: 0 }
    }
}

pub(crate) struct Naming {
    job: Names,
    folder: PathBuf,
    files: u64,
}

impl Duty for Naming {
    fn prepare(&mut self) -> Result<()> {
        fs::create_dir_all(&self.folder).with_context(|| format!("folder {}", self.folder.display()))
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let (verb, ..) = PHASES[number];
        self.carry_out(verb, tally).with_context(|| format!("{verb} in {}", self.folder.display()))
    }
}

impl Naming {
    fn carry_out(&mut self, verb: &str, tally: &mut Tally) -> std::io::Result<()> {
        let until = Until::seconds(self.job.seconds);
        if verb == "create" {
            while self.files < self.job.files_max && until.is_ahead() {
                let path = self.path("new", self.files);
                tally.time(|| File::create_new(path).map(drop))?;
                self.files += 1;
            }
            return Ok(());
        }
        if verb == "readdir" {
            return self.list(until, tally);
        }
        for number in (0..self.files).take_while(|_| until.is_ahead()) {
            let path = self.path("new", number);
            tally.time(|| match verb {
                "stat" => look(&path),
                "open" => File::open(&path).map(drop),
                "rename" => fs::rename(&path, self.path("renamed", number)),
                // A slow target did not get to rename all of them.
                _ => fs::remove_file(self.path("renamed", number)).or_else(|_| fs::remove_file(&path)),
            })?;
        }
        Ok(())
    }

    /// Lists the folder again and again; each name counts.
    fn list(&self, until: Until, tally: &mut Tally) -> std::io::Result<()> {
        let mut names = 0;
        while names == 0 || until.is_ahead() {
            tally.time(|| {
                for entry in fs::read_dir(&self.folder)? {
                    entry?;
                    names += 1;
                }
                std::io::Result::Ok(())
            })?;
        }
        tally.operations = names;
        Ok(())
    }

    fn path(&self, what: &str, number: u64) -> PathBuf {
        self.folder.join(format!("{what}-{}-{number}", self.job.process))
    }
}

/// stat(2) that must not be answered from what the kernel remembers.
fn look(path: &Path) -> std::io::Result<()> {
    statx(CWD, path, AtFlags::STATX_FORCE_SYNC, StatxFlags::BASIC_STATS)?;
    Ok(())
}
