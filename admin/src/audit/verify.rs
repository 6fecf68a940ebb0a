//! Checking a whole log, beside a running server or without one.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::chain::Tip;
use super::files::{self, LINE_MAX};
use super::log::State;
use crate::AdminError;
use crate::db::AUDIT_FOLDER;
use crate::keys::Keys;

/// What was found in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Number of the first line; older ones were removed when the log had all the files it may have.
    pub first: u64,
    /// Number of the last line that is sound.
    pub last: u64,
    /// Files that were read.
    pub files: usize,
    /// Where it is broken first, if anywhere.
    pub broken: Option<Broken>,
}

/// The first place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub file: PathBuf,
    /// Line in the file, from 1 on.
    pub line: u64,
    /// What is wrong there.
    pub what: String,
}

/// Checks the audit log of the database in `folder`, changing nothing. A server may go on writing meanwhile.
pub fn verify_audit(folder: &Path) -> Result<AuditReport, AdminError> {
    let keys = Keys::load(&folder.join("key"), false)?;
    let known = Known::read(&folder.join("admin.db"), &keys)?;
    let log = folder.join(AUDIT_FOLDER);
    check(&log, &keys, known).map_err(|source| AdminError::File { path: log, source })
}

/// What the database says must be there.
struct Known {
    state: Option<State>,
    /// Lines that may not be in a file yet.
    waiting: Vec<String>,
}

impl Known {
    fn read(path: &Path, keys: &Keys) -> Result<Self, AdminError> {
        let failed = |error: rusqlite::Error| AdminError::Database { path: path.into(), reason: error.to_string() };
        let mut connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
        let read = |connection: &mut Connection| -> rusqlite::Result<Self> {
            let tx = connection.transaction()?;
            let state = State::load(&tx, keys)?;
            let mut statement = tx.prepare("SELECT line FROM audit_waiting ORDER BY seq")?;
            let waiting = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(Self { state, waiting })
        };
        read(&mut connection).map_err(failed)
    }
}

fn check(folder: &Path, keys: &Keys, known: Known) -> io::Result<AuditReport> {
    let paths = files::paths(folder)?;
    let state = known.state;
    let first = state.as_ref().map_or(1, |state| state.first);
    let mut report = AuditReport { first, last: first - 1, files: paths.len(), broken: None };
    let mut walk = Walk { keys, state: state.as_ref(), tip: None };
    for path in &paths {
        let mut reader = BufReader::new(File::open(path)?);
        for number in 1.. {
            let line = match next_line(&mut reader)? {
                Next::End => break,
                Next::Line(line) => line,
                // The server is writing it, or it is in the database: the end will tell.
                Next::Half => break,
            };
            if let Err(what) = walk.take(&line) {
                report.last = walk.last();
                report.broken = Some(Broken { file: path.clone(), line: number, what });
                return Ok(report);
            }
        }
    }
    let in_files = walk.last();
    let missing = walk.finish(&known.waiting).err();
    report.last = walk.last();
    report.broken = missing.map(|what| Broken {
        file: paths.last().cloned().unwrap_or_else(|| folder.to_owned()),
        line: 0,
        what: format!("{what}; the last line in the files is {in_files}"),
    });
    Ok(report)
}

struct Walk<'a> {
    keys: &'a Keys,
    state: Option<&'a State>,
    tip: Option<Tip>,
}

impl Walk<'_> {
    fn first(&self) -> u64 {
        self.state.map_or(1, |state| state.first)
    }

    fn last(&self) -> u64 {
        self.tip.as_ref().map_or(self.first() - 1, |tip| tip.seq)
    }

    /// The next line of the files.
    fn take(&mut self, line: &str) -> Result<(), String> {
        let tip = match self.tip.take() {
            Some(tip) => tip,
            None => self.begin(line)?,
        };
        let next = tip.check(self.keys, line);
        self.tip = Some(tip);
        let next = next.map_err(|fault| fault.to_string())?;
        if let Some(state) = self.state.filter(|state| state.tip.seq == next.seq && state.tip.hash != next.hash) {
            return Err(format!("line {} is not the one that the database knows as its last", state.tip.seq));
        }
        self.tip = Some(next);
        Ok(())
    }

    /// What the first line follows. Files that were to go may still be there: lines before the first one kept are no fault.
    fn begin(&self, line: &str) -> Result<Tip, String> {
        let before = Tip::before(self.keys, line).map_err(|fault| fault.to_string())?;
        if before.seq + 1 > self.first() {
            return Err(format!("the log begins with line {}, the first is {}", before.seq + 1, self.first()));
        }
        if before.seq == 0 && before != Tip::start() {
            return Err("line 1 follows another: it was replaced".to_owned());
        }
        Ok(before)
    }

    /// What the database knows must come to the end of the files.
    fn finish(&mut self, waiting: &[String]) -> Result<(), String> {
        let Some(state) = self.state else {
            return Err("the database's record of the last line was altered".to_owned());
        };
        for line in waiting {
            let number = super::chain::number(line).unwrap_or(0);
            if number > self.last() {
                let before = self.tip.clone().unwrap_or_else(Tip::start);
                self.tip = Some(before.check(self.keys, line).map_err(|_| self.cut(state))?);
            }
        }
        if self.last() < state.tip.seq { Err(self.cut(state)) } else { Ok(()) }
    }

    fn cut(&self, state: &State) -> String {
        format!("lines up to {} are missing: the end was cut off", state.tip.seq)
    }
}

enum Next {
    Line(String),
    /// Without a line feed at its end.
    Half,
    End,
}

fn next_line(reader: &mut BufReader<File>) -> io::Result<Next> {
    let mut line = Vec::new();
    reader.by_ref().take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(Next::End),
        Some(b'\n') => Ok(Next::Line(String::from_utf8_lossy(&line).into_owned())),
        // Longer than any line, or the end of the file: only the former goes on.
        Some(_) if line.len() == LINE_MAX => Ok(Next::Line(String::from_utf8_lossy(&line).into_owned())),
        Some(_) => Ok(Next::Half),
    }
}
