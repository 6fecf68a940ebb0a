//! What is measured, and beside what: a mount that the run starts, a folder that is there, and the references.

mod scratch;
mod up;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::ceilings::null_fuse::{Floor, NullServer};
use crate::ceilings::tmpfs::Tmpfs;
use crate::crew::Site;
use crate::mounts;
use crate::report::{Kind, SubjectRecord};
use crate::resources::Watched;
use crate::settings::{Settings, Variant};
use scratch::Scratch;

pub(crate) use scratch::RunFolder;
pub(crate) use up::Up;

/// Something that workloads run on. Dropped, what was started for it ends.
pub(crate) struct Subject {
    pub(crate) record: SubjectRecord,
    /// Folders that show one file system; at least one.
    mounts: Vec<PathBuf>,
    held: Held,
}

/// What stands behind a subject.
enum Held {
    /// Somebody else's folders, and processes to watch.
    Foreign(Vec<Watched>),
    /// A folder of this run.
    Folder { _scratch: Option<Scratch>, _tmpfs: Option<Tmpfs> },
    /// A whole system of this run.
    Up(Box<Up>),
    /// A null FUSE server of this run.
    Null(NullServer),
}

impl Subject {
    /// A system of this run, mounted twice.
    pub(crate) fn up(site: &Site, folder: &Path, variant: &Variant) -> Result<Self> {
        let up = Up::start(site, &folder.join(&variant.name), variant)?;
        let mounts = up.mounts();
        let flags = if variant.flags.is_empty() { String::new() } else { format!(" {}", variant.flags.join(" ")) };
        let transport = transport_of(&variant.flags);
        let program = variant.program.as_ref().map_or_else(|| "flexfs".into(), |program| program.display().to_string());
        let description = format!("{program} up{flags}, {} mounts, {transport} transport", mounts.len());
        let (name, transport) = (variant.name.clone(), Some(transport));
        let record = SubjectRecord { name, kind: Kind::Measured, description, transport };
        Ok(Self { record, mounts, held: Held::Up(Box::new(up)) })
    }

    /// Folders that are there already: of several, each shows the same file system.
    pub(crate) fn foreign(settings: &Settings) -> Result<Self> {
        let targets: Vec<PathBuf> = settings.targets.iter().map(|target| canonical(target)).collect::<Result<_>>()?;
        let shown: Vec<String> =
            targets.iter().map(|target| format!("{} ({})", target.display(), kind_of(target))).collect();
        let (name, description) = ("target".to_owned(), shown.join(", "));
        let record = SubjectRecord { name, kind: Kind::Measured, description, transport: None };
        let watched = settings.processes.clone();
        Ok(Self { record, mounts: targets, held: Held::Foreign(watched) })
    }

    /// A folder of the disk.
    pub(crate) fn disk(folder: &Path) -> Result<Self> {
        Self::folder(folder, Kind::Disk, None, None)
    }

    /// A folder in memory: a tmpfs of this run, or without root one of the system's.
    pub(crate) fn memory(folder: &Path) -> Result<Self> {
        if rustix::process::geteuid().is_root() {
            let tmpfs = Tmpfs::mount(folder)?;
            return Self::folder(folder, Kind::Memory, None, Some(tmpfs));
        }
        let scratch = Scratch::make(Path::new("/dev/shm"))?;
        let path = scratch.path().to_owned();
        Self::folder(&path, Kind::Memory, Some(scratch), None)
    }

    /// No folder of interest: parts of the system by themselves, with their files on the disk.
    pub(crate) fn machine(folder: &Path) -> Result<Self> {
        Self::folder(folder, Kind::Machine, None, None)
    }

    /// A null FUSE mount.
    pub(crate) fn null(site: &Site, folder: &Path, floor: Floor) -> Result<Self> {
        let Floor { transport, passthrough } = floor;
        let (name, kind, description) = if passthrough {
            let description =
                format!("the same, but the kernel reads and writes files by itself, {transport} transport");
            ("null-passthrough".to_owned(), Kind::Passthrough, description)
        } else {
            let description = format!("FUSE with nothing behind it, {transport} transport");
            (format!("null-{transport}"), Kind::NullFuse, description)
        };
        let server = NullServer::start(site, folder, &name, floor)?;
        let record = SubjectRecord { name, kind, description, transport: Some(transport.to_string()) };
        Ok(Self { record, mounts: vec![server.mount().to_owned()], held: Held::Null(server) })
    }

    fn folder(path: &Path, kind: Kind, scratch: Option<Scratch>, tmpfs: Option<Tmpfs>) -> Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("folder {}", path.display()))?;
        let path = canonical(path)?;
        let file_system = kind_of(&path);
        let name = if kind == Kind::Machine { "machine".to_owned() } else { file_system.clone() };
        let source = mounts::file_system(&path).map_or_else(String::new, |mounted| format!(" on {}", mounted.source));
        let description = match kind {
            Kind::Machine => format!("parts of the system alone, files on {file_system}{source}"),
            _ => format!("{file_system}{source}"),
        };
        let record = SubjectRecord { name, kind, description, transport: None };
        Ok(Self { record, mounts: vec![path], held: Held::Folder { _scratch: scratch, _tmpfs: tmpfs } })
    }

    /// Whether it is of interest what becomes of names on it.
    pub(crate) fn has_names(&self) -> bool {
        !matches!(self.record.kind, Kind::Machine | Kind::Passthrough)
    }

    /// Folders to work in.
    pub(crate) fn mounts(&self) -> &[PathBuf] {
        &self.mounts
    }

    /// Processes that serve it.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        match &self.held {
            Held::Foreign(watched) => watched.clone(),
            Held::Folder { .. } => Vec::new(),
            Held::Up(up) => up.watched(),
            Held::Null(server) => vec![Watched { name: self.record.name.clone(), pid: server.pid() }],
        }
    }

    /// The system behind it, if this run started it.
    pub(crate) fn system(&self) -> Option<&Up> {
        match &self.held {
            Held::Up(up) => Some(up),
            _ => None,
        }
    }
}

/// The transport that `up` takes with `flags`: the one they name, else the first that this machine has.
fn transport_of(flags: &[String]) -> String {
    let behind = flags.iter().position(|flag| flag == "--transport").and_then(|place| flags.get(place + 1));
    let joined = flags.iter().find_map(|flag| flag.strip_prefix("--transport="));
    let chosen = joined.or(behind.map(String::as_str)).filter(|name| *name != "auto");
    chosen.map_or_else(|| fsd::Transport::available()[0].to_string(), str::to_owned)
}

fn canonical(path: &Path) -> Result<PathBuf> {
    let canonical = path.canonicalize().with_context(|| format!("folder {}", path.display()))?;
    ensure!(canonical.is_dir(), "{}: a folder to measure is needed", path.display());
    Ok(canonical)
}

fn kind_of(path: &Path) -> String {
    mounts::file_system(path).map_or_else(|| "unknown".to_owned(), |mounted| mounted.kind)
}

#[cfg(test)]
mod tests;
