//! Flags of `create`.

use auth::Secret;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{COMPRESSIONS, Identity, ROLES, TokenBounds, exposed, given, id};
use crate::commands::configure::kind::{self, Kind};
use crate::prompt::secret_argument;
use crate::units;

/// An object to make.
#[derive(Debug, Subcommand)]
pub(in super::super) enum Create {
    /// Somebody who owns volumes
    Account(Account),
    /// Whose machines stores run on
    Provider(Provider),
    /// Where a provider has them
    Region(Region),
    /// Where bytes are kept
    BlockStore(BlockStore),
    /// A metadata server
    MetaStore(MetaStore),
    /// A file system, with a first token
    Volume(Volume),
    /// A right to mount a volume or a part of it
    VolumeToken(VolumeToken),
}

impl Create {
    /// Kind and fields.
    pub(in super::super) fn into_parts(self) -> (&'static Kind, Map<String, Value>) {
        match self {
            Self::Account(object) => (&kind::ACCOUNT, given(&object)),
            Self::Provider(object) => (&kind::PROVIDER, given(&object)),
            Self::Region(object) => (&kind::REGION, given(&object)),
            Self::BlockStore(object) => (&kind::BLOCK_STORE, given(&object)),
            Self::MetaStore(object) => (&kind::META_STORE, given(&object)),
            Self::Volume(object) => (&kind::VOLUME, given(&object)),
            Self::VolumeToken(object) => (&kind::VOLUME_TOKEN, given(&object)),
        }
    }
}

/// Flags of `create account`.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Account {
    /// Its name
    #[arg(long)]
    name: String,
    /// Where to reach it
    #[arg(long)]
    email: Option<String>,
    /// owner: may do everything; reader: sees everything, changes nothing; tenant: its own volumes alone [default: tenant]
    #[arg(long, value_parser = ROLES)]
    role: Option<String>,
    /// Its token, a UUID [default: a new random one]
    #[arg(long, value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    token: Option<Secret>,
}

/// Flags of `create provider`.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Provider {
    /// Short code, such as aws
    #[arg(long)]
    code: String,
    /// Its name
    #[arg(long)]
    name: String,
}

/// Flags of `create region`.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Region {
    /// Code of its provider
    #[arg(long = "providerCode", value_name = "CODE")]
    provider_code: String,
    /// Short code, such as us-east-1
    #[arg(long)]
    code: String,
    /// Its name
    #[arg(long)]
    name: String,
}

/// Flags of `create block-store`.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct BlockStore {
    /// Code of its provider
    #[arg(long = "providerCode", value_name = "CODE", default_value = "local")]
    provider_code: String,
    /// Code of its region
    #[arg(long = "regionCode", value_name = "CODE", default_value = "local")]
    region_code: String,
    /// Kind of store, as `list block-api` shows them
    #[arg(long = "apiCode", value_name = "CODE", default_value = "local")]
    api_code: String,
    /// Endpoint; of a local store the absolute path of its folder
    #[arg(long)]
    address: String,
    /// Bucket; of a local store a folder below its address
    #[arg(long)]
    bucket: String,
    /// Put before every key
    #[arg(long)]
    prefix: Option<String>,
    /// User to log in as; a local store has none
    #[arg(long, value_name = "USER")]
    username: Option<String>,
    /// Password to log in with; a local store has none
    #[arg(long, value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    password: Option<Secret>,
}

/// Flags of `create meta-store`.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct MetaStore {
    /// Code of its provider
    #[arg(long = "providerCode", value_name = "CODE", default_value = "local")]
    provider_code: String,
    /// Code of its region
    #[arg(long = "regionCode", value_name = "CODE", default_value = "local")]
    region_code: String,
    /// host:port at which mounts reach it
    #[arg(long)]
    address: String,
    /// Its metadata token, a UUID [default: a new random one]
    #[arg(long, value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    token: Option<Secret>,
}

/// Flags of `create volume`.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Volume {
    /// Its id, a UUID [default: a new random one]
    #[arg(long, value_parser = id)]
    id: Option<String>,
    /// Its name
    #[arg(long)]
    name: String,
    /// Who owns it [default: who asks]
    #[arg(long = "accountID", value_name = "ID", value_parser = id)]
    account_id: Option<String>,
    /// Metadata server that serves it
    #[arg(long = "metaStoreID", value_name = "ID", value_parser = id)]
    meta_store_id: String,
    /// Where its bytes are kept
    #[arg(long = "blockStoreID", value_name = "ID", value_parser = id)]
    block_store_id: String,
    /// Size of a block: a power of two from 256KiB to 8MiB [default: 4MiB]
    #[arg(long = "blockSize", value_name = "SIZE", value_parser = units::parse_size)]
    block_size: Option<u64>,
    /// Compression [default: lz4]
    #[arg(long, value_name = "HOW", value_parser = COMPRESSIONS)]
    compression: Option<String>,
    /// Encryption by the mounts: not available in this version
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    encryption: Option<bool>,
    /// How long replaced data is kept: 7d, 0 for not at all, -1 for ever [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = units::parse_duration_secs, allow_hyphen_values = true)]
    retention: Option<i64>,
    /// Blocks it may occupy, 0 for no quota
    #[arg(long = "maxBlocks", value_name = "N")]
    max_blocks: Option<u64>,
    /// Inodes it may hold, 0 for no quota
    #[arg(long = "maxInodes", value_name = "N")]
    max_inodes: Option<u64>,
    /// Blocks of a file that go through a proxy, 0 for all: others are not available in this version
    #[arg(long = "maxProxied", value_name = "N")]
    max_proxied: Option<u64>,
    /// Mount flags for all its mounts: ro,noExec,noSUID,noATime,rootSquash
    #[arg(long)]
    flags: Option<String>,
    #[command(flatten)]
    #[serde(flatten)]
    identity: Identity,
    /// Anything worth knowing
    #[arg(long)]
    notes: Option<String>,
}

/// Flags of `create volume-token`.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct VolumeToken {
    /// The volume, by name or id
    #[arg(long = "volumeID", value_name = "VOLUME")]
    volume_id: String,
    /// The token, a UUID [default: a new random one]
    #[arg(long, value_parser = secret_argument)]
    #[serde(serialize_with = "exposed")]
    token: Option<Secret>,
    /// Subtree it opens, seen as / by its mounts [default: /]
    #[arg(long = "mountPath", value_name = "PATH")]
    mount_path: Option<String>,
    /// Mount flags for all its mounts: ro,noExec,noSUID,noATime,rootSquash
    #[arg(long)]
    flags: Option<String>,
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
