//! The metadata engine without a network: requests straight into it, on its store on the disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use meta::engine::Volume;
use meta::store::FjallKv;
use proto::{Access, Close, InodeId, Name, Reply, Request};
use serde::{Deserialize, Serialize};

use crate::crew::Crew;
use crate::direct::{Direct, open_volume};
use crate::job::Job;
use crate::report::Kind;
use crate::session::name;
use crate::subject::Subject;
use crate::tally::{Tally, Until};
use crate::unit::Unit;
use crate::work::{Field, Figure, Found, Work};
use crate::worker::Duty;

/// See the module.
struct Engine;

pub(super) fn all() -> Vec<Box<dyn Work>> {
    vec![Box::new(Engine)]
}

/// Files that the threads of a worker make in one measurement, at the most.
const FILES_MAX: u64 = 200_000;

impl Work for Engine {
    fn figures(&self) -> Vec<Figure> {
        vec![
            Figure::new("engine.create", "engine, create and close, 1 thread", Unit::Operations),
            Figure::new("engine.lookup", "engine, look up, 1 thread", Unit::Operations),
            Figure::new("engine.creates", "engine, create and close, a thread for each CPU", Unit::Operations),
            Figure::new("engine.lookups", "engine, look up, a thread for each CPU", Unit::Operations),
            Figure::new("engine.open", "engine, open after kill -9", Unit::Seconds),
        ]
    }

    fn runs_on(&self, subject: &Subject) -> bool {
        subject.record.kind == Kind::Machine
    }

    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u32;
        let (create, lookup, _) = requests(field, 1)?;
        // Killed while it serves, as in a crash.
        let (creates, lookups, killed) = requests(field, cpus)?;
        drop(killed);
        let mut crew = Crew::start(field.site, vec![(Job::Reopen, field.folder(0))])?;
        let open = field.phase(&mut crew, Unit::Seconds)?;
        crew.clean()?;
        Ok(vec![create, lookup, creates, lookups, open])
    }
}

fn requests(field: &Field<'_>, threads: u32) -> Result<(Found, Found, Crew)> {
    let job = Job::Engine(Requests { threads, seconds: field.seconds });
    let mut crew = Crew::start(field.site, vec![(job, field.folder(0))])?;
    let create = field.phase(&mut crew, Unit::Operations)?;
    let lookup = field.phase(&mut crew, Unit::Operations)?;
    Ok((create, lookup, crew))
}

/// Phase 0 creates files, phase 1 looks them up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Requests {
    threads: u32,
    seconds: f64,
}

impl Requests {
    pub(crate) fn in_folder(self, folder: &Path) -> Requesting {
        Requesting { job: self, folder: folder.to_owned(), mounts: Vec::new() }
    }
}

pub(crate) struct Requesting {
    job: Requests,
    folder: PathBuf,
    mounts: Vec<Mount>,
}

impl Duty for Requesting {
    fn prepare(&mut self) -> Result<()> {
        let volume = Arc::new(open(&self.folder)?);
        self.mounts = (0..self.job.threads).map(|number| Mount::open(&volume, number)).collect::<Result<_>>()?;
        Ok(())
    }

    fn phase(&mut self, number: usize, tally: &mut Tally) -> Result<()> {
        let (seconds, files_max) = (self.job.seconds, FILES_MAX / u64::from(self.job.threads));
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .mounts
                .iter_mut()
                .map(|mount| {
                    scope.spawn(move || match number {
                        0 => mount.create(seconds, files_max),
                        _ => mount.look_up(seconds),
                    })
                })
                .collect();
            for thread in threads {
                tally.join(&thread.join().map_err(|_| anyhow!("a thread panicked"))??);
            }
            Ok(())
        })
    }
}

fn open(folder: &Path) -> Result<Volume<FjallKv>> {
    open_volume(&folder.join("engine"), CACHE_MAX)
}

/// Cache of the store's tables, in bytes.
const CACHE_MAX: u64 = 32 << 20;

/// One session with a folder of its own, as a thread of requests.
struct Mount {
    direct: Direct,
    parent: InodeId,
    files: u64,
}

impl Mount {
    fn open(volume: &Arc<Volume<FjallKv>>, number: u32) -> Result<Self> {
        let direct = Direct::open(Arc::clone(volume))?;
        let name = name(&format!("{number}-{}", direct.id()))?;
        let mut mount = Self { direct, parent: InodeId::ROOT, files: 0 };
        let make = Request::Make { parent: InodeId::ROOT, name, node: proto::NewNode::Directory { perm: 0o755 } };
        match mount.direct.ask(make)? {
            Reply::Entry(attr) => mount.parent = attr.ino,
            other => bail!("a folder was expected: {other:?}"),
        }
        Ok(mount)
    }

    fn create(&mut self, seconds: f64, files_max: u64) -> Result<Tally> {
        let (mut tally, until) = (Tally::default(), Until::seconds(seconds));
        while self.files < files_max && until.is_ahead() {
            let name = name(&format!("new-{}", self.files))?;
            tally.time(|| self.create_one(name))?;
            self.files += 1;
        }
        Ok(tally)
    }

    fn create_one(&mut self, name: Name) -> Result<()> {
        let access = Access { read: false, write: true, execute: false };
        let create =
            Request::Create { parent: self.parent, name, perm: 0o644, access, exclusive: true, truncate: false };
        let Reply::Opened(attr, _) = self.direct.ask(create)? else { bail!("an open file was expected") };
        self.direct.ask(Request::Release { closes: vec![Close { ino: attr.ino, count: 1, atime: None }] })?;
        Ok(())
    }

    fn look_up(&mut self, seconds: f64) -> Result<Tally> {
        let (mut tally, until) = (Tally::default(), Until::seconds(seconds));
        let mut number = 0;
        while until.is_ahead() {
            let name = name(&format!("new-{}", number % self.files))?;
            tally.time(|| self.direct.ask(Request::Lookup { parent: self.parent, name }))?;
            number += 1;
        }
        Ok(tally)
    }
}

/// Opens what a killed worker left.
pub(crate) struct Reopening {
    folder: PathBuf,
    volume: Option<Volume<FjallKv>>,
}

impl Reopening {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), volume: None }
    }
}

impl Duty for Reopening {
    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let volume = tally.time(|| open(&self.folder)).context("opening what a killed engine left")?;
        self.volume = Some(volume);
        Ok(())
    }
}
