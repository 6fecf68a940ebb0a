//! Regions: places of a provider. Their key has two parts.

use rusqlite::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checks;
use crate::api::{Administrator, ApiError, Editable, Resource};
use crate::db::{Columns, Tx};

/// The table.
pub(crate) struct Regions;

/// A region.
#[derive(Serialize, ToSchema)]
pub(crate) struct Region {
    provider_code: String,
    code: String,
    name: String,
}

/// Which regions to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionFilter {
    provider_code: Option<String>,
    code: Option<String>,
    name: Option<String>,
}

/// A new region.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRegion {
    provider_code: String,
    /// 1 to 64 of a-z, 0-9 and -.
    code: String,
    name: String,
}

/// Changes of a region.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionChanges {
    name: Option<String>,
}

impl Resource for Regions {
    const TABLE: &'static str = "regions";
    const ONE: &'static str = "region";
    const KEY: &'static [&'static str] = &["provider_code", "code"];
    type Key = (String, String);
    type Filter = RegionFilter;
    type View = Region;

    fn list(tx: &Tx<'_>, _caller: &Administrator, filter: RegionFilter) -> Result<Vec<Region>, ApiError> {
        Columns::default()
            .with_some("provider_code", filter.provider_code)
            .with_some("code", filter.code)
            .with_some("name", filter.name)
            .select(tx, "regions", "provider_code, code", read)
    }

    fn show(tx: &Tx<'_>, _caller: &Administrator, (provider, code): &Self::Key) -> Result<Region, ApiError> {
        key(provider, code)
            .find(tx, "regions", read)?
            .ok_or_else(|| ApiError::not_found(Self::ONE, format_args!("{provider}/{code}")))
    }
}

impl Editable for Regions {
    const FIXED: &'static [&'static str] = &["provider_code", "code"];
    type New = NewRegion;
    type Changes = RegionChanges;

    fn create(tx: &Tx<'_>, caller: &Administrator, new: NewRegion) -> Result<Region, ApiError> {
        caller.must_own()?;
        let (provider, code) = (new.provider_code, checks::code("code", new.code)?);
        if Columns::default().with("code", provider.clone()).count(tx, "providers")? == 0 {
            return Err(ApiError::bad(format!("`provider_code` {provider:?}: there is no such provider")));
        }
        if key(&provider, &code).count(tx, "regions")? > 0 {
            return Err(ApiError::conflict(format!("region {provider}/{code} is there already")));
        }
        key(&provider, &code).with("name", checks::label("name", new.name)?).insert(tx, "regions")?;
        Self::show(tx, caller, &(provider, code))
    }

    fn update(
        tx: &Tx<'_>,
        caller: &Administrator,
        (provider, code): &Self::Key,
        changes: RegionChanges,
    ) -> Result<(), ApiError> {
        caller.must_own()?;
        let name = changes.name.map(|name| checks::label("name", name)).transpose()?;
        Columns::default().with_some("name", name).update(tx, "regions", key(provider, code)).map(drop)
    }

    fn delete(tx: &Tx<'_>, caller: &Administrator, (provider, code): &Self::Key) -> Result<(), ApiError> {
        caller.must_own()?;
        for table in ["block_stores", "meta_stores"] {
            let stores = of_store(provider, code).count(tx, table)?;
            if stores > 0 {
                let kind = table.replace('_', " ");
                let message = format!("region {provider}/{code} is the place of {stores} {kind}: delete them first");
                return Err(ApiError::conflict(message));
            }
        }
        key(provider, code).delete(tx, "regions").map(drop)
    }
}

/// Checks that the region of a new store exists, and returns the store's columns for it.
pub(super) fn columns_of_store(tx: &Tx<'_>, provider: &str, code: &str) -> Result<Columns, ApiError> {
    if key(provider, code).count(tx, "regions")? == 0 {
        let message = format!("`region_code` {code:?}: provider {provider:?} has no such region");
        return Err(ApiError::bad(message));
    }
    Ok(of_store(provider, code))
}

fn of_store(provider: &str, code: &str) -> Columns {
    Columns::default().with("provider_code", provider.to_owned()).with("region_code", code.to_owned())
}

fn key(provider: &str, code: &str) -> Columns {
    Columns::default().with("provider_code", provider.to_owned()).with("code", code.to_owned())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Region> {
    Ok(Region { provider_code: row.get("provider_code")?, code: row.get("code")?, name: row.get("name")? })
}
