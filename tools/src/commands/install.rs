//! `flexfs install`: the executable, and the names under which it is each program.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::dispatch::PROGRAMS;

/// Flags of `install`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Install to PREFIX/bin; `/` also gives mount(8) its helper
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Make /sbin/mount.flexfs, by which mount(8) and /etc/fstab know the type `flexfs`
    #[arg(long)]
    sbin: bool,
}

/// Installs, replacing what an earlier installation left.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let prefix = crate::paths::absolute(&arguments.prefix)?;
    let executable = std::env::current_exe().context("finding the executable")?;
    let sbin = (arguments.sbin || prefix == Path::new("/")).then_some(Path::new("/sbin"));
    for path in install(&executable, &prefix.join("bin"), sbin)? {
        println!("{}", path.display());
    }
    Ok(())
}

/// Copies `executable` to `bin` and makes the links. Returns what there is now.
fn install(executable: &Path, bin: &Path, sbin: Option<&Path>) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(bin).with_context(|| format!("folder {}", bin.display()))?;
    let installed = bin.join("flexfs");
    copy(executable, &installed).with_context(|| format!("cannot write {}", installed.display()))?;
    let mut made = vec![installed.clone()];
    for program in PROGRAMS {
        made.push(link(Path::new("flexfs"), &bin.join(program.name))?);
    }
    if let Some(helper) = sbin.map(|sbin| sbin.join("mount.flexfs")).filter(|helper| !is_same_file(helper, &installed))
    {
        made.push(link(&installed, &helper)?);
    }
    Ok(made)
}

/// Copies as a whole: running processes keep the file they started from.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if is_same_file(from, to) {
        return Ok(());
    }
    let temporary = temporary_beside(to);
    let copied = std::fs::copy(from, &temporary).and_then(|_| std::fs::File::open(&temporary)?.sync_all());
    put_in_place(copied, &temporary, to)
}

fn temporary_beside(path: &Path) -> PathBuf {
    path.with_added_extension(format!("{}.new", std::process::id()))
}

/// Gives what was made the name it is for, or takes it away where making it failed.
fn put_in_place(made: std::io::Result<()>, temporary: &Path, path: &Path) -> std::io::Result<()> {
    made.and_then(|()| std::fs::rename(temporary, path)).inspect_err(|_| {
        // The error to tell is the first one.
        let _ = std::fs::remove_file(temporary);
    })
}

/// Makes or replaces the symbolic link at `path`. A file that is no link is somebody else's.
fn link(target: &Path, path: &Path) -> Result<PathBuf> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => {}
        Ok(_) => bail!("{} is not a link: move it away first", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
    let temporary = temporary_beside(path);
    let linked = put_in_place(symlink(target, &temporary), &temporary, path);
    linked.with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path.to_owned())
}

/// Whether both paths lead to one file: with a merged /usr, /sbin may be the folder installed to.
fn is_same_file(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests;
