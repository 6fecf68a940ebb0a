//! Volumes: one namespace each. Deleting one retires it: its tokens end, its name is free, its record stays.

use proto::feed::Change;
use proto::rest::VolumeUse;
use proto::{Compression, VolumeId, VolumeSettings};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{accounts, block_stores, checks, meta_stores, volume_tokens};
use crate::api::{Administrator, ApiError, Editable, Resource};
use crate::db::{Columns, Tx, number, uuid};
use crate::feed::Note;

/// The table.
pub(crate) struct Volumes;

/// A volume.
#[derive(Serialize, ToSchema)]
pub(crate) struct Volume {
    pub(super) id: Uuid,
    pub(super) account_id: Uuid,
    pub(super) name: String,
    pub(super) meta_store_id: Uuid,
    block_store_id: Uuid,
    /// Bytes in a block.
    block_size: u32,
    /// `none` or `lz4`.
    compression: String,
    /// Always false in this version.
    encryption: bool,
    /// Seconds that replaced data is kept; -1 = for ever.
    retention: i64,
    /// Blocks it may occupy; 0 = no quota.
    max_blocks: u64,
    /// Inodes it may hold; 0 = no quota.
    max_inodes: u64,
    /// Always 0 in this version.
    max_proxied: u64,
    /// Mount flags of every mount, comma separated.
    pub(super) flags: String,
    /// Whom all callers of all its mounts count as, `UID:GID[,GID...]`; empty = as the token says.
    pub(super) as_user: String,
    notes: String,
    /// Bytes its files occupied when the metadata server last said so.
    bytes_used: u64,
    /// Inodes in use at that time.
    inodes_used: u64,
    /// Sessions open at that time.
    sessions: u64,
    created_at: String,
    /// When it was deleted; absent while it lives.
    retired_at: Option<String>,
    /// The token made with the volume: only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// Id of that token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_id: Option<Uuid>,
}

/// A volume that was deleted, for the metadata server that holds its records.
#[derive(Serialize, ToSchema)]
pub(crate) struct RetiredVolume {
    id: Uuid,
    name: String,
    retired_at: String,
}

/// Which volumes to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeFilter {
    id: Option<Uuid>,
    account_id: Option<Uuid>,
    name: Option<String>,
    meta_store_id: Option<Uuid>,
    block_store_id: Option<Uuid>,
    /// `true` lists the retired ones; where absent, those that live.
    retired: Option<bool>,
}

/// A new volume.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewVolume {
    /// Made where absent.
    id: Option<Uuid>,
    /// The caller's account where absent; another one only for an owner.
    account_id: Option<Uuid>,
    /// 1 to 64 of A-Z, a-z, 0-9, - _ and .
    name: String,
    meta_store_id: Uuid,
    block_store_id: Uuid,
    /// A power of two from 262144 to 8388608; 4194304 where absent.
    block_size: Option<u32>,
    /// `none` or `lz4`; `lz4` where absent.
    #[schema(value_type = Option<String>)]
    compression: Option<Compression>,
    /// Not available in this version.
    #[serde(default)]
    encryption: bool,
    /// Seconds that replaced data is kept, -1 = for ever; seven days where absent.
    retention: Option<i64>,
    #[serde(default)]
    max_blocks: u64,
    #[serde(default)]
    max_inodes: u64,
    /// Not available in this version.
    #[serde(default)]
    max_proxied: u64,
    #[serde(default)]
    flags: String,
    /// Whom all callers of all its mounts count as: `UID[:GID[,GID...]]`; as the token says where absent.
    #[serde(default)]
    as_user: String,
    #[serde(default)]
    notes: String,
}

/// Changes of a volume.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VolumeChanges {
    name: Option<String>,
    #[schema(value_type = Option<String>)]
    compression: Option<Compression>,
    retention: Option<i64>,
    max_blocks: Option<u64>,
    max_inodes: Option<u64>,
    /// Not available in this version.
    max_proxied: Option<u64>,
    flags: Option<String>,
    /// Whom all callers of all its mounts count as: `UID[:GID[,GID...]]`; empty = as the token says.
    as_user: Option<String>,
    notes: Option<String>,
}

const BLOCK_SIZE: u32 = 4 << 20;
const RETENTION_SECS: i64 = 7 * 24 * 3600;

impl Resource for Volumes {
    const TABLE: &'static str = "volumes";
    const ONE: &'static str = "volume";
    const KEY: &'static [&'static str] = &["id"];
    /// The id, or the name of a volume that lives.
    type Key = String;
    type Filter = VolumeFilter;
    type View = Volume;

    fn list(tx: &Tx<'_>, caller: &Administrator, filter: VolumeFilter) -> Result<Vec<Volume>, ApiError> {
        let text = |id: Option<Uuid>| id.map(|id| id.to_string());
        Columns::default()
            .with_some("account_id", caller.confined_to())
            .with_some("id", text(filter.id))
            .with_some("account_id", text(filter.account_id))
            .with_some("name", filter.name)
            .with_some("meta_store_id", text(filter.meta_store_id))
            .with_some("block_store_id", text(filter.block_store_id))
            .with("retired", filter.retired.unwrap_or(false))
            .select(tx, "volumes", "created_at, name", read)
    }

    fn show(tx: &Tx<'_>, caller: &Administrator, id_or_name: &String) -> Result<Volume, ApiError> {
        let key = match Uuid::try_parse(id_or_name) {
            Ok(id) => key(id),
            Err(_) => Columns::default().with("name", id_or_name.clone()).with("retired", false),
        };
        let found = key.with_some("account_id", caller.confined_to()).select(tx, "volumes", "id", read)?;
        if found.len() > 1 {
            let message = format!("{} accounts have a volume {id_or_name}: give its id", found.len());
            return Err(ApiError::conflict(message));
        }
        found.into_iter().next().ok_or_else(|| ApiError::not_found(Self::ONE, id_or_name))
    }
}

impl Editable for Volumes {
    const FIXED: &'static [&'static str] = &[
        "id",
        "account_id",
        "meta_store_id",
        "block_store_id",
        "block_size",
        "encryption",
        "bytes_used",
        "inodes_used",
        "sessions",
        "created_at",
        "retired_at",
    ];
    type New = NewVolume;
    type Changes = VolumeChanges;

    fn create(tx: &Tx<'_>, caller: &Administrator, new: NewVolume) -> Result<Volume, ApiError> {
        let account = owner(tx, caller, new.account_id)?;
        if meta_stores::place(tx, new.meta_store_id)?.is_none() {
            return Err(ApiError::bad(format!("`meta_store_id` {}: there is no such meta store", new.meta_store_id)));
        }
        if block_stores::settings(tx, new.block_store_id)?.is_none() {
            let message = format!("`block_store_id` {}: there is no such block store", new.block_store_id);
            return Err(ApiError::bad(message));
        }
        if new.encryption {
            return Err(ApiError::bad("`encryption` true is not available in this version: false is"));
        }
        no_proxies(Some(new.max_proxied))?;
        let id = new.id.unwrap_or_else(Uuid::new_v4);
        if key(id).count(tx, "volumes")? > 0 {
            return Err(ApiError::conflict(format!("`id` {id}: a volume has it, or had it once")));
        }
        key(id)
            .with("account_id", account.to_string())
            .with("name", free_name(tx, account, new.name, None)?)
            .with("meta_store_id", new.meta_store_id.to_string())
            .with("block_store_id", new.block_store_id.to_string())
            .with("block_size", checks::block_size(new.block_size.unwrap_or(BLOCK_SIZE))?)
            .with("compression", compression_name(new.compression.unwrap_or(Compression::Lz4)))
            .with("retention", checks::retention(new.retention.unwrap_or(RETENTION_SECS))?)
            .with("max_blocks", checks::quota("max_blocks", new.max_blocks)?)
            .with("max_inodes", checks::quota("max_inodes", new.max_inodes)?)
            .with("flags", checks::flags(&new.flags)?)
            .with("as_user", checks::as_user(&new.as_user)?)
            .with("notes", checks::notes(new.notes)?)
            .insert(tx, "volumes")?;
        let (token_id, token) = volume_tokens::first_token(tx, id)?;
        let volume = Self::show(tx, caller, &id.to_string())?;
        Ok(Volume { token: Some(token), token_id: Some(token_id), ..volume })
    }

    fn update(tx: &Tx<'_>, caller: &Administrator, key_text: &String, changes: VolumeChanges) -> Result<(), ApiError> {
        let volume = Self::show(tx, caller, key_text)?;
        if let Some(retired_at) = volume.retired_at {
            return Err(ApiError::conflict(format!("volume {} was retired at {retired_at}", volume.id)));
        }
        no_proxies(changes.max_proxied)?;
        let name = changes.name.map(|name| free_name(tx, volume.account_id, name, Some(volume.id))).transpose()?;
        let quota = |field, count: Option<u64>| count.map(|count| checks::quota(field, count)).transpose();
        Columns::default()
            .with_some("name", name)
            .with_some("compression", changes.compression.map(compression_name))
            .with_some("retention", changes.retention.map(checks::retention).transpose()?)
            .with_some("max_blocks", quota("max_blocks", changes.max_blocks)?)
            .with_some("max_inodes", quota("max_inodes", changes.max_inodes)?)
            .with_some("flags", changes.flags.map(|flags| checks::flags(&flags)).transpose()?)
            .with_some("as_user", changes.as_user.map(|text| checks::as_user(&text)).transpose()?)
            .with_some("notes", changes.notes.map(checks::notes).transpose()?)
            .update(tx, "volumes", key(volume.id))?;
        tx.note(Note::Changed(Change::VolumeChanged(volume.id)));
        Ok(())
    }

    fn delete(tx: &Tx<'_>, caller: &Administrator, key_text: &String) -> Result<(), ApiError> {
        let volume = Self::show(tx, caller, key_text)?;
        retire(tx, volume.id)
    }
}

/// Retires all volumes of an account that goes. Their records go to the root account: somebody still has to see to what
/// they hold.
pub(super) fn retire_those_of(tx: &Tx<'_>, account: Uuid) -> Result<(), ApiError> {
    let account = account.to_string();
    let living = Columns::default().with("account_id", account.clone()).with("retired", false);
    for volume in living.select(tx, "volumes", "id", |row| uuid(row, "id"))? {
        retire(tx, volume)?;
    }
    tx.sql.execute(
        "UPDATE volumes SET account_id = (SELECT id FROM accounts WHERE root = 1) WHERE account_id = ?",
        [account],
    )?;
    Ok(())
}

/// Retires a volume: its tokens open nothing from here on.
fn retire(tx: &Tx<'_>, id: Uuid) -> Result<(), ApiError> {
    tx.sql.execute(
        "UPDATE volumes SET retired_at = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE id = ? AND retired = 0",
        [id.to_string()],
    )?;
    tx.note(Note::Changed(Change::VolumeGone(id)));
    Ok(())
}

/// The volume `id` if it lives.
pub(super) fn living(tx: &Tx<'_>, id: Uuid) -> Result<Option<Volume>, ApiError> {
    key(id).with("retired", false).find(tx, "volumes", read)
}

/// The settings of `volume` as mounts and metadata servers need them.
pub(super) fn settings(tx: &Tx<'_>, volume: &Volume) -> Result<VolumeSettings, ApiError> {
    let block_store = block_stores::settings(tx, volume.block_store_id)?
        .ok_or_else(|| ApiError::internal("a volume without block store", &volume.id))?;
    Ok(VolumeSettings {
        id: VolumeId(volume.id),
        name: volume.name.clone(),
        block_size: volume.block_size,
        compression: if volume.compression == "none" { Compression::None } else { Compression::Lz4 },
        retention_secs: volume.retention,
        blocks_max: volume.max_blocks,
        inodes_max: volume.max_inodes,
        block_store,
    })
}

/// The retired volumes of the metadata server `store`, the oldest first.
pub(crate) fn retired_at(tx: &Tx<'_>, store: Uuid) -> Result<Vec<RetiredVolume>, ApiError> {
    let read = |row: &Row<'_>| {
        Ok(RetiredVolume { id: uuid(row, "id")?, name: row.get("name")?, retired_at: row.get("retired_at")? })
    };
    let retired = Columns::default().with("meta_store_id", store.to_string()).with("retired", true);
    retired.select(tx, "volumes", "retired_at, id", read)
}

/// Notes what the metadata server `store` says of its volumes. Others are passed over: it may still hold what was moved.
pub(crate) fn record_use(tx: &Tx<'_>, store: Uuid, uses: &[VolumeUse]) -> Result<(), ApiError> {
    for volume in uses {
        let own = key(volume.volume_id).with("meta_store_id", store.to_string());
        Columns::default()
            .with("bytes_used", checks::quota("bytes_used", volume.bytes_used)?)
            .with("inodes_used", checks::quota("inodes_used", volume.inodes_used)?)
            .with("sessions", volume.sessions)
            .update(tx, "volumes", own)?;
    }
    Ok(())
}

/// The account that a new volume belongs to.
fn owner(tx: &Tx<'_>, caller: &Administrator, wanted: Option<Uuid>) -> Result<Uuid, ApiError> {
    let Some(wanted) = wanted.filter(|wanted| *wanted != caller.id) else { return Ok(caller.id) };
    caller.must_own()?;
    accounts::must_exist(tx, wanted)?;
    Ok(wanted)
}

/// A name that no other living volume of the account has.
fn free_name(tx: &Tx<'_>, account: Uuid, name: String, own: Option<Uuid>) -> Result<String, ApiError> {
    let name = checks::file_name("name", name)?;
    if Uuid::try_parse(&name).is_ok() {
        return Err(ApiError::bad("`name`: a UUID would be taken for an id, or be a token: give a name to remember"));
    }
    let holder = Columns::default()
        .with("account_id", account.to_string())
        .with("name", name.clone())
        .with("retired", false)
        .find(tx, "volumes", |row| uuid(row, "id"))?;
    match holder {
        Some(holder) if own != Some(holder) => Err(ApiError::conflict(format!("volume name {name:?} is taken"))),
        _ => Ok(name),
    }
}

fn no_proxies(max_proxied: Option<u64>) -> Result<(), ApiError> {
    match max_proxied {
        None | Some(0) => Ok(()),
        Some(count) => Err(ApiError::bad(format!("`max_proxied` {count} is not available in this version: 0 is"))),
    }
}

fn compression_name(compression: Compression) -> String {
    match compression {
        Compression::None => "none",
        Compression::Lz4 => "lz4",
    }
    .to_owned()
}

fn key(id: Uuid) -> Columns {
    Columns::default().with("id", id.to_string())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Volume> {
    Ok(Volume {
        id: uuid(row, "id")?,
        account_id: uuid(row, "account_id")?,
        name: row.get("name")?,
        meta_store_id: uuid(row, "meta_store_id")?,
        block_store_id: uuid(row, "block_store_id")?,
        block_size: row.get("block_size")?,
        compression: row.get("compression")?,
        encryption: false,
        retention: row.get("retention")?,
        max_blocks: number(row, "max_blocks")?,
        max_inodes: number(row, "max_inodes")?,
        max_proxied: 0,
        flags: row.get("flags")?,
        as_user: row.get("as_user")?,
        notes: row.get("notes")?,
        bytes_used: number(row, "bytes_used")?,
        inodes_used: number(row, "inodes_used")?,
        sessions: number(row, "sessions")?,
        created_at: row.get("created_at")?,
        retired_at: row.get("retired_at")?,
        token: None,
        token_id: None,
    })
}
