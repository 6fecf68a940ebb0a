//! Where the programs keep their files.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

/// `~/.flexfs` and `below`. At boot `HOME` is unset; the user database then knows.
pub(crate) fn flexfs_folder(below: &str) -> Result<PathBuf> {
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| anyhow!("the home directory is not known: set HOME"))?;
    Ok(home.join(".flexfs").join(below))
}

/// `path` as the shell shows it, without asking the file system: the last part need not exist.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("path {}", path.display()))
}

/// Makes `folder` (mode 0700) and what is missing above it.
pub(crate) fn make_private_folder(folder: &Path) -> Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(|| format!("folder {}", folder.display()))
}

/// Replaces the file at `path` as a whole: a reader sees the old text or the new one, also after a power loss.
pub(crate) fn replace_file(path: &Path, text: &str, mode: u32) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.and_then(|()| std::fs::rename(&temporary, path)).inspect_err(|_| {
            // The error to tell is the first one.
            let _ = std::fs::remove_file(&temporary);
        })
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
