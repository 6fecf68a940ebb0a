//! Looking things up in the log.

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{files, stamp};

/// Lines in an answer where nobody says how many.
const LINES: usize = 100;
/// Lines in an answer at the most.
const LINES_MAX: usize = 10_000;

/// A line of the audit log.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Line {
    /// Its number.
    seq: u64,
    time: String,
    /// Kind of thing and what happened to it: `volume.create`, `session.end`.
    action: String,
    /// Account or meta store that did it, where one is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor_name: Option<String>,
    /// The account whose thing it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<Uuid>,
    /// Id or code of the thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Address that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    detail: Map<String, Value>,
}

/// Which lines to list.
#[derive(Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct LineFilter {
    /// Only what concerns this account.
    account_id: Option<Uuid>,
    /// Only what this account or meta store did: its id or name.
    actor: Option<String>,
    /// Only this action: `volume.create`, or `volume` for all that happens to volumes.
    action: Option<String>,
    /// A time in UTC, or how long ago: `24h`.
    since: Option<String>,
    /// How many at the most: the last ones. 100 where absent.
    limit: Option<usize>,
}

impl LineFilter {
    fn wants(&self, line: &Line) -> bool {
        let is =
            |wanted: Option<&String>, found: Option<&str>| wanted.is_none_or(|wanted| Some(wanted.as_str()) == found);
        let id = line.actor.map(|id| id.to_string());
        let kind = line.action.split('.').next();
        self.account_id.is_none_or(|account| line.account_id == Some(account))
            && (is(self.actor.as_ref(), id.as_deref()) || is(self.actor.as_ref(), line.actor_name.as_deref()))
            && (is(self.action.as_ref(), Some(&line.action)) || is(self.action.as_ref(), kind))
    }
}

/// The last lines in `folder` that `filter` wants, the oldest of them first; of an account that is `confined`, those that
/// it did or that are of its things. Reads the files from the newest back and blocks meanwhile. The error is for the caller.
pub(crate) fn list(
    folder: &Path,
    filter: &LineFilter,
    confined: Option<Uuid>,
) -> io::Result<Result<Vec<Line>, String>> {
    let limit = filter.limit.unwrap_or(LINES);
    if !(1..=LINES_MAX).contains(&limit) {
        return Ok(Err(format!("`limit` {limit}: 1 to {LINES_MAX} is needed")));
    }
    let since = filter.since.as_deref().map(|text| stamp::since(text, SystemTime::now())).transpose();
    let since = match since {
        Ok(since) => since.unwrap_or_default(),
        Err(reason) => return Ok(Err(format!("`since` {reason}"))),
    };
    let is_own = |line: &Line| confined.is_none_or(|own| line.account_id == Some(own) || line.actor == Some(own));
    let mut found = Vec::new();
    'files: for path in files::paths(folder)?.iter().rev() {
        let text = match fs::read(path) {
            // The oldest file may go at any time.
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            text => text?,
        };
        // What is no line is `verify`'s to tell of.
        let lines = text.rsplit(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        for line in lines {
            if line.time < since || found.len() == limit {
                break 'files;
            }
            if is_own(&line) && filter.wants(&line) {
                found.push(line);
            }
        }
    }
    found.reverse();
    Ok(Ok(found))
}
