//! The database: one SQLite file, one connection, one transaction at a time.
//!
//! Each request that touches it is one transaction on a blocking thread; what it decided by reading still holds when it
//! writes. WAL with `synchronous=FULL`: an answered change survives a power loss.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::Mutex;

use crate::AdminError;
use crate::api::ApiError;
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
    connection: Arc<Mutex<Connection>>,
    keys: Keys,
    /// The folder, locked as long as it is open.
    _folder: File,
}

/// A transaction, with the keys to what is sealed in it.
pub(crate) struct Tx<'a> {
    pub(crate) sql: Transaction<'a>,
    pub(crate) keys: &'a Keys,
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
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { shared: Arc::new(Shared { connection, keys, _folder: locked }) })
    }

    /// Runs `work` as one transaction. An error leaves the database as it was.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let shared = Arc::clone(&self.shared);
        let mut connection = Arc::clone(&shared.connection).lock_owned().await;
        let running = tokio::task::spawn_blocking(move || {
            let sql = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let tx = Tx { sql, keys: &shared.keys };
            let value = work(&tx)?;
            tx.sql.commit()?;
            Ok(value)
        });
        running.await.unwrap_or_else(|error| Err(ApiError::internal("a transaction did not end", &error)))
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
