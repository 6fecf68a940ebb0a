//! Opening the file, and bringing its tables to the newest shape.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::AdminError;
use crate::keys::Keys;

/// The steps from an empty file to the newest schema; `user_version` counts those that were taken. A step that was
/// released is never edited.
const STEPS: &[&str] = &[
    include_str!("step1.sql"),
    include_str!("audit.sql"),
    include_str!("roles.sql"),
    include_str!("token_bounds.sql"),
    include_str!("identities.sql"),
];

/// Another process may hold the file for a moment (a backup).
const BUSY_MAX: Duration = Duration::from_secs(5);

/// What lies sealed in the database to recognise the key by.
const KEY_CHECK: &str = "flexfs";

/// Opens the file and migrates it.
pub(super) fn open(path: &Path) -> Result<Connection, AdminError> {
    let failed = |error| database_error(path, &error);
    let mut connection = Connection::open(path).map_err(failed)?;
    connection.busy_timeout(BUSY_MAX).map_err(failed)?;
    connection
        .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
        .map_err(failed)?;
    let found = migrate(&mut connection).map_err(failed)?;
    let known = STEPS.len() as i64;
    if found > known {
        return Err(AdminError::NewerDatabase { path: path.into(), found, known });
    }
    Ok(connection)
}

fn database_error(path: &Path, error: &rusqlite::Error) -> AdminError {
    let is_full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
    let hint = if is_full { ": make room there" } else { "" };
    AdminError::Database { path: path.into(), reason: format!("{error}{hint}") }
}

/// Takes the missing steps, all or none. Returns the schema that the file had.
fn migrate(connection: &mut Connection) -> rusqlite::Result<i64> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (version, step) in (1_i64..).zip(STEPS) {
        if version > found {
            tx.execute_batch(step)?;
            tx.pragma_update(None, "user_version", version)?;
        }
    }
    tx.commit()?;
    Ok(found)
}

/// Makes sure that `keys` are those the database was written with; a new database takes them.
pub(super) fn check_key(connection: &Connection, keys: &Keys, folder: &Path) -> Result<(), AdminError> {
    let failed = |error| database_error(&folder.join("admin.db"), &error);
    connection
        .execute(
            "INSERT INTO key_check (sealed) SELECT ?1 WHERE NOT EXISTS (SELECT 1 FROM key_check)",
            [keys.seal("key_check", KEY_CHECK)],
        )
        .map_err(failed)?;
    let sealed: Vec<u8> = connection.query_row("SELECT sealed FROM key_check", [], |row| row.get(0)).map_err(failed)?;
    match keys.open("key_check", &sealed) {
        Some(text) if text.expose() == KEY_CHECK => Ok(()),
        _ => {
            let reason = "is not the one this database was written with: restore the right one".to_owned();
            Err(AdminError::Key { path: folder.join("key"), reason })
        }
    }
}
