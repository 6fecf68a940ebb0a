//! A folder in memory: what a workload costs where nothing but the kernel's page cache works.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::mount::{MountFlags, mount};

use crate::mounts::take_away;
use crate::stop::LastResort;

/// A tmpfs of this run. Dropped, it is unmounted.
#[derive(Debug)]
pub(crate) struct Tmpfs {
    path: PathBuf,
    _resort: LastResort,
}

impl Tmpfs {
    /// Mounts one on `path`, which is made. Needs root.
    pub(crate) fn mount(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path).with_context(|| format!("folder {}", path.display()))?;
        mount("flexfs-bench", path, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, Some(c"mode=0700"))
            .with_context(|| format!("mounting a tmpfs on {}", path.display()))?;
        let resort = LastResort::new({
            let path = path.to_owned();
            move || take_away(&path)
        });
        Ok(Self { path: path.to_owned(), _resort: resort })
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        take_away(&self.path);
    }
}
