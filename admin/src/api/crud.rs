//! The five operations of `/v1/configure/{table}`, once for all tables: a table says what its rows are and how they are
//! stored; routes, bodies, status codes and the description for clients come from here.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::document::Document;
use super::extract::{Body, Filter, Key, from_json};
use super::{Administrator, ApiError, acts};
use crate::db::{Database, Tx};

/// A table that administrators may look at.
pub(crate) trait Resource: 'static {
    /// Its name in paths: `block-stores`.
    const TABLE: &'static str;
    /// One of its rows, for people: `block store`.
    const ONE: &'static str;
    /// The variable parts of a row's path: names of columns.
    const KEY: &'static [&'static str];
    /// Their values.
    type Key: DeserializeOwned + Send + 'static;
    /// Query parameters of a list: names of columns, whose values must be equal.
    type Filter: DeserializeOwned + IntoParams + Send + 'static;
    /// A row as it is shown.
    type View: Serialize + ToSchema + Send + 'static;

    /// The rows that `caller` may see, secrets masked.
    fn list(tx: &Tx<'_>, caller: &Administrator, filter: Self::Filter) -> Result<Vec<Self::View>, ApiError>;

    /// One row, with the secrets that `caller` may see.
    fn show(tx: &Tx<'_>, caller: &Administrator, key: &Self::Key) -> Result<Self::View, ApiError>;
}

/// A table that administrators may change.
pub(crate) trait Editable: Resource {
    /// Fields that never change once a row exists. A change may repeat their value.
    const FIXED: &'static [&'static str];
    /// What a new row is made from.
    type New: DeserializeOwned + ToSchema + Send + 'static;
    /// What a change may contain; absent fields stay.
    type Changes: DeserializeOwned + ToSchema + Send + 'static;

    /// Makes a row; the view shows its secrets.
    fn create(tx: &Tx<'_>, caller: &Administrator, new: Self::New) -> Result<Self::View, ApiError>;

    /// Changes a row that `caller` was shown before.
    fn update(tx: &Tx<'_>, caller: &Administrator, key: &Self::Key, changes: Self::Changes) -> Result<(), ApiError>;

    /// Deletes a row that `caller` was shown before.
    fn delete(tx: &Tx<'_>, caller: &Administrator, key: &Self::Key) -> Result<(), ApiError>;
}

/// Routes in the making, with their description.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) router: Router<Database>,
    pub(super) document: Document,
}

impl Routes {
    /// Adds a table to look at.
    pub(super) fn readable<R: Resource>(mut self) -> Self {
        self.router = self.router.route(&table_path::<R>(), get(list::<R>)).route(&row_path::<R>(), get(show::<R>));
        self.describe_reads::<R>();
        self
    }

    /// Adds a table to look at and to change.
    pub(super) fn editable<R: Editable>(mut self) -> Self {
        self.router = self
            .router
            .route(&table_path::<R>(), get(list::<R>).post(create::<R>))
            .route(&row_path::<R>(), get(show::<R>).put(update::<R>).delete(delete::<R>));
        self.describe_reads::<R>();
        self.describe_writes::<R>();
        self
    }

    /// The routes, and the description as JSON.
    pub(super) fn into_parts(self) -> (Router<Database>, String) {
        (self.router, self.document.into_json())
    }

    fn describe_reads<R: Resource>(&mut self) {
        let (table, row) = (table_path::<R>(), row_path::<R>());
        let one = R::ONE;
        self.document
            .operation("get", &table, format!("List: every {one} that the caller may see, secrets masked"))
            .query::<R::Filter>()
            .answers_list_of::<R::View>(200);
        self.document
            .operation("get", &row, format!("Show one {one}, with the secrets that the caller may see"))
            .key(R::KEY)
            .answers::<R::View>(200);
    }

    fn describe_writes<R: Editable>(&mut self) {
        let (table, row) = (table_path::<R>(), row_path::<R>());
        let one = R::ONE;
        self.document.operation("post", &table, format!("Create a {one}")).takes::<R::New>().answers::<R::View>(200);
        self.document
            .operation("put", &row, format!("Change a {one}: absent fields stay; fixed are {}", R::FIXED.join(", ")))
            .key(R::KEY)
            .takes::<R::Changes>()
            .answers_nothing(204);
        self.document.operation("delete", &row, format!("Delete a {one}")).key(R::KEY).answers_nothing(204);
    }
}

async fn list<R: Resource>(
    State(database): State<Database>,
    caller: Administrator,
    Filter(filter): Filter<R::Filter>,
) -> Result<Json<Vec<R::View>>, ApiError> {
    database.run(move |tx| R::list(tx, &caller, filter)).await.map(Json)
}

async fn show<R: Resource>(
    State(database): State<Database>,
    caller: Administrator,
    Key(key): Key<R::Key>,
) -> Result<Json<R::View>, ApiError> {
    let work = move |tx: &Tx<'_>, caller: &Administrator| {
        let view = R::show(tx, caller, &key)?;
        let shown = acts::json(&view)?;
        if acts::reveals(&shown) {
            acts::done::<R>(tx, caller, "reveal", &shown, Map::new())?;
        }
        Ok(view)
    };
    acts::act::<R, _>(&database, caller, "show", work).await.map(Json)
}

async fn create<R: Editable>(
    State(database): State<Database>,
    caller: Administrator,
    Body(new): Body<R::New>,
) -> Result<Json<R::View>, ApiError> {
    let work = move |tx: &Tx<'_>, caller: &Administrator| {
        caller.must_write()?;
        let view = R::create(tx, caller, new)?;
        let shown = acts::json(&view)?;
        acts::done::<R>(tx, caller, "create", &shown, acts::settings(&shown))?;
        Ok(view)
    };
    acts::act::<R, _>(&database, caller, "create", work).await.map(Json)
}

async fn update<R: Editable>(
    State(database): State<Database>,
    caller: Administrator,
    Key(key): Key<R::Key>,
    Body(body): Body<Map<String, Value>>,
) -> Result<StatusCode, ApiError> {
    let work = move |tx: &Tx<'_>, caller: &Administrator| {
        caller.must_write()?;
        let current = acts::json(&R::show(tx, caller, &key)?)?;
        let body = without_fixed::<R>(body, &current)?;
        let changes = from_json(Value::Object(body.clone()))?;
        R::update(tx, caller, &key, changes)?;
        acts::done::<R>(tx, caller, "update", &current, body)
    };
    acts::act::<R, _>(&database, caller, "update", work).await.map(|()| StatusCode::NO_CONTENT)
}

async fn delete<R: Editable>(
    State(database): State<Database>,
    caller: Administrator,
    Key(key): Key<R::Key>,
) -> Result<StatusCode, ApiError> {
    let work = move |tx: &Tx<'_>, caller: &Administrator| {
        caller.must_write()?;
        let doomed = acts::json(&R::show(tx, caller, &key)?)?;
        acts::done::<R>(tx, caller, "delete", &doomed, Map::new())?;
        R::delete(tx, caller, &key)
    };
    acts::act::<R, _>(&database, caller, "delete", work).await.map(|()| StatusCode::NO_CONTENT)
}

/// Takes the fixed fields out of a change: one with another value than it has is refused.
fn without_fixed<R: Editable>(mut body: Map<String, Value>, current: &Value) -> Result<Map<String, Value>, ApiError> {
    for field in R::FIXED {
        match body.remove(*field) {
            Some(wanted) if wanted != current[*field] => {
                let message = format!("`{field}` of a {} is fixed when it is created: make a new one", R::ONE);
                return Err(ApiError::bad(message));
            }
            _ => {}
        }
    }
    Ok(body)
}

fn table_path<R: Resource>() -> String {
    format!("/v1/configure/{}", R::TABLE)
}

fn row_path<R: Resource>() -> String {
    R::KEY.iter().fold(table_path::<R>(), |path, part| format!("{path}/{{{part}}}"))
}
