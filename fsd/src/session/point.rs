//! The mount point: checked before anything is mounted over it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::io::Errno as OsError;

use crate::MountError;

/// A directory that can be mounted over.
#[derive(Clone, Debug)]
pub(crate) struct MountPoint {
    /// Without links and dots, as the kernel lists it.
    path: PathBuf,
}

impl MountPoint {
    /// Checks `path`. `non_empty`: its content may be covered.
    pub(crate) fn check(path: &Path, non_empty: bool) -> Result<Self, MountError> {
        let refused = |reason: String| MountError::MountPoint { path: path.to_owned(), reason };
        let canonical = path.canonicalize().map_err(|error| refused(explain(&error)))?;
        // Before its kind is asked: another user's mount tells that to nobody else.
        if find_mount(&mountinfo(), &canonical).is_some() {
            return Err(refused("something is mounted there already: unmount it first".to_owned()));
        }
        if !canonical.is_dir() {
            return Err(refused("is not a directory".to_owned()));
        }
        let mut entries = fs::read_dir(&canonical).map_err(|error| refused(explain(&error)))?;
        if !non_empty && entries.next().is_some() {
            return Err(refused(
                "is not empty: choose an empty directory, or cover its content with --nonEmpty".to_owned(),
            ));
        }
        Ok(Self { path: canonical })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The device (`major:minor`) of what is mounted there, if anything.
    pub(super) fn mounted_device(&self) -> Option<String> {
        find_mount(&mountinfo(), &self.path).map(str::to_owned)
    }
}

/// Whether [`Mount::start`](crate::Mount::start) could mount on `path`: a look before anything else is made or asked.
/// `non_empty`: its content may be covered.
pub fn check_mount_point(path: &Path, non_empty: bool) -> Result<(), MountError> {
    MountPoint::check(path, non_empty).map(drop)
}

fn explain(error: &std::io::Error) -> String {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NotFound, _) => "does not exist: make the directory first".to_owned(),
        (_, Some(code)) if code == OsError::NOTCONN.raw_os_error() => {
            "a mount is there whose daemon is gone: unmount it first".to_owned()
        }
        _ => error.to_string(),
    }
}

fn mountinfo() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// The device (`major:minor`) of what is mounted on `path`, by `mountinfo` (proc_pid_mountinfo(5)).
fn find_mount<'a>(mountinfo: &'a str, path: &Path) -> Option<&'a str> {
    // The newest mount on a path is the one that shows.
    mountinfo.lines().rev().find_map(|line| {
        let mut fields = line.split(' ');
        let device = fields.nth(2)?;
        (unescape(fields.nth(1)?) == path.as_os_str().as_encoded_bytes()).then_some(device)
    })
}

/// Undoes the kernel's `\ooo` for blanks and backslashes.
fn unescape(field: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let octal = tail.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                bytes.push(escaped);
                rest = &tail[3..];
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    bytes
}

/// Lets the kernel read ahead as much as one request carries: its default is an eighth of that. Needs root; without it,
/// sequential reads are slower.
pub(super) fn raise_read_ahead(device: &str) {
    let _ = fs::write(format!("/sys/class/bdi/{device}/read_ahead_kb"), "1024");
}

#[cfg(test)]
mod tests;
