//! `mount.flexfs init fstab` and `deinit fstab`.

mod table;

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::paths;
use table::Entry;

/// Flags of `init fstab`.
#[derive(Debug, Args)]
pub(crate) struct InitFstab {
    /// Name of the volume
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
    name: String,
    /// Directory it is mounted on
    mount_point: PathBuf,
    /// Unmount at once
    #[arg(long)]
    now: bool,
    /// The table
    #[arg(long, value_name = "FILE", default_value = "/etc/fstab", hide = true)]
    fstab: PathBuf,
}

/// Adds the line and makes the mount point.
pub(super) fn init(arguments: &InitFstab) -> Result<()> {
    let mount_point = paths::absolute(&arguments.mount_point)?;
    let creds_file = arguments.creds_file.as_deref().map(paths::absolute).transpose()?;
    let entry = Entry::new(&arguments.name, &mount_point, creds_file.as_deref(), arguments.mount_options.as_deref())?;
    let text = read(&arguments.fstab)?;
    match entry.add_to(&text, arguments.force)? {
        Some(text) => {
            write(&arguments.fstab, &text)?;
            println!("added to {}: {}", arguments.fstab.display(), entry.line());
        }
        None => println!("{} has this line already: {}", arguments.fstab.display(), entry.line()),
    }
    std::fs::create_dir_all(&mount_point).with_context(|| format!("mount point {}", mount_point.display()))?;
    if arguments.now { run("mount", &mount_point) } else { Ok(()) }
}

/// Removes the line.
pub(super) fn deinit(arguments: &DeinitFstab) -> Result<()> {
    let mount_point = paths::absolute(&arguments.mount_point)?;
    let entry = Entry::new(&arguments.name, &mount_point, None, None)?;
    let text = read(&arguments.fstab)?;
    let Some(text) = entry.remove_from(&text) else {
        bail!("{} has no line for volume {} on {}", arguments.fstab.display(), arguments.name, mount_point.display());
    };
    if arguments.now {
        run("umount", &mount_point)?;
    }
    write(&arguments.fstab, &text)?;
    println!("removed from {}: {} on {}", arguments.fstab.display(), arguments.name, mount_point.display());
    Ok(())
}

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
    let output = Command::new(program).arg(mount_point).output().with_context(shown)?;
    if !output.status.success() {
        bail!("{} failed: {}", shown(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
