//! Filling the volume, and the list of its directories for those who ask.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use proto::{Attr, InodeId, Name, NewNode, Reply, Request};
use serde::{Deserialize, Serialize};

use super::engine;
use super::plan::{Dirs, Plan};
use crate::direct::Direct;
use crate::tally::Tally;
use crate::worker::Duty;

/// `S_IFREG` of inode(7).
const REGULAR_FILE: u32 = 0o100_000;

/// Makes all files of the plan, one after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fill {
    pub(super) plan: Plan,
}

impl Fill {
    pub(crate) fn in_folder(self, folder: &Path) -> Filling {
        Filling { job: self, folder: folder.to_owned(), direct: None }
    }
}

pub(crate) struct Filling {
    job: Fill,
    folder: PathBuf,
    /// Stays open until the process is killed.
    direct: Option<Direct>,
}

impl Duty for Filling {
    fn prepare(&mut self) -> Result<()> {
        self.direct = Some(engine::open(&self.folder)?);
        Ok(())
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let direct = self.direct.as_mut().context("the volume was opened")?;
        let mut dirs = Dirs::new();
        for (number, files) in self.job.plan.dirs().into_iter().enumerate() {
            let dir = make(direct, InodeId::ROOT, Plan::dir_name(number)?, NewNode::Directory { perm: 0o755 })?;
            for number in 0..files {
                let node = NewNode::Node { mode: REGULAR_FILE | 0o644, rdev: 0 };
                let file = make(direct, dir.ino, Plan::file_name(number)?, node)?;
                ensure!(file.ino.0 == dir.ino.0 + 1 + number, "ids of new inodes follow each other: {}", file.ino);
            }
            dirs.push(dir.ino);
            tally.operations += files + 1;
        }
        direct.persist()?;
        write_dirs(&self.folder, &dirs)
    }
}

fn make(direct: &mut Direct, parent: InodeId, name: Name, node: NewNode) -> Result<Attr> {
    match direct.ask(Request::Make { parent, name, node })? {
        Reply::Entry(attr) => Ok(attr),
        other => bail!("a new file was expected: {other:?}"),
    }
}

fn list(folder: &Path) -> PathBuf {
    folder.join("directories")
}

fn write_dirs(folder: &Path, dirs: &Dirs) -> Result<()> {
    let list = list(folder);
    let bytes: Vec<u8> = dirs.iter().flat_map(|dir| dir.0.to_le_bytes()).collect();
    std::fs::write(&list, bytes).with_context(|| format!("writing {}", list.display()))
}

/// What the filling process left.
pub(super) fn read_dirs(folder: &Path) -> Result<Dirs> {
    let list = list(folder);
    let bytes = std::fs::read(&list).with_context(|| format!("reading {}", list.display()))?;
    let (dirs, []) = bytes.as_chunks() else { bail!("{}: whole numbers were expected", list.display()) };
    Ok(dirs.iter().map(|dir| InodeId(u64::from_le_bytes(*dir))).collect())
}
