//! Folders of a run, gone with it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::mounts;

/// A new folder with everything below it.
#[derive(Debug)]
pub(super) struct Scratch(TempDir);

impl Scratch {
    /// Makes one in `folder`.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let made = tempfile::Builder::new().prefix("flexfs-bench-").tempdir_in(folder);
        Ok(Self(made.with_context(|| format!("making a folder in {}", folder.display()))?))
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The folder that holds all files of a run, mount points too. Must be dropped after everything that lies in it.
#[derive(Debug)]
pub(crate) struct RunFolder {
    scratch: Scratch,
    path: PathBuf,
}

impl RunFolder {
    /// Makes it in `folder`.
    pub(crate) fn make(folder: &Path) -> Result<Self> {
        let scratch = Scratch::make(folder)?;
        // As the kernel lists mount points.
        let path = scratch.path().canonicalize().context("the folder that was just made")?;
        Ok(Self { scratch, path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        // Nothing is removed through a mount that would not go.
        for mount in mounts::below(self.scratch.path()) {
            tracing::warn!(path = %mount.display(), "still mounted: taken away");
            mounts::take_away(&mount);
        }
    }
}
