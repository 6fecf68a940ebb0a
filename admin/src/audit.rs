//! The audit log: what was done, begun, ended or refused, one JSON line each, in files beside the database.
//!
//! Owns the lines and their files. Each line carries the hash of the one before and its own, keyed by the database's key
//! file: without that file none can be changed, put in or taken out unnoticed. The database keeps, sealed, which line is
//! the last, so that a cut tail is noticed too. A line is part of the transaction that it tells of: it lies in the
//! database until it is safe in a file. No token is ever in one.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

mod chain;
mod files;
mod log;
mod read;
mod stamp;
mod verify;

pub(crate) use log::{Log, record};
pub(crate) use read::{Line, LineFilter, list};
pub(crate) use stamp::stamp;
pub use verify::{AuditReport, Broken, verify_audit};

/// Longest text in a line's details, in bytes: notes may be longer.
const TEXT_MAX: usize = 512;

/// What a line tells. Empty fields are left out of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Event {
    /// Kind of thing and what happened to it: `volume.create`, `session.end`.
    pub(crate) action: String,
    /// Account or meta store that did it, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<Uuid>,
    /// Its name or address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) actor_name: String,
    /// The account whose thing it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) account_id: Option<Uuid>,
    /// Id or code of the thing.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) object: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// Address that it came from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) from: String,
    /// More of it.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) detail: Map<String, Value>,
}

impl Event {
    /// Something that happened.
    pub(crate) fn new(action: impl Into<String>) -> Self {
        Self { action: action.into(), ..Self::default() }
    }

    /// Adds to the details. What must not be seen is masked, what is long is cut.
    pub(crate) fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(field.to_owned(), shown(field, value.into()));
        self
    }
}

/// Fields whose values no line shows.
const SECRETS: [&str; 3] = ["token", "password", "secret"];

fn shown(field: &str, value: Value) -> Value {
    match value {
        _ if SECRETS.contains(&field) => Value::from("***"),
        Value::String(mut text) => {
            text.truncate(text.floor_char_boundary(TEXT_MAX));
            Value::from(text)
        }
        Value::Object(fields) => {
            fields.into_iter().map(|(field, value)| (field.clone(), shown(&field, value))).collect()
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
