//! Block APIs: the kinds of block store this version can use. Nobody changes them.

use rusqlite::Row;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::api::{Administrator, ApiError, Resource};
use crate::db::{Columns, Tx};

/// The table.
pub(crate) struct BlockApis;

/// A kind of block store.
#[derive(Serialize, ToSchema)]
pub(crate) struct BlockApi {
    code: String,
    name: String,
}

/// Which kinds to list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct BlockApiFilter {
    code: Option<String>,
    name: Option<String>,
}

impl Resource for BlockApis {
    const TABLE: &'static str = "block-apis";
    const ONE: &'static str = "block API";
    const KEY: &'static [&'static str] = &["code"];
    type Key = String;
    type Filter = BlockApiFilter;
    type View = BlockApi;

    fn list(tx: &Tx<'_>, _caller: &Administrator, filter: BlockApiFilter) -> Result<Vec<BlockApi>, ApiError> {
        Columns::default().with_some("code", filter.code).with_some("name", filter.name).select(
            tx,
            "block_apis",
            "code",
            read,
        )
    }

    fn show(tx: &Tx<'_>, _caller: &Administrator, code: &String) -> Result<BlockApi, ApiError> {
        Columns::default()
            .with("code", code.clone())
            .find(tx, "block_apis", read)?
            .ok_or_else(|| ApiError::not_found(Self::ONE, code))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<BlockApi> {
    Ok(BlockApi { code: row.get("code")?, name: row.get("name")? })
}
