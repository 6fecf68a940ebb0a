//! Providers: who runs the hosts that stores are on.

use rusqlite::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::checks;
use crate::api::{Administrator, ApiError, Editable, Resource};
use crate::db::{Columns, Tx};

/// The table.
pub(crate) struct Providers;

/// A provider.
#[derive(Serialize, ToSchema)]
pub(crate) struct Provider {
    code: String,
    name: String,
}

/// Which providers to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderFilter {
    code: Option<String>,
    name: Option<String>,
}

/// A new provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewProvider {
    /// 1 to 64 of a-z, 0-9 and -.
    code: String,
    name: String,
}

/// Changes of a provider.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderChanges {
    name: Option<String>,
}

impl Resource for Providers {
    const TABLE: &'static str = "providers";
    const ONE: &'static str = "provider";
    const KEY: &'static [&'static str] = &["code"];
    type Key = String;
    type Filter = ProviderFilter;
    type View = Provider;

    fn list(tx: &Tx<'_>, _caller: &Administrator, filter: ProviderFilter) -> Result<Vec<Provider>, ApiError> {
        Columns::default().with_some("code", filter.code).with_some("name", filter.name).select(
            tx,
            "providers",
            "code",
            read,
        )
    }

    fn show(tx: &Tx<'_>, _caller: &Administrator, code: &String) -> Result<Provider, ApiError> {
        key(code).find(tx, "providers", read)?.ok_or_else(|| ApiError::not_found(Self::ONE, code))
    }
}

impl Editable for Providers {
    const FIXED: &'static [&'static str] = &["code"];
    type New = NewProvider;
    type Changes = ProviderChanges;

    fn create(tx: &Tx<'_>, caller: &Administrator, new: NewProvider) -> Result<Provider, ApiError> {
        caller.must_own()?;
        let code = checks::code("code", new.code)?;
        if key(&code).count(tx, "providers")? > 0 {
            return Err(ApiError::conflict(format!("provider code {code:?} is taken")));
        }
        key(&code).with("name", checks::label("name", new.name)?).insert(tx, "providers")?;
        Self::show(tx, caller, &code)
    }

    fn update(tx: &Tx<'_>, caller: &Administrator, code: &String, changes: ProviderChanges) -> Result<(), ApiError> {
        caller.must_own()?;
        let name = changes.name.map(|name| checks::label("name", name)).transpose()?;
        Columns::default().with_some("name", name).update(tx, "providers", key(code)).map(drop)
    }

    fn delete(tx: &Tx<'_>, caller: &Administrator, code: &String) -> Result<(), ApiError> {
        caller.must_own()?;
        let regions = Columns::default().with("provider_code", code.clone()).count(tx, "regions")?;
        if regions > 0 {
            return Err(ApiError::conflict(format!("provider {code} has {regions} regions: delete them first")));
        }
        key(code).delete(tx, "providers").map(drop)
    }
}

fn key(code: &str) -> Columns {
    Columns::default().with("code", code.to_owned())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Provider> {
    Ok(Provider { code: row.get("code")?, name: row.get("name")? })
}
