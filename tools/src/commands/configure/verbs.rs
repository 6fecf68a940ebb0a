//! The verbs, the same for every kind of object. Each returns what to print.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use super::kind::{ACCOUNT, Kind, VOLUME, VOLUME_TOKEN};
use super::objects::{Create, Key, List, Update};
use super::show;
use crate::admin_client::ConfigureClient;
use crate::failure::usage;
use crate::prompt;

/// `create`.
pub(super) async fn create(client: &ConfigureClient, object: Create, json: bool) -> Result<String> {
    let (kind, mut fields) = object.into_parts();
    name_volume_by_id(client, &mut fields).await?;
    let made = client.create(kind.table, &fields).await?;
    Ok(show::object(kind, &made, json))
}

/// `list`.
pub(super) async fn list(client: &ConfigureClient, filter: List, json: bool) -> Result<String> {
    let (kind, mut filters) = filter.into_parts();
    name_volume_by_id(client, &mut filters).await?;
    let filters: Vec<(&str, &str)> =
        filters.iter().filter_map(|(field, value)| Some((field.as_str(), value.as_str()?))).collect();
    Ok(show::objects(kind, &client.list(kind.table, &filters).await?, json))
}

/// `show`.
pub(super) async fn show(client: &ConfigureClient, key: Key, json: bool) -> Result<String> {
    let (kind, key) = key.into_parts();
    Ok(show::object(kind, &client.show(kind.table, &key).await?, json))
}

/// `update`.
pub(super) async fn update(client: &ConfigureClient, object: Update, json: bool) -> Result<String> {
    let (kind, key, changes) = object.into_parts();
    if changes.is_empty() {
        return Err(usage(format!("nothing to change of the {}: give a flag with a new value", kind.name)));
    }
    // By its id, which stays when the token is another one.
    let key = match changes.contains_key("token") && *kind == VOLUME_TOKEN {
        true => named_by_id(client, kind, key).await?,
        false => key,
    };
    client.update(kind.table, &key, &changes).await?;
    if json {
        return Ok(show::object(kind, &client.show(kind.table, &key).await?, json));
    }
    Ok(format!("{} updated\n", kind.name))
}

/// `delete`.
pub(super) async fn delete(client: &ConfigureClient, key: Key, force: bool, json: bool) -> Result<String> {
    let (kind, key) = key.into_parts();
    let doomed = client.show(kind.table, &key).await?;
    if !force && prompt::is_interactive() && !prompt::confirm(&question(kind, &doomed))? {
        bail!("nothing was deleted");
    }
    client.delete(kind.table, &key).await?;
    Ok(if json { "{}\n".to_owned() } else { format!("{} deleted\n", kind.name) })
}

async fn named_by_id(client: &ConfigureClient, kind: &Kind, key: Vec<String>) -> Result<Vec<String>> {
    let shown = client.show(kind.table, &key).await?;
    Ok(shown["id"].as_str().map_or(key, |id| vec![id.to_owned()]))
}

/// What deleting means, before it happens.
fn question(kind: &Kind, doomed: &Value) -> String {
    let key: Vec<&str> = kind.key.iter().filter_map(|field| doomed[field].as_str()).collect();
    let name = doomed["name"].as_str().map(|name| format!(" ({name})")).unwrap_or_default();
    let consequence = match *kind {
        ACCOUNT => " Its volumes are deleted with it, and their mounts end.",
        VOLUME => " Its tokens open nothing from then on, and its mounts end.",
        VOLUME_TOKEN => " Mounts that use it end.",
        _ => "",
    };
    format!("Delete {} {}{name}?{consequence}", kind.name, key.join(" "))
}

/// Where a flag took a volume by name, the body and the filter have its id.
async fn name_volume_by_id(client: &ConfigureClient, fields: &mut Map<String, Value>) -> Result<()> {
    if let Some(volume) = fields.get_mut("volume_id")
        && let Some(name) = volume.as_str().filter(|name| uuid::Uuid::try_parse(name).is_err())
    {
        let named = client.show(VOLUME.table, &[name.to_owned()]).await?;
        *volume = named["id"].clone();
    }
    Ok(())
}
