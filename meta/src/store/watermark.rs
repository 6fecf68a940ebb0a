//! `Watermark`: a small file beside the database that says which commit of a volume was on disk.
//!
//! It is written without a flush of its own: it can lag, never lead. A volume that is behind its watermark was set back
//! (a restored or damaged database) and must not be served: its mounts hold acknowledgements for what it lost.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use proto::Sequence;

use super::StoreError;

/// The watermark of one volume.
#[derive(Debug)]
pub(super) struct Watermark {
    path: PathBuf,
    file: File,
    highest: Mutex<Sequence>,
}

/// Digits of the number in the file: as many as the largest sequence has, so that a write replaces all of it at once.
const DIGITS: usize = 20;

impl Watermark {
    /// Opens the file, or makes one that says 0.
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let io = |what| move |path: &Path, source| StoreError::Io { what, path: path.to_owned(), source };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| io("cannot open")(&path, source))?;
        let mut content = Vec::new();
        (&mut file).take(64).read_to_end(&mut content).map_err(|source| io("cannot read")(&path, source))?;
        let highest = parse(&content).ok_or_else(|| StoreError::Watermark {
            path: path.clone(),
            found: String::from_utf8_lossy(&content).into_owned(),
        })?;
        Ok(Self { path, file, highest: Mutex::new(highest) })
    }

    /// The highest sequence noted.
    pub(super) fn highest(&self) -> Sequence {
        *self.highest.lock().expect("no code under this lock panics")
    }

    /// Notes that `sequence` is on disk. An older one than noted changes nothing.
    pub(super) fn raise(&self, sequence: Sequence) -> Result<(), StoreError> {
        let mut highest = self.highest.lock().expect("no code under this lock panics");
        if sequence <= *highest {
            return Ok(());
        }
        let line = format!("{:0DIGITS$}\n", sequence.0);
        self.file.write_all_at(line.as_bytes(), 0).map_err(|source| StoreError::Io {
            what: "cannot write",
            path: self.path.clone(),
            source,
        })?;
        *highest = sequence;
        Ok(())
    }
}

/// A file that a power loss left empty or zeroed says nothing, which is 0.
fn parse(content: &[u8]) -> Option<Sequence> {
    if content.iter().all(|&byte| byte == 0) {
        return Some(Sequence(0));
    }
    let text = std::str::from_utf8(content).ok()?.trim_end();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok().map(Sequence))?
}
