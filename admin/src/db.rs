//! The database: one SQLite file, one connection, one transaction at a time.
//!
//! Each request that touches it is one transaction on a blocking thread; what it decided by reading still holds when it
//! writes. WAL with `synchronous=FULL`: an answered change survives a power loss.

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use auth::Telling;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Mutex;

use crate::AdminError;
use crate::api::ApiError;
use crate::audit::{self, Event, Log};
use crate::feed::{Feed, Note};
use crate::keys::Keys;

mod columns;
mod schema;
pub(crate) mod tokens;

pub(crate) use columns::{Columns, number, uuid};

/// Handle to the database. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    /// Handed to the blocking thread, so that only one such thread exists however many requests wait.
    opened: Arc<Mutex<Opened>>,
    keys: Keys,
    audit_folder: PathBuf,
    /// How much of what strangers cause the audit log is told.
    refusals: std::sync::Mutex<Telling>,
    feed: Arc<Feed>,
    /// The folder, locked as long as it is open.
    _folder: File,
}

/// The database and the log of what is done in it.
struct Opened {
    connection: Connection,
    log: Log,
}

/// Folder of the audit log beside the database.
pub(crate) const AUDIT_FOLDER: &str = "audit";

/// A transaction, with the keys to what is sealed in it.
pub(crate) struct Tx<'a> {
    pub(crate) sql: Transaction<'a>,
    pub(crate) keys: &'a Keys,
    events: RefCell<Vec<Event>>,
    notes: RefCell<Vec<Note>>,
}

impl Tx<'_> {
    /// Tells the audit log of `event`, if this transaction comes to its end.
    pub(crate) fn tell(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    /// Tells metadata servers of `note`, if this transaction comes to its end.
    pub(crate) fn note(&self, note: Note) {
        self.notes.borrow_mut().push(note);
    }
}

impl Database {
    /// Opens or makes the database in `folder`: folder 0700, files 0600.
    pub(crate) fn open(folder: &Path) -> Result<Self, AdminError> {
        let path = folder.join("admin.db");
        let file_error = |source| AdminError::File { path: path.clone(), source };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| AdminError::File { path: folder.into(), source })?;
        let locked = lock(folder)?;
        // Empty counts as new: a crash may have come between making the file and its first transaction.
        let is_new = fs::metadata(&path).map_or(true, |file| file.len() == 0);
        let keys = Keys::load(&folder.join("key"), is_new)?;
        OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(file_error)?;
        let connection = schema::open(&path)?;
        schema::check_key(&connection, &keys, folder)?;
        let audit_folder = folder.join(AUDIT_FOLDER);
        let log = Log::open(&audit_folder, &connection, &keys)
            .map_err(|source| AdminError::File { path: audit_folder.clone(), source })?;
        let refusals = std::sync::Mutex::new(Telling::new(Instant::now()));
        let opened = Arc::new(Mutex::new(Opened { connection, log }));
        Ok(Self {
            shared: Arc::new(Shared { opened, keys, feed: Arc::default(), audit_folder, refusals, _folder: locked }),
        })
    }

    /// What transactions changed.
    pub(crate) fn feed(&self) -> &Arc<Feed> {
        &self.shared.feed
    }

    /// Runs `work` as one transaction. An error leaves the database as it was.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let shared = Arc::clone(&self.shared);
        let mut opened = Arc::clone(&shared.opened).lock_owned().await;
        let running = tokio::task::spawn_blocking(move || opened.run(&shared, work));
        running.await.unwrap_or_else(|error| Err(ApiError::internal("a transaction did not end", &error)))
    }

    /// Tells the audit log of something refused. What strangers cause is told within bounds; the rest is counted.
    pub(crate) async fn tell_refusal(&self, from: Option<IpAddr>, event: Event) {
        let now = Instant::now();
        if self.refusals().may_tell(from.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), now) {
            self.tell(event).await;
        }
    }

    /// Tells how many refusals were not told of, if any: once a minute, and at the end.
    pub(crate) async fn tell_untold(&self) {
        let untold = self.refusals().take_untold();
        if untold > 0 {
            self.tell(Event::new("request.refuse").with("more", untold)).await;
        }
    }

    /// Tells the audit log of `event` alone.
    pub(crate) async fn tell(&self, event: Event) {
        // What went wrong is in the server's log.
        let _ = self
            .run(move |tx| {
                tx.tell(event);
                Ok(())
            })
            .await;
    }

    fn refusals(&self) -> std::sync::MutexGuard<'_, Telling> {
        self.shared.refusals.lock().expect("no code under this lock panics")
    }

    /// Folder of the audit log's files.
    pub(crate) fn audit_folder(&self) -> &Path {
        &self.shared.audit_folder
    }
}

impl Opened {
    fn run<T>(&mut self, shared: &Shared, work: impl FnOnce(&Tx<'_>) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let (value, told, notes) = self.transact(&shared.keys, work)?;
        // Still with the database in hand: the next transaction's word comes later.
        shared.feed.publish(notes);
        if told {
            self.log.catch_up(&self.connection, &shared.keys);
        }
        Ok(value)
    }

    /// One transaction with the lines that tell of it; whether there are any, and what metadata servers must hear.
    fn transact<T>(
        &mut self,
        keys: &Keys,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ApiError>,
    ) -> Result<(T, bool, Vec<Note>), ApiError> {
        let sql = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let tx = Tx { sql, keys, events: RefCell::default(), notes: RefCell::default() };
        let value = work(&tx)?;
        let Tx { sql, events, notes, .. } = tx;
        let events = events.into_inner();
        let told = !events.is_empty();
        if told {
            audit::record(&sql, keys, events)?;
        }
        sql.commit()?;
        Ok((value, told, notes.into_inner()))
    }
}

/// Takes the folder for this process: two servers on one database would each believe what they remember.
fn lock(folder: &Path) -> Result<File, AdminError> {
    let file_error = |source| AdminError::File { path: folder.into(), source };
    let file = File::open(folder).map_err(file_error)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AdminError::Locked(folder.into())),
        Err(TryLockError::Error(source)) => Err(file_error(source)),
    }
}
