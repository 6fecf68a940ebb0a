//! The answer that does not end: changes for a metadata server, a line of JSON each.

use std::convert::Infallible;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use proto::feed::{FeedLine, FeedPosition};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::ApiError;
use super::callers::MetaServer;
use super::extract::{Body, Filter};
use crate::db::Database;

/// Where to go on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    /// Life of the admin server that the number is of.
    feed: Option<Uuid>,
    /// Number of the last change that was heard of.
    sequence: Option<u64>,
}

pub(super) async fn changes(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
    Filter(after): Filter<After>,
) -> Result<Response, ApiError> {
    let after = match (after.feed, after.sequence) {
        (Some(feed), Some(sequence)) => Some(FeedPosition { feed, sequence }),
        (None, None) => None,
        _ => return Err(ApiError::bad("query: `feed` and `sequence` are needed together, or none of them")),
    };
    let listener = database.feed().listen(store, after).ok_or_else(ApiError::too_many_listeners)?;
    let lines = stream::unfold(listener, |mut listener| async move {
        let line = listener.next().await?;
        Some((Ok::<_, Infallible>(encode(&line)), listener))
    });
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], axum::body::Body::from_stream(lines)).into_response())
}

/// A metadata server acts by everything up to a place.
pub(super) async fn acts(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
    Body(place): Body<FeedPosition>,
) -> StatusCode {
    database.feed().acts(store, place);
    StatusCode::NO_CONTENT
}

fn encode(line: &FeedLine) -> Bytes {
    let mut text = serde_json::to_string(line).expect("a line is numbers and ids");
    text.push('\n');
    text.into()
}
