//! Block stores: where the bytes of volumes lie.

use proto::feed::Change;
use proto::{BlockStoreSettings, Redacted};
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{checks, regions};
use crate::api::{Administrator, ApiError, Editable, Resource};
use crate::db::{Columns, Tx, uuid};
use crate::feed::Note;

/// The table.
pub(crate) struct BlockStores;

/// A block store.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlockStore {
    id: Uuid,
    provider_code: String,
    region_code: String,
    /// Kind: `local`.
    api_code: String,
    /// Of a `local` store a folder below `address`.
    bucket: String,
    /// Put before every key.
    prefix: String,
    /// Of a `local` store the absolute path of its folder.
    address: String,
    created_at: String,
}

/// Which block stores to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockStoreFilter {
    id: Option<Uuid>,
    provider_code: Option<String>,
    region_code: Option<String>,
    api_code: Option<String>,
    bucket: Option<String>,
    prefix: Option<String>,
    address: Option<String>,
}

/// A new block store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBlockStore {
    provider_code: String,
    region_code: String,
    /// Kind: `local`.
    api_code: String,
    /// A folder below `address`.
    bucket: String,
    #[serde(default)]
    prefix: String,
    /// Absolute path of a folder.
    address: String,
    /// Not for a `local` store.
    username: Option<String>,
    /// Not for a `local` store.
    #[schema(value_type = Option<String>)]
    password: Option<Redacted>,
}

/// Changes of a block store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockStoreChanges {
    /// Absolute path of a folder.
    address: Option<String>,
    /// Not for a `local` store.
    username: Option<String>,
    /// Not for a `local` store.
    #[schema(value_type = Option<String>)]
    password: Option<Redacted>,
}

impl Resource for BlockStores {
    const TABLE: &'static str = "block-stores";
    const ONE: &'static str = "block store";
    const KEY: &'static [&'static str] = &["id"];
    type Key = Uuid;
    type Filter = BlockStoreFilter;
    type View = BlockStore;

    fn list(tx: &Tx<'_>, _caller: &Administrator, filter: BlockStoreFilter) -> Result<Vec<BlockStore>, ApiError> {
        Columns::default()
            .with_some("id", filter.id.map(|id| id.to_string()))
            .with_some("provider_code", filter.provider_code)
            .with_some("region_code", filter.region_code)
            .with_some("api_code", filter.api_code)
            .with_some("bucket", filter.bucket)
            .with_some("prefix", filter.prefix)
            .with_some("address", filter.address)
            .select(tx, "block_stores", "created_at, id", read)
    }

    fn show(tx: &Tx<'_>, _caller: &Administrator, id: &Uuid) -> Result<BlockStore, ApiError> {
        key(*id).find(tx, "block_stores", read)?.ok_or_else(|| ApiError::not_found(Self::ONE, id))
    }
}

impl Editable for BlockStores {
    const FIXED: &'static [&'static str] =
        &["id", "provider_code", "region_code", "api_code", "bucket", "prefix", "created_at"];
    type New = NewBlockStore;
    type Changes = BlockStoreChanges;

    fn create(tx: &Tx<'_>, caller: &Administrator, new: NewBlockStore) -> Result<BlockStore, ApiError> {
        caller.must_own()?;
        must_be_known(tx, &new.api_code)?;
        without_login(new.username.as_deref(), new.password.as_ref())?;
        let id = Uuid::new_v4();
        key(id)
            .and(regions::columns_of_store(tx, &new.provider_code, &new.region_code)?)
            .with("api_code", new.api_code)
            .with("bucket", checks::file_name("bucket", new.bucket)?)
            .with("prefix", checks::prefix(new.prefix)?)
            .with("address", checks::folder(new.address)?)
            .insert(tx, "block_stores")?;
        Self::show(tx, caller, &id)
    }

    fn update(tx: &Tx<'_>, caller: &Administrator, id: &Uuid, changes: BlockStoreChanges) -> Result<(), ApiError> {
        caller.must_own()?;
        without_login(changes.username.as_deref(), changes.password.as_ref())?;
        let address = changes.address.map(checks::folder).transpose()?;
        Columns::default().with_some("address", address).update(tx, "block_stores", key(*id))?;
        let kept_here = Columns::default().with("block_store_id", id.to_string()).with("retired", false);
        for volume in kept_here.select(tx, "volumes", "id", |row| uuid(row, "id"))? {
            tx.note(Note::Changed(Change::VolumeChanged(volume)));
        }
        Ok(())
    }

    fn delete(tx: &Tx<'_>, caller: &Administrator, id: &Uuid) -> Result<(), ApiError> {
        caller.must_own()?;
        let volumes = Columns::default().with("block_store_id", id.to_string()).count(tx, "volumes")?;
        if volumes > 0 {
            return Err(ApiError::conflict(format!("block store {id} holds {volumes} volumes, retired ones included")));
        }
        key(*id).delete(tx, "block_stores").map(drop)
    }
}

/// The settings of the block store `id`, as a mount needs them.
pub(super) fn settings(tx: &Tx<'_>, id: Uuid) -> Result<Option<BlockStoreSettings>, ApiError> {
    let store = key(id).find(tx, "block_stores", read)?;
    Ok(store.map(|store| BlockStoreSettings {
        api_code: store.api_code,
        address: store.address,
        bucket: store.bucket,
        prefix: store.prefix,
    }))
}

/// Refuses kinds of store that this version cannot use.
fn must_be_known(tx: &Tx<'_>, api_code: &str) -> Result<(), ApiError> {
    match Columns::default().with("code", api_code.to_owned()).count(tx, "block_apis")? {
        0 => Err(ApiError::bad(format!("`api_code` {api_code:?} is not available in this version: `local` is"))),
        _ => Ok(()),
    }
}

/// Every store is `local` yet: a login would be kept for nothing.
fn without_login(username: Option<&str>, password: Option<&Redacted>) -> Result<(), ApiError> {
    let is_given = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
    if is_given(username) || is_given(password.map(|password| password.0.as_str())) {
        return Err(ApiError::bad("`username`, `password`: a `local` store has no login, leave them out"));
    }
    Ok(())
}

fn key(id: Uuid) -> Columns {
    Columns::default().with("id", id.to_string())
}

fn read(row: &Row<'_>) -> rusqlite::Result<BlockStore> {
    Ok(BlockStore {
        id: uuid(row, "id")?,
        provider_code: row.get("provider_code")?,
        region_code: row.get("region_code")?,
        api_code: row.get("api_code")?,
        bucket: row.get("bucket")?,
        prefix: row.get("prefix")?,
        address: row.get("address")?,
        created_at: row.get("created_at")?,
    })
}
