//! What the admin server tells metadata servers unasked: lines of JSON in an answer that does not end
//! (`GET /v1/meta-stores/self/changes`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A place in the order of changes. Numbers count the changes of one life of the admin server, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FeedPosition {
    /// Names the server's life: numbers of another one mean nothing.
    pub feed: Uuid,
    /// The newest change that was heard of; 0 = none.
    pub sequence: u64,
}

/// Something that decides over mounts is not what it was. Ids are those of records, not secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The volume token opens nothing from here on.
    TokenGone(Uuid),
    /// The volume token is new, or opens something else, or has another value.
    TokenChanged(Uuid),
    /// The tokens of the volume open nothing from here on.
    VolumeGone(Uuid),
    /// Settings or flags of the volume changed.
    VolumeChanged(Uuid),
}

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedLine {
    /// The first line: what follows begins behind this place. `complete`: it is the place that was asked for. Else
    /// changes may be missing, and everything that was known before is to be asked again.
    Start {
        /// The place.
        position: FeedPosition,
        /// Whether nothing is missing.
        complete: bool,
    },
    /// A change.
    Change {
        /// Its number.
        sequence: u64,
        /// What changed.
        change: Change,
    },
    /// Changes up to this number are missing: the reader was too slow for the server to keep them.
    Gap {
        /// The newest of them.
        sequence: u64,
    },
    /// Nothing changed; the server is there.
    Beat,
}

/// Time between two lines where nothing changes, in milliseconds.
pub const BEAT_MILLIS: u64 = 1000;
/// Longest line in bytes.
pub const LINE_MAX: usize = 1024;
