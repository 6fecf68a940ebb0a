//! `MountPoint`: a directory that only one mount of this system uses at a time.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::mount::{UnmountFlags, unmount};

use crate::lock::{FileLock, LockError};
use crate::paths;

/// A mount point whose lock this process holds.
#[derive(Debug)]
pub(crate) struct MountPoint {
    path: PathBuf,
    _lock: FileLock,
}

impl MountPoint {
    /// Claims the directory at `path`. A mount of this system that is still there but dead (its daemon was killed, or
    /// its session ended) is taken away first.
    pub(crate) fn claim(path: &Path) -> Result<Self> {
        let path = resolve(path)?;
        let folder = paths::flexfs_folder("mount/lock")?;
        paths::make_private_folder(&folder)?;
        let lock = take(&folder.join(lock_name(&path)), &path)?;
        while is_ours(&path)? && std::fs::metadata(&path).is_err() {
            tracing::info!(mount_point = %path.display(), "removing a mount that nobody serves");
            detach(&path)?;
        }
        Ok(Self { path, _lock: lock })
    }

    /// The absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes the lock of the mount point at `path`. A daemon whose mount was just unmounted gets a moment to end.
fn take(lock: &Path, path: &Path) -> Result<FileLock> {
    let deadline = Instant::now() + END_MAX;
    loop {
        match FileLock::take(lock) {
            Err(LockError::Taken { .. }) if Instant::now() < deadline && !is_ours(path)? => {
                std::thread::sleep(END_POLL);
            }
            Err(taken @ LockError::Taken { .. }) => {
                bail!("mount point {}: {taken}: unmount it first, or choose another directory", path.display())
            }
            outcome => return outcome.with_context(|| format!("mount point {}", path.display())),
        }
    }
}

/// A daemon ends within this time after its mount has gone: it says goodbye to its server.
const END_MAX: Duration = Duration::from_secs(5);
const END_POLL: Duration = Duration::from_millis(20);

/// The path without links. The last part is left alone: looking at a dead mount is an error.
fn resolve(path: &Path) -> Result<PathBuf> {
    let path = paths::absolute(path)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        bail!("mount point {}: a directory below / is needed", path.display());
    };
    let parent = parent.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow!("mount point {}: does not exist: make the directory first", path.display()),
        _ => anyhow!("mount point {}: {error}", path.display()),
    })?;
    let path = parent.join(name);
    if path.is_symlink() {
        return path.canonicalize().with_context(|| format!("mount point {}", path.display()));
    }
    Ok(path)
}

/// A file name for the lock of `path`: readable, and different for different paths.
fn lock_name(path: &Path) -> String {
    let escape = |byte: &u8| match *byte {
        byte if byte.is_ascii_alphanumeric() || b"._".contains(&byte) => char::from(byte).to_string(),
        b'/' => "-".to_owned(),
        byte => format!("%{byte:02x}"),
    };
    let name: String = path.as_os_str().as_encoded_bytes().iter().map(escape).collect();
    if name.len() <= NAME_MAX {
        return name;
    }
    // The end of a path tells more than its beginning; its id tells it from others with the same end.
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    format!("{:016x}{}", hasher.finish(), &name[name.len() - NAME_MAX..])
}

const NAME_MAX: usize = 200;

/// Whether what is mounted on `path`, topmost, is a volume of this system that this user mounted. Of somebody else's
/// mount nothing can be said: it refuses everybody, dead or alive.
fn is_ours(path: &Path) -> Result<bool> {
    let user = format!("user_id={}", rustix::process::getuid().as_raw());
    let is_ours = |mount: Mounted| mount.kind == "fuse.flexfs" && mount.options.split(',').any(|option| option == user);
    Ok(top_mount(&mount_table()?, path).is_some_and(is_ours))
}

/// Device number of the topmost mount on `path`: different for every mount of this system.
pub(super) fn top_device(path: &Path) -> Result<Option<String>> {
    Ok(top_mount(&mount_table()?, path).map(|mount| mount.device))
}

fn mount_table() -> Result<Vec<u8>> {
    std::fs::read("/proc/self/mountinfo").context("reading /proc/self/mountinfo")
}

/// A line of mountinfo (see proc_pid_mountinfo(5)).
#[derive(Debug, PartialEq, Eq)]
struct Mounted {
    /// Device number.
    device: String,
    /// Type of the file system.
    kind: String,
    /// Its own options, comma separated.
    options: String,
}

/// The topmost file system mounted on `path`, from the text of mountinfo.
fn top_mount(table: &[u8], path: &Path) -> Option<Mounted> {
    let text = |field: &[u8]| String::from_utf8_lossy(field).into_owned();
    let mut newest_first = table.rsplit(|byte| *byte == b'\n');
    newest_first.find_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let device = fields.nth(2)?;
        let mount_point = unescape(fields.nth(1)?);
        let mut fields = fields.skip_while(|field| *field != b"-");
        let kind = fields.nth(1)?;
        let options = fields.nth(1).unwrap_or_default();
        let mounted = || Mounted { device: text(device), kind: text(kind), options: text(options) };
        (mount_point == path.as_os_str()).then(mounted)
    })
}

/// Undoes the kernel's `\040` for a blank and the like.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        let octal = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok();
        match (first, tail.get(..3).and_then(octal)) {
            (b'\\', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes)
}

/// Unmounts without waiting for whoever still has files open there.
fn detach(path: &Path) -> Result<()> {
    let context = || format!("mount point {}: a dead mount cannot be removed", path.display());
    if rustix::process::geteuid().is_root() {
        return unmount(path, UnmountFlags::DETACH).with_context(context);
    }
    let output = Command::new("fusermount3").args(["-u", "-z", "--"]).arg(path).output().with_context(context)?;
    if !output.status.success() {
        bail!("{}: {}", context(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
