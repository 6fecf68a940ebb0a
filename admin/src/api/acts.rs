//! What administrators do, told to the audit log: the act with the thing it was done to, or that it was refused.

use serde::Serialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{Administrator, ApiError, Resource};
use crate::audit::Event;
use crate::db::tokens::MASK;
use crate::db::{Columns, Database, Tx, uuid};

/// Carries out one act of `caller` as a transaction, and waits until metadata servers act by what it changed. One that is
/// refused is told of too.
pub(super) async fn act<R: Resource, T: Send + 'static>(
    database: &Database,
    caller: Administrator,
    verb: &'static str,
    work: impl FnOnce(&Tx<'_>, &Administrator) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let acting = caller.clone();
    let before = database.feed().newest();
    let outcome = database.run(move |tx| work(tx, &acting)).await;
    let newest = database.feed().newest();
    if newest > before {
        // What was answered holds: no mount goes by what was before.
        database.feed().acted_on(newest).await;
    }
    if let Err(error) = &outcome
        && error.is_refusal()
    {
        let event = by(&caller, "request.refuse".to_owned()).with("act", action::<R>(verb));
        database.tell_refusal(caller.ip(), error.told_in(event)).await;
    }
    outcome
}

/// Tells that `caller` did `verb` to the thing that `view` shows.
pub(super) fn done<R: Resource>(
    tx: &Tx<'_>,
    caller: &Administrator,
    verb: &str,
    view: &Value,
    detail: Map<String, Value>,
) -> Result<(), ApiError> {
    let text = |field: &str| view[field].as_str().unwrap_or_default().to_owned();
    let object = match view["id"].as_str() {
        Some(id) => id.to_owned(),
        None => R::KEY.iter().map(|part| text(part)).collect::<Vec<_>>().join("/"),
    };
    let event =
        Event { object, name: text("name"), account_id: owner::<R>(tx, view)?, ..by(caller, action::<R>(verb)) };
    tx.tell(detail.into_iter().fold(event, |event, (field, value)| event.with(&field, value)));
    Ok(())
}

/// Whether `view` shows a secret in full.
pub(super) fn reveals(view: &Value) -> bool {
    view["token"].as_str().is_some_and(|token| token != MASK)
}

/// A view as JSON.
pub(super) fn json(view: &impl Serialize) -> Result<Value, ApiError> {
    serde_json::to_value(view).map_err(|error| ApiError::internal("a view is no JSON", &error))
}

/// What a line tells of a new thing: its settings, without what stands in the line anyway and what is not set.
pub(super) fn settings(view: &Value) -> Map<String, Value> {
    let is_setting = |field: &str, value: &Value| {
        let elsewhere = matches!(field, "id" | "name" | "account_id" | "created_at" | "token" | "token_id");
        let is_set = !matches!(value, Value::Null | Value::Bool(false)) && *value != 0 && *value != "";
        !elsewhere && is_set
    };
    let fields = view.as_object().into_iter().flatten();
    fields
        .filter(|(field, value)| is_setting(field, value))
        .map(|(field, value)| (field.clone(), value.clone()))
        .collect()
}

fn by(caller: &Administrator, action: String) -> Event {
    Event { actor: Some(caller.id), actor_name: caller.name.clone(), from: caller.from(), ..Event::new(action) }
}

/// `volume-token.delete`.
fn action<R: Resource>(verb: &str) -> String {
    format!("{}.{verb}", R::ONE.replace(' ', "-").to_lowercase())
}

/// The account that a thing belongs to.
fn owner<R: Resource>(tx: &Tx<'_>, view: &Value) -> Result<Option<Uuid>, ApiError> {
    let id = |field: &str| view[field].as_str().and_then(|id| Uuid::try_parse(id).ok());
    if R::TABLE == "accounts" {
        return Ok(id("id"));
    }
    match (id("account_id"), id("volume_id")) {
        (Some(account), _) => Ok(Some(account)),
        (None, Some(volume)) => {
            let key = Columns::default().with("id", volume.to_string());
            key.find(tx, "volumes", |row| uuid(row, "account_id"))
        }
        (None, None) => Ok(None),
    }
}
