//! From a transaction to the files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::chain::Tip;
use super::files::{Files, LINE_MAX};
use super::{Event, stamp};
use crate::api::ApiError;
use crate::keys::Keys;

/// Files that are kept, of 16 MiB each: the oldest goes when there are more.
const FILES_MAX: usize = 64;
/// Lines that wait in the database for a file that cannot be written. Beyond these nothing that must be told is done.
const WAITING_MAX: u64 = 10_000;
/// Lines in the file that the database still has, because they may not be on disk.
const UNSYNCED_MAX: u64 = 256;

/// Where the sealed state belongs.
const PLACE: &str = "audit_state";

/// What the database knows of the files.
pub(super) struct State {
    /// The last line.
    pub(super) tip: Tip,
    /// Number of the first line that is kept.
    pub(super) first: u64,
}

impl State {
    /// Reads it; that of an empty log where there is none.
    pub(super) fn load(connection: &Connection, keys: &Keys) -> rusqlite::Result<Option<Self>> {
        let sealed: Option<Vec<u8>> =
            connection.query_row("SELECT sealed FROM audit_state", [], |row| row.get(0)).optional()?;
        let Some(sealed) = sealed else { return Ok(Some(Self { tip: Tip::start(), first: 1 })) };
        Ok(keys.open(PLACE, &sealed).and_then(|text| Self::parse(text.expose())))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(' ');
        let (seq, hash, first) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { tip: Tip { seq: seq.parse().ok()?, hash: hash.to_owned() }, first: first.parse().ok()? })
    }

    fn save(&self, connection: &Connection, keys: &Keys) -> rusqlite::Result<()> {
        let sealed = keys.seal(PLACE, &format!("{} {} {}", self.tip.seq, self.tip.hash, self.first));
        let saved = connection.execute("UPDATE audit_state SET sealed = ?", [&sealed])?;
        if saved == 0 {
            connection.execute("INSERT INTO audit_state (sealed) VALUES (?)", [&sealed])?;
        }
        Ok(())
    }
}

/// Makes lines of `events`, as a part of the transaction that they tell of.
pub(crate) fn record(tx: &Transaction<'_>, keys: &Keys, events: Vec<Event>) -> Result<(), ApiError> {
    let broken = || ApiError::internal("the state of the audit log cannot be read", &"it was altered");
    let mut state = State::load(tx, keys)?.ok_or_else(broken)?;
    let waiting: i64 = tx.query_row("SELECT count(*) FROM audit_waiting", [], |row| row.get(0))?;
    if waiting.unsigned_abs() > WAITING_MAX {
        return Err(ApiError::internal("nothing is done any more", &"the audit log cannot be written since long"));
    }
    let now = stamp(SystemTime::now());
    for event in events {
        let (tip, line) = state.tip.next(keys, &now, &event);
        if line.len() >= LINE_MAX {
            return Err(ApiError::internal("a line of the audit log is too long", &event.action));
        }
        tx.execute("INSERT INTO audit_waiting (seq, line) VALUES (?, ?)", params![tip.seq as i64, line])?;
        state.tip = tip;
    }
    Ok(state.save(tx, keys)?)
}

/// The files, and how far they are.
pub(crate) struct Log {
    folder: PathBuf,
    files: Files,
    files_max: usize,
    /// The last line in the files.
    written: u64,
    /// The last line that is on disk for certain.
    synced: u64,
}

impl Log {
    /// Opens the log in `folder` and brings it up to date with the database.
    pub(crate) fn open(folder: &Path, connection: &Connection, keys: &Keys) -> io::Result<Self> {
        let (files, written) = Files::open(folder)?;
        let mut log = Self { folder: folder.to_owned(), files, files_max: FILES_MAX, written, synced: written };
        log.files.sync()?;
        let tip = State::load(connection, keys).map_err(io::Error::other)?.map_or(0, |state| state.tip.seq);
        if log.written > tip {
            tracing::error!(
                folder = %folder.display(),
                "the audit log has lines that the database does not know of: was the database restored from a backup?"
            );
            log.files.rotate()?;
            (log.written, log.synced) = (tip, tip);
        }
        log.catch_up(connection, keys);
        Ok(log)
    }

    /// Writes what waits. Where that fails it goes on waiting in the database.
    pub(crate) fn catch_up(&mut self, connection: &Connection, keys: &Keys) {
        let outcome = self.write_waiting(connection).and_then(|()| self.forget_written(connection, keys));
        if let Err(error) = outcome {
            tracing::error!(%error, folder = %self.folder.display(), "the audit log cannot be written: lines wait in the database");
        }
    }

    fn write_waiting(&mut self, connection: &Connection) -> io::Result<()> {
        let waiting = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut statement =
                connection.prepare_cached("SELECT seq, line FROM audit_waiting WHERE seq > ? ORDER BY seq")?;
            statement.query_map([self.written as i64], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        for (seq, line) in waiting().map_err(io::Error::other)? {
            let seq = seq.unsigned_abs();
            self.files.append(seq, &line)?;
            self.written = seq;
        }
        Ok(())
    }

    /// Takes out of the database what is safe in the files, now and then: each time the files must be put on disk before.
    fn forget_written(&mut self, connection: &Connection, keys: &Keys) -> io::Result<()> {
        if self.written - self.synced < UNSYNCED_MAX {
            return Ok(());
        }
        self.files.sync()?;
        self.synced = self.written;
        let first = self.files.prune(self.files_max)?;
        let forget = || -> rusqlite::Result<()> {
            connection.execute("DELETE FROM audit_waiting WHERE seq <= ?", [self.synced as i64])?;
            if let (Some(first), Some(state)) = (first, State::load(connection, keys)?) {
                tracing::info!(first, "the oldest file of the audit log was removed");
                State { first, ..state }.save(connection, keys)?;
            }
            Ok(())
        };
        forget().map_err(io::Error::other)
    }
}
