//! The data folder: what it must look like before a database in it is opened.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::StoreError;

/// First line of the file FORMAT. The number changes when an older program could misread the records.
pub(super) const FORMAT: &str = "flexfs-meta 1";

/// A checked data folder.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes the folder if need be, and refuses one that holds something else or another format.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |what: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| StoreError::Io { what, path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("cannot make folder", path))?;
        let format_file = path.join("FORMAT");
        match fs::read(&format_file) {
            Ok(content) => check(&format_file, &content)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                for entry in fs::read_dir(path).map_err(io("cannot list", path))? {
                    let name = entry.map_err(io("cannot list", path))?.file_name();
                    // What an interrupted first start or a fresh disk leaves.
                    if name != "FORMAT.new" && name != "lost+found" {
                        return Err(StoreError::NotOurs { path: path.to_owned() });
                    }
                }
                write_format(path, &format_file)?;
            }
            Err(source) => return Err(io("cannot read", &format_file)(source)),
        }
        let sequences = path.join("sequence");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&sequences)
            .map_err(io("cannot make folder", &sequences))?;
        Ok(Self { path: path.to_owned() })
    }

    /// As [`Folder::open`], of a folder that is one already.
    pub(super) fn open_existing(path: &Path) -> Result<Self, StoreError> {
        if !path.join("FORMAT").exists() {
            return Err(StoreError::Missing { path: path.to_owned() });
        }
        Self::open(path)
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the database is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("database")
    }

    /// Where a volume's watermark is.
    pub(super) fn watermark(&self, name: &str) -> PathBuf {
        self.path.join("sequence").join(name)
    }
}

fn check(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let found = String::from_utf8_lossy(content).lines().next().unwrap_or_default().to_owned();
    if found == FORMAT {
        return Ok(());
    }
    let found = found.chars().take(60).collect();
    Err(StoreError::Format { path: path.to_owned(), found, expected: FORMAT })
}

/// Written aside and renamed, so that a crash leaves either no file or a whole one.
fn write_format(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { what: "cannot write", path: path.to_owned(), source };
    let aside = folder.join("FORMAT.new");
    fs::write(&aside, format!("{FORMAT}\n")).map_err(io)?;
    fs::File::open(&aside).and_then(|file| file.sync_all()).map_err(io)?;
    fs::rename(&aside, path).map_err(io)?;
    fs::File::open(folder).and_then(|file| file.sync_all()).map_err(io)
}
