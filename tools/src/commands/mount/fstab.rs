//! `mount.flexfs init fstab` and `deinit fstab`.

mod table;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::mount_point;
use crate::commands::creds;
use crate::paths;
use crate::progress::Waiting;
use table::Entry;

/// Flags of `init fstab`.
#[derive(Debug, Args)]
pub(crate) struct InitFstab {
    /// Name of the volume
    #[arg(value_parser = creds::volume_name)]
    name: String,
    /// Directory to mount on; made if missing
    mount_point: PathBuf,
    /// Credentials file [default: ~/.flexfs/mount/creds/NAME of root]
    #[arg(long = "credsFile", value_name = "FILE")]
    creds_file: Option<PathBuf>,
    /// More mount options: flags of `start` without dashes, comma separated
    #[arg(long = "mountOptions", value_name = "OPTIONS")]
    mount_options: Option<String>,
    /// Mount at once
    #[arg(long)]
    now: bool,
    /// Replace another line for this mount point
    #[arg(long)]
    force: bool,
    /// The table
    #[arg(long, value_name = "FILE", default_value = "/etc/fstab", hide = true)]
    fstab: PathBuf,
}

/// Flags of `deinit fstab`.
#[derive(Debug, Args)]
pub(crate) struct DeinitFstab {
    /// Name of the volume
    #[arg(value_parser = creds::volume_name)]
    name: String,
    /// Directory it is mounted on
    mount_point: PathBuf,
    /// Unmount at once, if it is mounted
    #[arg(long)]
    now: bool,
    /// The table
    #[arg(long, value_name = "FILE", default_value = "/etc/fstab", hide = true)]
    fstab: PathBuf,
}

/// Adds the line and makes the mount point. What fails leaves neither.
pub(super) fn init(arguments: &InitFstab) -> Result<()> {
    let mount_point = paths::absolute(&arguments.mount_point)?;
    let creds_file = arguments.creds_file.as_deref().map(paths::absolute).transpose()?;
    let entry = Entry::new(&arguments.name, &mount_point, creds_file.as_deref(), arguments.mount_options.as_deref())?;
    entry.check()?;
    let former = read(&arguments.fstab)?;
    let added = entry.add_to(&former, arguments.force)?;
    if arguments.now && !Path::new(HELPER).exists() {
        bail!("mount(8) needs {HELPER}: run `flexfs install --sbin` first");
    }
    let is_new = !mount_point.exists();
    std::fs::create_dir_all(&mount_point).with_context(|| format!("mount point {}", mount_point.display()))?;
    let written = added.as_deref().map_or(Ok(()), |table| write(&arguments.fstab, table));
    let done = written.and_then(|()| if arguments.now { run("mount", &mount_point) } else { Ok(()) });
    if let Err(error) = done {
        if is_new {
            // Somebody may have put something into it meanwhile: then it stays.
            let _ = std::fs::remove_dir(&mount_point);
        }
        return added.map_or(Ok(()), |_| write(&arguments.fstab, &former)).and(Err(error));
    }
    let what = if added.is_some() { "added to" } else { "this line was there already in" };
    println!("{what} {}: {}", arguments.fstab.display(), entry.line());
    Ok(())
}

/// Removes the line.
pub(super) fn deinit(arguments: &DeinitFstab) -> Result<()> {
    let mount_point = paths::absolute(&arguments.mount_point)?;
    let entry = Entry::new(&arguments.name, &mount_point, None, None)?;
    let text = read(&arguments.fstab)?;
    let Some(text) = entry.remove_from(&text) else {
        bail!("{} has no line for volume {} on {}", arguments.fstab.display(), arguments.name, mount_point.display());
    };
    if arguments.now && mount_point::top_device(&mount_point)?.is_some() {
        run("umount", &mount_point)?;
    }
    write(&arguments.fstab, &text)?;
    println!("removed from {}: {} on {}", arguments.fstab.display(), arguments.name, mount_point.display());
    Ok(())
}

/// Where mount(8) looks for the program that mounts this type.
const HELPER: &str = "/sbin/mount.flexfs";

fn read(fstab: &Path) -> Result<String> {
    std::fs::read_to_string(fstab).with_context(|| format!("cannot read {}", fstab.display()))
}

/// Replaces the table; its mode stays.
fn write(fstab: &Path, text: &str) -> Result<()> {
    let mode = std::fs::metadata(fstab).map_or(0o644, |metadata| metadata.mode() & 0o7777);
    paths::replace_file(fstab, text, mode)
}

fn run(program: &str, mount_point: &Path) -> Result<()> {
    let shown = || format!("{program} {}", mount_point.display());
    let _waiting = Waiting::show(shown());
    let output = Command::new(program).arg(mount_point).output().with_context(shown)?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
