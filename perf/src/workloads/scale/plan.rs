//! `Plan`: which files the volume has. The same in all processes, so that a client knows what to ask for.

use anyhow::Result;
use proto::{InodeId, Name};
use serde::{Deserialize, Serialize};

use crate::seed::Seed;
use crate::session::name;

/// Files of an ordinary directory.
const FILES_PER_DIR: u64 = 1000;

/// A root, one directory with a tenth of the files, and ordinary ones below the root with the others.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Inodes of the volume, the root not counted.
    inodes: u64,
}

/// Directories that are there, by their number: ids of their inodes. A directory's files have the ids behind its own.
pub(super) type Dirs = Vec<InodeId>;

impl Plan {
    pub(super) fn of(inodes: u64) -> Self {
        Self { inodes }
    }

    pub(super) fn inodes(self) -> u64 {
        self.inodes
    }

    /// Files of each directory; the large one is the first.
    pub(super) fn dirs(self) -> Vec<u64> {
        let large = self.inodes / 10;
        let mut left = self.inodes.saturating_sub(large + 1);
        let mut dirs = vec![large];
        while left > 1 {
            let files = FILES_PER_DIR.min(left - 1);
            dirs.push(files);
            left -= files + 1;
        }
        dirs
    }

    /// Name of directory `number`.
    pub(super) fn dir_name(number: usize) -> Result<Name> {
        name(&format!("directory-{number}"))
    }

    /// Name of file `number` of any directory.
    pub(super) fn file_name(number: u64) -> Result<Name> {
        name(&format!("file-{number:07}.data"))
    }
}

/// Picks files, each as likely as any other.
pub(super) struct Picks {
    seed: Seed,
    /// Files up to and with each directory.
    ends: Vec<u64>,
    dirs: Dirs,
}

/// A file.
pub(super) struct Pick {
    pub(super) dir: InodeId,
    pub(super) ino: InodeId,
    pub(super) name: Name,
}

impl Picks {
    pub(super) fn new(plan: Plan, dirs: Dirs, seed: Seed) -> Self {
        let ends = plan.dirs().into_iter().scan(0, |end, files| {
            *end += files;
            Some(*end)
        });
        Self { seed, ends: ends.collect(), dirs }
    }

    pub(super) fn next(&mut self) -> Result<Pick> {
        let all = self.ends.last().copied().unwrap_or(0);
        let number = self.seed.below(all);
        let dir = self.ends.partition_point(|end| *end <= number);
        let number = number - if dir == 0 { 0 } else { self.ends[dir - 1] };
        let dir = self.dirs[dir];
        Ok(Pick { dir, ino: InodeId(dir.0 + 1 + number), name: Plan::file_name(number)? })
    }

    /// The directory with most files.
    pub(super) fn large(&self) -> InodeId {
        self.dirs[0]
    }
}

#[cfg(test)]
mod tests;
