//! Flags of `list`: filters.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{given, id};
use crate::commands::configure::kind::{self, Kind};

/// Objects to list.
#[derive(Debug, Subcommand)]
pub(in super::super) enum List {
    /// Who owns volumes
    Account(Named),
    /// Kinds of block stores that this version knows
    BlockApi(All),
    /// Providers
    Provider(All),
    /// Regions
    Region(Regions),
    /// Block stores
    BlockStore(Stores),
    /// Metadata servers
    MetaStore(Stores),
    /// Volumes
    Volume(Volumes),
    /// Volume tokens
    VolumeToken(VolumeTokens),
    /// Lines of the audit log, the last one last
    Audit(Audit),
}

impl List {
    /// Kind and filters.
    pub(in super::super) fn into_parts(self) -> (&'static Kind, Map<String, Value>) {
        match self {
            Self::Account(filter) => (&kind::ACCOUNT, given(&filter)),
            Self::BlockApi(filter) => (&kind::BLOCK_API, given(&filter)),
            Self::Provider(filter) => (&kind::PROVIDER, given(&filter)),
            Self::Region(filter) => (&kind::REGION, given(&filter)),
            Self::BlockStore(filter) => (&kind::BLOCK_STORE, given(&filter)),
            Self::MetaStore(filter) => (&kind::META_STORE, given(&filter)),
            Self::Volume(filter) => (&kind::VOLUME, given(&filter)),
            Self::VolumeToken(filter) => (&kind::VOLUME_TOKEN, given(&filter)),
            Self::Audit(filter) => (&kind::AUDIT, given(&filter)),
        }
    }
}

/// No filter.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct All {}

/// Filter of accounts.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Named {
    /// Only of this name
    #[arg(long)]
    name: Option<String>,
}

/// Filter of regions.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Regions {
    /// Only of this provider
    #[arg(long = "providerCode", value_name = "CODE")]
    provider_code: Option<String>,
}

/// Filter of stores.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Stores {
    /// Only of this provider
    #[arg(long = "providerCode", value_name = "CODE")]
    provider_code: Option<String>,
    /// Only of this region
    #[arg(long = "regionCode", value_name = "CODE")]
    region_code: Option<String>,
    /// Only at this address
    #[arg(long)]
    address: Option<String>,
}

/// Filter of volumes.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Volumes {
    /// Only of this name
    #[arg(long)]
    name: Option<String>,
    /// Only of this account
    #[arg(long = "accountID", value_name = "ID", value_parser = id)]
    account_id: Option<String>,
    /// Only of this metadata server
    #[arg(long = "metaStoreID", value_name = "ID", value_parser = id)]
    meta_store_id: Option<String>,
    /// Only in this block store
    #[arg(long = "blockStoreID", value_name = "ID", value_parser = id)]
    block_store_id: Option<String>,
    /// Those that were deleted, instead of those that live
    #[arg(long)]
    #[serde(serialize_with = "retired")]
    retired: bool,
}

/// Filter of volume tokens.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct VolumeTokens {
    /// Only of this volume, by name or id
    #[arg(long = "volumeID", value_name = "VOLUME")]
    volume_id: Option<String>,
}

/// Filter of the audit log.
#[derive(Debug, Args, Serialize)]
pub(in super::super) struct Audit {
    /// Only what concerns this account
    #[arg(long = "accountID", value_name = "ID", value_parser = id)]
    account_id: Option<String>,
    /// Only what this account or metadata server did, by its id, name or address
    #[arg(long)]
    actor: Option<String>,
    /// Only this, such as volume.create; or volume for all that happens to volumes
    #[arg(long)]
    action: Option<String>,
    /// Only from then on: a time in UTC as 2026-01-31T12:00:00Z, or how long ago, as 24h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// The last so many lines
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    #[serde(serialize_with = "as_text")]
    limit: u32,
}

/// Filters are text.
fn as_text<S: serde::Serializer>(number: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

/// Filters are text; living volumes are what the server lists unasked.
fn retired<S: serde::Serializer>(retired: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    retired.then_some("true").serialize(serializer)
}
