//! Reading and writing a private file.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::CredsError;

/// Longest credentials file in bytes.
const LEN_MAX: u64 = 64 << 10;

/// Permission bits that a private file must not have.
const OTHERS: u32 = 0o077;

/// Reads the file at `path` if only its owner can.
pub(super) fn read(path: &Path, init: &'static str) -> Result<Zeroizing<String>, CredsError> {
    let file = File::open(path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => CredsError::Missing { path: path.to_owned(), init },
        _ => CredsError::Io { path: path.to_owned(), source },
    })?;
    let io_error = |source| CredsError::Io { path: path.to_owned(), source };
    // Asked of the open file, so that it cannot be another one than is read.
    let metadata = file.metadata().map_err(io_error)?;
    if !metadata.is_file() {
        return Err(CredsError::Contents { path: path.to_owned(), reason: "is no file, which is needed".to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(CredsError::Open { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(LEN_MAX + 1).read_to_string(&mut text).map_err(io_error)?;
    if text.len() as u64 > LEN_MAX {
        let reason = format!("it exceeds {LEN_MAX} bytes: a few lines of TOML are needed");
        return Err(CredsError::Contents { path: path.to_owned(), reason });
    }
    Ok(text)
}

/// Writes `text` to `path` so that a crash leaves the old file, the new one or none.
pub(super) fn write(path: &Path, text: &str, force: bool) -> Result<(), CredsError> {
    let io_error = |source: io::Error| match source.kind() {
        ErrorKind::AlreadyExists => CredsError::Exists(path.to_owned()),
        _ => CredsError::Io { path: path.to_owned(), source },
    };
    // Asked early for the common case; `place` decides.
    if !force && path.symlink_metadata().is_ok() {
        return Err(CredsError::Exists(path.to_owned()));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io_error)?;
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, text).and_then(|()| place(&temporary, path, force));
    if written.is_err() {
        // It is ours whatever failed, and holds a token.
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| File::open(folder)?.sync_all()).map_err(io_error)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Gives the finished file its name. Without `force` by a link, which never replaces a file.
fn place(temporary: &Path, path: &Path, force: bool) -> io::Result<()> {
    if force {
        return fs::rename(temporary, path);
    }
    fs::hard_link(temporary, path)?;
    fs::remove_file(temporary)
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", uuid::Uuid::new_v4().simple()));
    PathBuf::from(name)
}
