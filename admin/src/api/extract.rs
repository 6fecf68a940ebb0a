//! What a request carries, read with errors that name the culprit.

use axum::body::to_bytes;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use serde::Deserializer;
use serde::de::DeserializeOwned;

use super::ApiError;

/// Longest body of an ordinary request in bytes.
pub(super) const BODY_MAX: usize = 64 << 10;

/// A JSON body of at most `LEN_MAX` bytes. Unknown fields are refused where `T` says so.
pub(super) struct Body<T, const LEN_MAX: usize = BODY_MAX>(pub(super) T);

impl<T, S, const LEN_MAX: usize> FromRequest<S> for Body<T, LEN_MAX>
where
    T: DeserializeOwned,
    S: Sync,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let bytes = to_bytes(request.into_body(), LEN_MAX).await.map_err(|_| ApiError::too_large(LEN_MAX))?;
        let mut json = serde_json::Deserializer::from_slice(&bytes);
        let body = from_json(&mut json)?;
        json.end().map_err(|error| ApiError::bad(format!("body: {error}")))?;
        Ok(Self(body))
    }
}

/// Reads a body's JSON. The error names the field that is wrong.
pub(super) fn from_json<'a, T: DeserializeOwned>(json: impl Deserializer<'a>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.inner());
        // These stand for the body as a whole.
        let is_whole = matches!(path.as_str(), "." | "?");
        ApiError::bad(if is_whole { format!("body: {error}") } else { format!("body: `{path}`: {error}") })
    })
}

/// The variable parts of the path.
pub(super) struct Key<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Key<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(key)| Self(key)).map_err(|error| bad_key(&error))
    }
}

/// What is wrong with a part of the path. Tokens in paths are read as they are, so none gets here.
fn bad_key(error: &PathRejection) -> ApiError {
    if let PathRejection::FailedToDeserializePathParams(error) = error
        && let ErrorKind::DeserializeError { key, value, message } = error.kind()
    {
        return ApiError::bad(format!("`{key}` {value:?}: {message}"));
    }
    ApiError::bad(format!("path: {}", error.body_text()))
}

/// The query parameters.
pub(super) struct Filter<T>(pub(super) T);

impl<T, S> FromRequestParts<S> for Filter<T>
where
    T: DeserializeOwned,
    S: Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let query = Query::try_from_uri(&parts.uri);
        query.map(|Query(filter)| Self(filter)).map_err(|error| ApiError::bad(format!("query: {}", error.body_text())))
    }
}
