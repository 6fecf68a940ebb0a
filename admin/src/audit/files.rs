//! The files of the log: each holds the lines from the number in its name on.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::chain;

/// A file that has so many bytes gets no more lines.
const FILE_MAX: u64 = 16 << 20;
/// Longest line in bytes.
pub(super) const LINE_MAX: usize = 64 << 10;

const ENDING: &str = "jsonl";

/// The files, the last one open to append.
pub(super) struct Files {
    folder: PathBuf,
    file_max: u64,
    current: Option<Current>,
}

struct Current {
    file: File,
    len: u64,
}

impl Files {
    /// Opens the folder (mode 0700), made where absent. Returns the number of the last line too. A line that a crash left
    /// half written is taken off: the database has it.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, u64)> {
        Self::open_with(folder, FILE_MAX)
    }

    /// As [`Files::open`], with another bound than [`FILE_MAX`].
    pub(super) fn open_with(folder: &Path, file_max: u64) -> io::Result<(Self, u64)> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut files = Self { folder: folder.to_owned(), file_max, current: None };
        let Some(path) = paths(folder)?.pop() else { return Ok((files, 0)) };
        let mut file = OpenOptions::new().read(true).write(true).open(&path)?;
        let (len, last) = whole_lines(&mut file)?;
        file.set_len(len)?;
        file.seek(SeekFrom::End(0))?;
        files.current = Some(Current { file, len });
        Ok((files, last.unwrap_or_else(|| first_of(&path).unwrap_or(1) - 1)))
    }

    /// Appends a line, to a new file where the last is full.
    pub(super) fn append(&mut self, seq: u64, line: &str) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|current| current.len >= self.file_max) {
            self.rotate()?;
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let path = self.folder.join(format!("{seq:012}.{ENDING}"));
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
                File::open(&self.folder)?.sync_all()?;
                let len = file.metadata()?.len();
                self.current.insert(Current { file, len })
            }
        };
        let text = format!("{line}\n");
        if let Err(error) = current.file.write_all(text.as_bytes()) {
            // Half a line would make the next one unreadable.
            current.file.set_len(current.len)?;
            current.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        current.len += text.len() as u64;
        Ok(())
    }

    /// Puts all lines on disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.current.as_ref().map_or(Ok(()), |current| current.file.sync_data())
    }

    /// The next line goes to a new file.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.sync()?;
        self.current = None;
        Ok(())
    }

    /// Removes the oldest files until `keep` are left. Returns the number of the first line that is left, if any went.
    pub(super) fn prune(&self, keep: usize) -> io::Result<Option<u64>> {
        let paths = paths(&self.folder)?;
        let excess = paths.len().saturating_sub(keep);
        for path in &paths[..excess] {
            fs::remove_file(path)?;
        }
        Ok(if excess == 0 { None } else { paths.get(excess).and_then(|path| first_of(path)) })
    }
}

/// The files of `folder`, the oldest first; none where there is no folder.
pub(super) fn paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| first_of(path).is_some());
    paths.sort_unstable();
    Ok(paths)
}

/// The number of a file's first line, by its name.
fn first_of(path: &Path) -> Option<u64> {
    if path.extension()? != ENDING {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok().filter(|seq| *seq > 0)
}

/// Bytes of the file's whole lines, and the number of the last of them.
fn whole_lines(file: &mut File) -> io::Result<(u64, Option<u64>)> {
    let len = file.metadata()?.len();
    // The end of the file holds the last whole line and, at the most, half another.
    let begin = len.saturating_sub(2 * LINE_MAX as u64);
    file.seek(SeekFrom::Start(begin))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(end) = tail.iter().rposition(|byte| *byte == b'\n') else { return Ok((0, None)) };
    let line = tail[..end].rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let number = str::from_utf8(line).ok().and_then(chain::number);
    Ok((begin + end as u64 + 1, number))
}
