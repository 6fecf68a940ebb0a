//! `GET /v1/configure/audit`.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use tokio::sync::Semaphore;

use super::crud::Routes;
use super::extract::Filter;
use super::{Administrator, ApiError};
use crate::audit::{self, Line, LineFilter};
use crate::db::Database;

/// Readers of the log at once, each with a file of it in memory.
static READERS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(2));

const AUDIT: &str = "/v1/configure/audit";

/// Adds the route and its description.
pub(super) fn add_to(mut routes: Routes) -> Routes {
    routes.router = routes.router.route(AUDIT, get(list));
    routes
        .document
        .operation("get", AUDIT, "List: lines of the audit log that concern what the caller may see, the last one last")
        .query::<LineFilter>()
        .answers_list_of::<Line>(200);
    routes
}

async fn list(
    State(database): State<Database>,
    caller: Administrator,
    Filter(filter): Filter<LineFilter>,
) -> Result<Json<Vec<Line>>, ApiError> {
    let _turn = READERS.acquire().await.expect("nobody closes the semaphore");
    let folder = database.audit_folder().to_owned();
    let confined = caller.confined();
    let reading = tokio::task::spawn_blocking(move || audit::list(&folder, &filter, confined));
    let lines = reading.await.map_err(|error| ApiError::internal("reading the audit log did not end", &error))?;
    let lines = lines.map_err(|error| ApiError::internal("the audit log cannot be read", &error))?;
    lines.map(Json).map_err(ApiError::bad)
}
