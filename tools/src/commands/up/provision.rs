//! What an administrator would set up: stores, a volume, a token. What is there already is kept, and brought up to date
//! where the folder was moved.

use anyhow::{Context as _, Result};
use auth::{ServerToken, VolumeToken};
use serde_json::{Value, json};

use super::folder::UpFolder;
use crate::admin_client::ConfigureClient;

/// Name of the volume that `up` mounts.
pub(super) const VOLUME: &str = "default";

/// Ids of the stores, and the metadata server's token.
pub(super) struct Stores {
    block_store: String,
    meta_store: String,
    pub(super) meta_token: ServerToken,
}

/// Makes or finds the stores.
pub(super) async fn stores(root: &ConfigureClient, folder: &UpFolder) -> Result<Stores> {
    let blocks = folder.blocks();
    std::fs::create_dir_all(&blocks).with_context(|| format!("folder {}", blocks.display()))?;
    let blocks = blocks.to_str().context("the data folder's path is not UTF-8")?;
    let meta_addr = folder.meta_addr().to_string();
    let place = json!({"provider_code": "local", "region_code": "local"});
    let block_store = json!({"api_code": "local", "bucket": "up", "address": blocks});
    let block_store = at_address(root, "block-stores", merged(&place, block_store), blocks).await?;
    let meta_store = at_address(root, "meta-stores", merged(&place, json!({"address": meta_addr})), &meta_addr).await?;
    let meta_token = text(&root.show("meta-stores", std::slice::from_ref(&meta_store)).await?, "token")?;
    Ok(Stores { block_store, meta_store, meta_token: ServerToken::parse(&meta_token)? })
}

/// Makes or finds the volume; returns its id, and the token that a new one comes with.
pub(super) async fn volume(root: &ConfigureClient, stores: &Stores) -> Result<(String, Option<VolumeToken>)> {
    let named = root.list("volumes", &[("name", VOLUME)]).await?;
    if let Some(volume) = named.iter().find(|volume| volume["retired_at"].is_null()) {
        return Ok((text(volume, "id")?, None));
    }
    let volume = json!({
        "name": VOLUME,
        "meta_store_id": stores.meta_store,
        "block_store_id": stores.block_store,
        "retention": 0,
        "notes": "made by flexfs up",
    });
    let made = root.create("volumes", &volume).await?;
    Ok((text(&made, "id")?, Some(VolumeToken::parse(&text(&made, "token")?)?)))
}

/// Makes another token that opens the whole volume.
pub(super) async fn token(root: &ConfigureClient, volume: &str) -> Result<VolumeToken> {
    let made = root.create("volume-tokens", &json!({"volume_id": volume, "notes": "made by flexfs up"})).await?;
    Ok(VolumeToken::parse(&text(&made, "token")?)?)
}

/// The one object of `table`, made like `wanted` or moved to `address`; its id.
async fn at_address(root: &ConfigureClient, table: &str, wanted: Value, address: &str) -> Result<String> {
    let all = root.list(table, &[]).await?;
    // `up` makes one; an administrator may have added others at other addresses.
    let Some(found) = all.iter().find(|object| object["address"] == address).or(all.first()) else {
        return text(&root.create(table, &wanted).await?, "id");
    };
    let id = text(found, "id")?;
    if found["address"] != address {
        root.update(table, std::slice::from_ref(&id), &json!({"address": address})).await?;
    }
    Ok(id)
}

fn merged(one: &Value, other: Value) -> Value {
    let fields = [one.clone(), other].into_iter().filter_map(|value| match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    });
    Value::Object(fields.flatten().collect())
}

fn text(object: &Value, field: &str) -> Result<String> {
    let text = object[field].as_str().with_context(|| format!("the admin server's answer has no {field}"))?;
    Ok(text.to_owned())
}
