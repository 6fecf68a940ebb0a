//! `ApiError`: the answer to a request that cannot be carried out.

use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use proto::rest::ErrorBody;

use crate::audit::Event;

/// A status and one line for the caller. Holds no secret.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    /// Whether somebody reached for what is not theirs: a matter for the audit log.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)
    }

    /// Adds this refusal to what the audit log is told. Of what was not found it is not told the name: that may be a token
    /// in the wrong place.
    pub(super) fn told_in(&self, event: Event) -> Event {
        let event = event.with("status", self.status.as_u16());
        if self.status == StatusCode::NOT_FOUND { event } else { event.with("reason", self.message.clone()) }
    }

    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// The request is wrong: the message says what would be right.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A missing or wrong token.
    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// The token is good, but not for this.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// Not there, or not for this caller to know of.
    pub(crate) fn not_found(what: &str, key: impl Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{what} {key} does not exist"))
    }

    /// The request does not fit what is there.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// A metadata server asked about a token that is nothing to it.
    pub(super) fn no_such_token() -> Self {
        Self::new(StatusCode::NOT_FOUND, "the token opens no volume of this meta store")
    }

    pub(super) fn too_large(len_max: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body was cut off or exceeds {len_max} bytes"))
    }

    pub(super) fn too_slow(limit: Duration) -> Self {
        let message =
            format!("not answered within {} s: look whether it was done before asking again", limit.as_secs());
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    pub(super) fn too_many_listeners() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too many metadata servers listen for changes: try again later")
    }

    pub(super) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "no such route: GET /openapi.json lists them")
    }

    pub(super) fn wrong_method(method: &Method) -> Self {
        let message = format!("method {method} is not for this route: GET /openapi.json lists them");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    /// This server's own failure: the cause is for the log, not for the caller.
    pub(crate) fn internal(what: &str, cause: &dyn Display) -> Self {
        tracing::error!(%cause, "{what}");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the admin server failed: its log says why")
    }
}

impl From<rusqlite::Error> for ApiError {
    fn from(error: rusqlite::Error) -> Self {
        // Statements bind their values, so the error's text holds none.
        Self::internal("database", &error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.message })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
