//! Bodies of the admin server's REST interface: what the server sends and what its clients read.
//! Field names are those of the JSON; times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Redacted, VolumeSettings};

/// `GET /v1/volumes/for-token/`, with a volume token: where to mount from and what is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MountTarget {
    /// Id of the volume.
    pub volume_id: Uuid,
    /// Name of the volume.
    pub volume_name: String,
    /// `host:port` of the metadata server.
    pub meta_addr: String,
    /// SHA-256 of the metadata server's certificate (hex), as that server registered it; absent until it first started.
    pub meta_fingerprint: Option<String>,
    /// Subtree the token opens, `/` for the whole volume.
    pub mount_path: String,
    /// Mount flags of volume and token together, comma separated.
    pub flags: String,
}

/// `POST /v1/volume-tokens/validate`, with a metadata token: the question of a metadata server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ValidateRequest {
    /// The volume token that a mount presented.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub token: Redacted,
}

/// Its answer where the token opens a volume of this metadata server (else status 404).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenGrant {
    /// Id of the token's record. Not a secret.
    pub token_id: Uuid,
    /// Whose volume it is. What a metadata server has to share out goes by it.
    #[serde(default)]
    pub account_id: Uuid,
    /// The volume and its settings.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub volume: VolumeSettings,
    /// Subtree the token opens, `/` for the whole volume.
    pub mount_path: String,
    /// Mount flags of volume and token together, comma separated.
    pub flags: String,
    /// When the token ends, in seconds since 1970; absent = never. The metadata server sees to it.
    #[serde(default)]
    pub expires: Option<i64>,
    /// Mounts it may have at a time; 0 = no bound.
    #[serde(default)]
    pub mounts_max: u32,
    /// Networks that mounts may come from, as a comma-separated list of CIDR blocks; empty = any.
    #[serde(default)]
    pub networks: String,
    /// The user that every caller counts as, `UID:GID[,GID...]`; empty = whom the mount names.
    #[serde(default)]
    pub as_user: String,
}

impl TokenGrant {
    /// All of `volume`, without restrictions, for ever.
    #[must_use]
    pub fn whole(token_id: Uuid, volume: VolumeSettings) -> Self {
        Self {
            token_id,
            account_id: Uuid::nil(),
            volume,
            mount_path: "/".to_owned(),
            flags: String::new(),
            expires: None,
            mounts_max: 0,
            networks: String::new(),
            as_user: String::new(),
        }
    }
}

/// `PUT /v1/meta-stores/self`, with a metadata token: a metadata server says how it is recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MetaRegistration {
    /// SHA-256 of the server's certificate (hex).
    pub fingerprint: String,
    /// Program version.
    pub version: String,
}

/// One volume's use in `PUT /v1/volumes/stats`, with a metadata token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VolumeUse {
    /// The volume.
    pub volume_id: Uuid,
    /// Bytes its files occupy.
    pub bytes_used: u64,
    /// Inodes in use.
    pub inodes_used: u64,
    /// Sessions open.
    pub sessions: u32,
}

/// `POST /v1/sessions/report`, with a metadata token: what became of sessions, for the audit log. One whose answer was lost
/// is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionReport {
    /// Names this run of the server.
    pub run: Uuid,
    /// In the order of their numbers. One that is missing was dropped, because the server had no room for it.
    pub events: Vec<SessionEvent>,
    /// Number of the first event after this report.
    pub next: u64,
    /// Whether the server ends with it.
    pub last: bool,
}

/// Something that became of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionEvent {
    /// Counts the events of a run, from 0 on.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub at_millis: u64,
    /// What.
    pub what: SessionChange,
    /// The session, where one is known.
    pub session: Option<Uuid>,
    /// Id of its token.
    pub token_id: Option<Uuid>,
    /// Its volume.
    pub volume_id: Option<Uuid>,
    /// Address of the mount.
    pub from: String,
    /// Host name and mount point, by the mount's own word.
    pub place: String,
    /// Why, of an end or a refusal; what, of a breach.
    pub reason: String,
    /// How many this stands for: requests of a breach, and refusals of one minute that are told as a number.
    pub count: u64,
}

/// What may become of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum SessionChange {
    /// It was opened.
    Start,
    /// Its mount came back after the server was away.
    Resume,
    /// It is over.
    End,
    /// It was not opened.
    Refuse,
    /// It asked for what it may not have.
    Breach,
}

/// One volume token's use in `PUT /v1/volume-tokens/use`, with a metadata token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TokenUse {
    /// Id of the token's record.
    pub token_id: Uuid,
    /// Mounts that use it now.
    pub mounts: u32,
}

/// Body of every error status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// One line that names the thing, its value and what would be right. Holds no secret.
    pub error: String,
}
