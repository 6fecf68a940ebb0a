//! The flags of every object and verb. Field names are those of the admin server's JSON.

mod create;
mod list;
mod update;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::kind::{self, Kind};

pub(super) use create::Create;
pub(super) use list::List;
pub(super) use update::Update;

/// Names one object.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// By its id
    Account(Id),
    /// By its code
    Provider(Code),
    /// By its provider's code and its own
    Region(RegionKey),
    /// By its id
    BlockStore(Id),
    /// By its id
    MetaStore(Id),
    /// By its name or id
    Volume(VolumeKey),
    /// By the token itself or its id
    VolumeToken(TokenKey),
}

/// An id.
#[derive(Debug, Args)]
pub(super) struct Id {
    /// Id, as a list shows it
    #[arg(value_parser = id)]
    id: String,
}

/// A code.
#[derive(Debug, Args)]
pub(super) struct Code {
    /// Code, as a list shows it
    code: String,
}

/// The two parts of a region's key.
#[derive(Debug, Args)]
pub(super) struct RegionKey {
    /// Code of its provider
    provider_code: String,
    /// Its code
    code: String,
}

/// A volume.
#[derive(Debug, Args)]
pub(super) struct VolumeKey {
    /// Name or id
    volume: String,
}

/// A volume token.
#[derive(Debug, Args)]
pub(super) struct TokenKey {
    /// The token or its id
    #[arg(value_parser = crate::prompt::secret_argument)]
    token: auth::Secret,
}

impl Key {
    /// Kind and key as given.
    pub(super) fn into_parts(self) -> (&'static Kind, Vec<String>) {
        match self {
            Self::Account(key) => (&kind::ACCOUNT, key.into_parts()),
            Self::Provider(key) => (&kind::PROVIDER, key.into_parts()),
            Self::Region(key) => (&kind::REGION, key.into_parts()),
            Self::BlockStore(key) => (&kind::BLOCK_STORE, key.into_parts()),
            Self::MetaStore(key) => (&kind::META_STORE, key.into_parts()),
            Self::Volume(key) => (&kind::VOLUME, key.into_parts()),
            Self::VolumeToken(key) => (&kind::VOLUME_TOKEN, key.into_parts()),
        }
    }
}

impl Id {
    fn into_parts(self) -> Vec<String> {
        vec![self.id]
    }
}

impl Code {
    fn into_parts(self) -> Vec<String> {
        vec![self.code]
    }
}

impl RegionKey {
    fn into_parts(self) -> Vec<String> {
        vec![self.provider_code, self.code]
    }
}

impl VolumeKey {
    fn into_parts(self) -> Vec<String> {
        vec![self.volume]
    }
}

impl TokenKey {
    fn into_parts(self) -> Vec<String> {
        vec![self.token.expose().to_owned()]
    }
}

/// Checks an id: the server would only say that its part of the path or body is none.
fn id(text: &str) -> Result<String, String> {
    match uuid::Uuid::try_parse(text) {
        Ok(id) => Ok(id.hyphenated().to_string()),
        Err(_) => Err("an id (UUID) is needed, as `list` shows it".to_owned()),
    }
}

/// What bounds a volume token.
#[derive(Debug, Args, Serialize)]
struct TokenBounds {
    /// When it ends: RFC 3339, or a duration from now on such as 30d or 12h, or never
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<String>,
    /// Mounts it may have at a time, 0 for no bound
    #[arg(long = "maxMounts", value_name = "N")]
    max_mounts: Option<u32>,
    /// Networks that its mounts may come from: CIDR blocks, comma separated; empty for any
    #[arg(long = "allowedNetworks", value_name = "LIST", value_parser = networks)]
    allowed_networks: Option<String>,
}

/// Who callers are to the metadata server.
#[derive(Debug, Args, Serialize)]
struct Identity {
    /// The user that every caller counts as, UID[:GID[,GID...]] by number; empty for whom the mount names. What the
    /// volume says goes before what its tokens say
    #[arg(long = "asUser", value_name = "USER", value_parser = as_user)]
    as_user: Option<String>,
}

/// Checks a user.
fn as_user(text: &str) -> Result<String, String> {
    auth::AsUser::usual_form(text).map_err(|error| error.to_string())
}

/// Checks when something ends. The server reads it again, by its own clock.
fn expiry(text: &str) -> Result<String, String> {
    let now = proto::Timespec::from_system_time(std::time::SystemTime::now()).secs;
    auth::Moment::parse_expiry(text, auth::Moment(now)).map(|_| text.to_owned())
}

/// Checks a list of networks.
fn networks(list: &str) -> Result<String, String> {
    list.parse::<auth::Networks>().map(|networks| networks.to_string()).map_err(|error| error.to_string())
}

/// Ways to compress the frames of a volume.
const COMPRESSIONS: [&str; 2] = ["lz4", "none"];

/// What an account may do.
const ROLES: [&str; 3] = ["owner", "reader", "tenant"];

/// The fields that were given, as JSON: flags left out are left out here too.
fn given(object: &impl Serialize) -> serde_json::Map<String, Value> {
    let value = serde_json::to_value(object).expect("flags are text, numbers and booleans");
    let Value::Object(mut fields) = value else { unreachable!("flags are a struct") };
    fields.retain(|_, value| !value.is_null());
    fields
}

/// A secret flag in a body.
fn exposed<S: serde::Serializer>(secret: &Option<auth::Secret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(auth::Secret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests;
