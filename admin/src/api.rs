//! The REST interface: routes, who calls, bodies in and out. What a request means is in `resources`.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::db::Database;
use crate::metrics::AdminMetrics;
use crate::resources::{accounts, block_apis, block_stores, meta_stores, providers, regions, volume_tokens, volumes};

mod acts;
mod audit;
mod callers;
mod crud;
mod document;
mod error;
mod extract;
mod feed;
mod services;

pub(crate) use callers::{Administrator, Peer, Role};
pub(crate) use crud::{Editable, Resource};
pub(crate) use error::ApiError;

/// A request is answered within this, or with status 503.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// All routes, over `database`.
pub(crate) fn router(database: Database, metrics: AdminMetrics) -> Router {
    let routes = crud::Routes::default()
        .editable::<accounts::Accounts>()
        .readable::<block_apis::BlockApis>()
        .editable::<providers::Providers>()
        .editable::<regions::Regions>()
        .editable::<block_stores::BlockStores>()
        .editable::<meta_stores::MetaStores>()
        .editable::<volumes::Volumes>()
        .editable::<volume_tokens::VolumeTokens>();
    let (router, document) = services::add_to(audit::add_to(routes)).into_parts();
    router
        .route("/openapi.json", get(move || async move { ([(CONTENT_TYPE, "application/json")], document) }))
        .fallback(|| async { ApiError::no_route() })
        .method_not_allowed_fallback(|method: Method| async move { ApiError::wrong_method(&method) })
        .layer(middleware::from_fn_with_state(metrics, within_time))
        .with_state(database)
}

/// Bounds the time of a request, counts it and writes it to the log: the route, not the path, which may hold a token.
async fn within_time(State(metrics): State<AdminMetrics>, request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let answer = tokio::time::timeout(REQUEST_MAX, next.run(request)).await;
    let response = answer.unwrap_or_else(|_| ApiError::too_slow(REQUEST_MAX).into_response());
    metrics.record(&method, &route, response.status(), begin.elapsed());
    tracing::debug!(%method, route, status = response.status().as_u16(), "request");
    response
}
