//! Objects on a terminal, or as JSON for other programs.

use serde_json::Value;

use super::kind::Kind;
use crate::render;
use crate::units::{show_duration, show_size};

/// One object: every field it has, those that identify it first.
pub(super) fn object(kind: &Kind, object: &Value, json: bool) -> String {
    if json {
        return pretty(object);
    }
    let unset = |field: &str| kind.unset.iter().find(|(name, _)| *name == field && is_unset(&object[field]));
    let is_shown = |field: &&str| !object[field].is_null() || object.get(field).is_some() && unset(field).is_some();
    let known = kind.columns.iter().copied().filter(is_shown);
    let fields = object.as_object().into_iter().flatten();
    let others = fields.filter(|(name, value)| !kind.columns.contains(&name.as_str()) && !value.is_null());
    let pairs: Vec<(String, String)> = known
        .map(|field| {
            let word = unset(field).map(|(_, word)| (*word).to_owned());
            (field.to_owned(), word.unwrap_or_else(|| shown(field, &object[field])))
        })
        .chain(others.map(|(field, value)| (field.clone(), shown(field, value))))
        .map(|(field, value)| (field.replace('_', " "), value))
        .collect();
    render::list(&pairs)
}

/// Many objects: the fields that a list shows.
pub(super) fn objects(kind: &Kind, objects: &[Value], json: bool) -> String {
    if json {
        return pretty(&Value::from(objects));
    }
    // A column that no object fills only takes room.
    let is_filled =
        |field: &&&str| kind.key.contains(*field) || objects.iter().any(|object| !object[**field].is_null());
    let columns: Vec<&str> = kind.columns.iter().filter(is_filled).copied().collect();
    let headers: Vec<String> = columns.iter().map(|field| field.replace('_', " ")).collect();
    let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
    let row = |object: &Value| columns.iter().map(|field| shown(field, &object[field])).collect();
    render::table(&headers, &objects.iter().map(row).collect::<Vec<_>>())
}

/// Whether a field holds what means nothing in particular.
fn is_unset(value: &Value) -> bool {
    value.is_null() || *value == 0 || *value == ""
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A field's value in the unit that people use for it.
fn shown(field: &str, value: &Value) -> String {
    match (field, value) {
        (_, Value::Null) => String::new(),
        ("block_size" | "bytes_used", value) if value.is_u64() => show_size(value.as_u64().unwrap_or_default()),
        ("retention", value) if value.is_i64() => show_duration(value.as_i64().unwrap_or_default()),
        ("max_mounts", value) if *value == 0 => String::new(),
        (_, Value::Bool(value)) => if *value { "yes" } else { "no" }.to_owned(),
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
