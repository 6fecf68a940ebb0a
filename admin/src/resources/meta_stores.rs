//! Meta stores: the metadata servers, each known by its token.

use proto::Redacted;
use proto::rest::MetaRegistration;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use transport::tls::Fingerprint;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{checks, regions};
use crate::api::{Administrator, ApiError, Editable, Resource};
use crate::audit::Event;
use crate::db::tokens::{self, MASK, TokenKind};
use crate::db::{Columns, Tx, uuid};
use crate::feed::Note;

/// The table.
pub(crate) struct MetaStores;

/// A meta store.
#[derive(Serialize, ToSchema)]
pub(crate) struct MetaStore {
    id: Uuid,
    provider_code: String,
    region_code: String,
    /// `host:port` at which mounts reach the server.
    address: String,
    /// Masked in lists, and for all but owners.
    token: String,
    /// SHA-256 of the server's certificate (hex); absent until it first started.
    fingerprint: Option<String>,
    /// Program version of the server; absent until it first started.
    version: Option<String>,
    created_at: String,
}

/// Which meta stores to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetaStoreFilter {
    id: Option<Uuid>,
    provider_code: Option<String>,
    region_code: Option<String>,
    address: Option<String>,
}

/// A new meta store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMetaStore {
    provider_code: String,
    region_code: String,
    /// `host:port` at which mounts reach the server.
    address: String,
    /// A UUID; made where absent.
    #[schema(value_type = Option<String>)]
    token: Option<Redacted>,
}

/// Changes of a meta store.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetaStoreChanges {
    address: Option<String>,
    /// A UUID: the old token ends.
    #[schema(value_type = Option<String>)]
    token: Option<Redacted>,
}

impl Resource for MetaStores {
    const TABLE: &'static str = "meta-stores";
    const ONE: &'static str = "meta store";
    const KEY: &'static [&'static str] = &["id"];
    type Key = Uuid;
    type Filter = MetaStoreFilter;
    type View = MetaStore;

    fn list(tx: &Tx<'_>, _caller: &Administrator, filter: MetaStoreFilter) -> Result<Vec<MetaStore>, ApiError> {
        Columns::default()
            .with_some("id", filter.id.map(|id| id.to_string()))
            .with_some("provider_code", filter.provider_code)
            .with_some("region_code", filter.region_code)
            .with_some("address", filter.address)
            .select(tx, "meta_stores", "created_at, id", read)
    }

    fn show(tx: &Tx<'_>, caller: &Administrator, id: &Uuid) -> Result<MetaStore, ApiError> {
        let found = find(tx, *id)?.ok_or_else(|| ApiError::not_found(Self::ONE, id))?;
        if !caller.is_owner() {
            return Ok(found);
        }
        Ok(MetaStore { token: tokens::reveal(tx, TokenKind::Server, *id)?, ..found })
    }
}

impl Editable for MetaStores {
    const FIXED: &'static [&'static str] =
        &["id", "provider_code", "region_code", "fingerprint", "version", "created_at"];
    type New = NewMetaStore;
    type Changes = MetaStoreChanges;

    fn create(tx: &Tx<'_>, caller: &Administrator, new: NewMetaStore) -> Result<MetaStore, ApiError> {
        caller.must_own()?;
        let id = Uuid::new_v4();
        let token = tokens::choose(tx, TokenKind::Server, new.token.as_ref())?;
        key(id)
            .and(regions::columns_of_store(tx, &new.provider_code, &new.region_code)?)
            .with("address", checks::host_and_port(new.address)?)
            .and(tokens::columns(tx, TokenKind::Server, id, &token))
            .insert(tx, "meta_stores")?;
        Self::show(tx, caller, &id)
    }

    fn update(tx: &Tx<'_>, caller: &Administrator, id: &Uuid, changes: MetaStoreChanges) -> Result<(), ApiError> {
        caller.must_own()?;
        let address = changes.address.map(checks::host_and_port).transpose()?;
        let mut columns = Columns::default().with_some("address", address);
        if let Some(wanted) = &changes.token {
            let token = tokens::choose(tx, TokenKind::Server, Some(wanted))?;
            columns = columns.and(tokens::columns(tx, TokenKind::Server, *id, &token));
            tx.note(Note::ServerToken(*id));
        }
        columns.update(tx, "meta_stores", key(*id)).map(drop)
    }

    fn delete(tx: &Tx<'_>, caller: &Administrator, id: &Uuid) -> Result<(), ApiError> {
        caller.must_own()?;
        let volumes = Columns::default().with("meta_store_id", id.to_string()).count(tx, "volumes")?;
        if volumes > 0 {
            return Err(ApiError::conflict(format!("meta store {id} serves {volumes} volumes, retired ones included")));
        }
        tx.note(Note::ServerToken(*id));
        key(*id).delete(tx, "meta_stores").map(drop)
    }
}

/// Remembers how the metadata server is recognised: mounts learn it from here.
pub(crate) fn register(tx: &Tx<'_>, id: Uuid, registration: MetaRegistration) -> Result<(), ApiError> {
    let fingerprint: Fingerprint =
        registration.fingerprint.parse().map_err(|error| ApiError::bad(format!("`fingerprint`: {error}")))?;
    let version = checks::label("version", registration.version)?;
    let address = place(tx, id)?.map_or_else(String::new, |(address, _)| address);
    let event = Event { actor: Some(id), actor_name: address, ..Event::new("meta-store.register") };
    tx.tell(event.with("fingerprint", fingerprint.to_string()).with("version", version.clone()));
    Columns::default()
        .with("fingerprint", fingerprint.to_string())
        .with("version", version)
        .update(tx, "meta_stores", key(id))
        .map(drop)
}

/// Address and fingerprint of the meta store `id`.
pub(super) fn place(tx: &Tx<'_>, id: Uuid) -> Result<Option<(String, Option<String>)>, ApiError> {
    Ok(find(tx, id)?.map(|store| (store.address, store.fingerprint)))
}

fn find(tx: &Tx<'_>, id: Uuid) -> Result<Option<MetaStore>, ApiError> {
    key(id).find(tx, "meta_stores", read)
}

fn key(id: Uuid) -> Columns {
    Columns::default().with("id", id.to_string())
}

fn read(row: &Row<'_>) -> rusqlite::Result<MetaStore> {
    Ok(MetaStore {
        id: uuid(row, "id")?,
        provider_code: row.get("provider_code")?,
        region_code: row.get("region_code")?,
        address: row.get("address")?,
        token: MASK.to_owned(),
        fingerprint: row.get("fingerprint")?,
        version: row.get("version")?,
        created_at: row.get("created_at")?,
    })
}
