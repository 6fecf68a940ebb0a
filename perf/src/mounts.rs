//! What is mounted where, and how it is taken away.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

/// A file system that is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// Its type, such as `ext4`.
    pub(crate) kind: String,
    /// Device or name.
    pub(crate) source: String,
}

/// The file system that `path` lies on. Does not touch `path`.
pub(crate) fn file_system(path: &Path) -> Option<Mounted> {
    find(&mountinfo(), |place| path.starts_with(place))
}

/// Whether something is mounted on `path` itself. Does not touch `path`.
pub(crate) fn is_mounted(path: &Path) -> bool {
    find(&mountinfo(), |place| path == place).is_some()
}

/// Mount points below `path`, the deepest first.
pub(crate) fn below(path: &Path) -> Vec<PathBuf> {
    let mountinfo = mountinfo();
    let mut places: Vec<PathBuf> =
        mountinfo.lines().filter_map(place).filter(|place| place.starts_with(path)).collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.components().count()));
    places
}

fn mountinfo() -> String {
    fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// The deepest mount, by mountinfo (proc_pid_mountinfo(5)), whose place `fits`; of several on one place the newest.
fn find(mountinfo: &str, fits: impl Fn(&Path) -> bool) -> Option<Mounted> {
    let fitting = mountinfo.lines().enumerate().filter_map(|(number, line)| {
        let place = place(line)?;
        let (_, behind) = line.split_once(" - ")?;
        let mut behind = behind.split(' ');
        let mounted = Mounted { kind: behind.next()?.to_owned(), source: behind.next()?.to_owned() };
        fits(&place).then(|| ((place.as_os_str().len(), number), mounted))
    });
    fitting.max_by_key(|(rank, _)| *rank).map(|(_, mounted)| mounted)
}

/// Where the mount of a line is.
fn place(line: &str) -> Option<PathBuf> {
    line.split(' ').nth(4).map(unescape)
}

/// Undoes the kernel's `\040` for a blank, `\011`, `\012` and `\134`.
fn unescape(field: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    escapes.iter().fold(field.to_owned(), |text, (code, character)| text.replace(code, character)).into()
}

/// Takes what is mounted on `path` out of its place without waiting for anybody; nothing where nothing is.
pub(crate) fn take_away(path: &Path) {
    if !is_mounted(path) {
        return;
    }
    if let Err(error) = unmount(path, UnmountFlags::DETACH) {
        // As anybody else than root, only the helper may.
        let helper = std::process::Command::new("fusermount3").arg("-uz").arg(path).status();
        if !helper.is_ok_and(|status| status.success()) {
            tracing::warn!(path = %path.display(), %error, "cannot be unmounted");
        }
    }
}

#[cfg(test)]
mod tests;
