//! Flags of `update`: a key, and the fields to change.

use auth::Secret;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{COMPRESSIONS, Code, Id, Identity, ROLES, RegionKey, TokenBounds, TokenKey, VolumeKey, exposed, given};
use crate::commands::configure::kind::{self, Kind};
use crate::prompt::secret_argument;
use crate::units;

/// An object and what to change of it.
#[derive(Debug, Subcommand)]
pub(in super::super) enum Update {
    /// Name, address, or a new token in place of the old
    Account(Account),
    /// Name
    Provider(Provider),
    /// Name
    Region(Region),
    /// Where it is reached
    BlockStore(BlockStore),
    /// Where it is reached, or a new token in place of the old
    MetaStore(MetaStore),
    /// Name, retention, quotas, flags, identity or notes
    Volume(Volume),
    /// Subtree, flags, bounds, identity or notes, or a new token in place of the old
    VolumeToken(VolumeToken),
}

impl Update {
    /// Kind, key and changes.
    pub(in super::super) fn into_parts(self) -> (&'static Kind, Vec<String>, Map<String, Value>) {
        match self {
            Self::Account(object) => (&kind::ACCOUNT, object.key.into_parts(), given(&object.changes)),
            Self::Provider(object) => (&kind::PROVIDER, object.key.into_parts(), given(&object.changes)),
            Self::Region(object) => (&kind::REGION, object.key.into_parts(), given(&object.changes)),
            Self::BlockStore(object) => (&kind::BLOCK_STORE, object.key.into_parts(), given(&object.changes)),
            Self::MetaStore(object) => (&kind::META_STORE, object.key.into_parts(), given(&object.changes)),
            Self::Volume(object) => (&kind::VOLUME, object.key.into_parts(), given(&object.changes)),
            Self::VolumeToken(object) => (&kind::VOLUME_TOKEN, object.key.into_parts(), given(&object.changes)),
        }
    }
}

/// A key and changes.
#[derive(Debug, Args)]
pub(in super::super) struct Changed<K: Args, C: Args> {
    #[command(flatten)]
    key: K,
    #[command(flatten)]
    changes: C,
}

type Account = Changed<Id, AccountChanges>;
type Provider = Changed<Code, NameChange>;
type Region = Changed<RegionKey, NameChange>;
type BlockStore = Changed<Id, BlockStoreChanges>;
type MetaStore = Changed<Id, MetaStoreChanges>;
type Volume = Changed<VolumeKey, VolumeChanges>;
type VolumeToken = Changed<TokenKey, VolumeTokenChanges>;

/// Changes of an account.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct AccountChanges {
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Where to reach it
    #[arg(long)]
    email: Option<String>,
    /// What it may do
    #[arg(long, value_parser = ROLES)]
    role: Option<String>,
    /// A new token, a UUID: the old one opens nothing from then on
    #[arg(long, value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    token: Option<Secret>,
}

/// Change of a name.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct NameChange {
    /// Its name
    #[arg(long)]
    name: String,
}

/// Changes of a block store.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct BlockStoreChanges {
    /// Endpoint; of a local store the absolute path of its folder, to which its contents were moved
    #[arg(long)]
    address: Option<String>,
    /// User to log in as; a local store has none
    #[arg(long, value_name = "USER")]
    username: Option<String>,
    /// Password to log in with; a local store has none
    #[arg(long, value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    password: Option<Secret>,
}

/// Changes of a meta store.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct MetaStoreChanges {
    /// host:port at which mounts reach it
    #[arg(long)]
    address: Option<String>,
    /// A new metadata token, a UUID: the old one opens nothing from then on
    #[arg(long, value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    token: Option<Secret>,
}

/// Changes of a volume.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct VolumeChanges {
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Compression of what is written from then on
    #[arg(long, value_name = "HOW", value_parser = COMPRESSIONS)]
    compression: Option<String>,
    /// How long replaced data is kept: 7d, 0 for not at all, -1 for ever
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration_secs, allow_hyphen_values = true)]
    retention: Option<i64>,
    /// Blocks it may occupy, 0 for no quota
    #[arg(long = "maxBlocks", value_name = "N")]
    max_blocks: Option<u64>,
    /// Inodes it may hold, 0 for no quota
    #[arg(long = "maxInodes", value_name = "N")]
    max_inodes: Option<u64>,
    /// Mount flags for all its mounts: ro,noExec,noSUID,noATime,rootSquash; empty for none
    #[arg(long)]
    flags: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    identity: Identity,
    /// Anything worth knowing
    #[arg(long)]
    notes: Option<String>,
}

/// Changes of a volume token.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct VolumeTokenChanges {
    /// Subtree it opens, seen as / by its mounts
    #[arg(long = "mountPath", value_name = "PATH")]
    mount_path: Option<String>,
    /// Mount flags for all its mounts: ro,noExec,noSUID,noATime,rootSquash; empty for none
    #[arg(long)]
    flags: Option<String>,
    /// A new token, a UUID: the old one opens nothing from then on, and its mounts end
    #[arg(long = "token", id = "new_token", value_name = "TOKEN", value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    token: Option<Secret>,
    #[command(flatten)]
    #[serde(flatten)]
    bounds: TokenBounds,
    #[command(flatten)]
    #[serde(flatten)]
    identity: Identity,
    /// Anything worth knowing
    #[arg(long)]
    notes: Option<String>,
}
