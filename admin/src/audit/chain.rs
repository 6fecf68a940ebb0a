//! One line after the other: how a line is made, and what is wrong with one that was not made so.

use serde::{Deserialize, Serialize};

use super::Event;
use crate::keys::Keys;

/// The last line of a log, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tip {
    /// Its number; 0 before the first.
    pub(super) seq: u64,
    /// Its hash (hex).
    pub(super) hash: String,
}

/// A line as it is written, its own hash apart.
#[derive(Serialize)]
struct Body<'a> {
    seq: u64,
    time: &'a str,
    #[serde(flatten)]
    event: &'a Event,
    prev: &'a str,
}

/// What checking needs of a line.
#[derive(Deserialize)]
struct Links {
    seq: u64,
    prev: String,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("it is no line of an audit log")]
    Unreadable,
    #[error("line {0} was changed, or written without the key of this database")]
    Changed(u64),
    #[error("line {found} stands where line {expected} should: lines were taken out, or put in another order")]
    OutOfOrder { expected: u64, found: u64 },
    #[error("line {0} does not follow from the one before it: that one was replaced")]
    Unlinked(u64),
}

impl Tip {
    /// Before the first line.
    pub(super) fn start() -> Self {
        Self { seq: 0, hash: "0".repeat(64) }
    }

    /// The line that tells `event`, and the tip that it makes.
    pub(super) fn next(&self, keys: &Keys, time: &str, event: &Event) -> (Self, String) {
        let seq = self.seq + 1;
        let body = Body { seq, time, event, prev: &self.hash };
        let mut line = serde_json::to_string(&body).expect("an event is plain data");
        let hash = keys.audit_hash(&line);
        line.truncate(line.len() - 1);
        let line = format!("{line}{OWN}{hash}{END}");
        (Self { seq, hash }, line)
    }

    /// Checks that `line` is the next one; the tip that it makes.
    pub(super) fn check(&self, keys: &Keys, line: &str) -> Result<Self, Fault> {
        let next = read(keys, line)?;
        let (expected, found) = (self.seq + 1, next.links.seq);
        if found != expected {
            return Err(Fault::OutOfOrder { expected, found });
        }
        if next.links.prev != self.hash {
            return Err(Fault::Unlinked(found));
        }
        Ok(Self { seq: found, hash: next.hash })
    }

    /// What stands before `line`, by its own word, which its hash vouches for.
    pub(super) fn before(keys: &Keys, line: &str) -> Result<Self, Fault> {
        let links = read(keys, line)?.links;
        Ok(Self { seq: links.seq.saturating_sub(1), hash: links.prev })
    }
}

/// The number of `line`, unchecked.
pub(super) fn number(line: &str) -> Option<u64> {
    serde_json::from_str::<Links>(line).ok().map(|links| links.seq)
}

struct Sound {
    links: Links,
    hash: String,
}

/// Checks a line by itself.
fn read(keys: &Keys, line: &str) -> Result<Sound, Fault> {
    let (body, hash) = line.strip_suffix(END).and_then(|line| line.rsplit_once(OWN)).ok_or(Fault::Unreadable)?;
    let body = format!("{body}}}");
    let links: Links = serde_json::from_str(&body).map_err(|_| Fault::Unreadable)?;
    if !keys.is_audit_hash(&body, hash) {
        return Err(Fault::Changed(links.seq));
    }
    Ok(Sound { links, hash: hash.to_owned() })
}

/// Between what is hashed and the hash of it.
const OWN: &str = ",\"hash\":\"";
const END: &str = "\"}";
