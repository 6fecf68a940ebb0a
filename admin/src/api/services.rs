//! The routes for programs: mounts ask where to mount from, metadata servers ask about tokens and report.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post, put};
use proto::feed::FeedPosition;
use proto::rest::{MetaRegistration, MountTarget, SessionReport, TokenGrant, TokenUse, ValidateRequest, VolumeUse};

use super::ApiError;
use super::callers::{MetaServer, Mount};
use super::crud::Routes;
use super::extract::Body;
use super::feed;
use crate::db::Database;
use crate::resources::{meta_stores, sessions, token_use, volume_tokens, volumes};

/// Longest report in bytes: some 8,000 volumes, or 2,000 sessions.
const STATS_BODY_MAX: usize = 1 << 20;
/// Longest report on tokens in bytes: some 50,000 of them.
const TOKEN_USE_BODY_MAX: usize = 4 << 20;

const MOUNT_TARGET: &str = "/v1/volumes/for-token/";
const VALIDATE: &str = "/v1/volume-tokens/validate";
const TOKEN_USE: &str = "/v1/volume-tokens/use";
const REGISTER: &str = "/v1/meta-stores/self";
const STATS: &str = "/v1/volumes/stats";
const CHANGES: &str = "/v1/meta-stores/self/changes";
const ACTS: &str = "/v1/meta-stores/self/acts";
const RETIRED: &str = "/v1/volumes/retired";
const SESSIONS: &str = "/v1/sessions/report";

/// Adds the routes and their description.
pub(super) fn add_to(mut routes: Routes) -> Routes {
    routes.router = routes
        .router
        .route(MOUNT_TARGET, get(mount_target))
        .route(VALIDATE, post(validate))
        .route(TOKEN_USE, put(token_use))
        .route(REGISTER, put(register))
        .route(CHANGES, get(feed::changes))
        .route(ACTS, put(feed::acts))
        .route(STATS, put(stats))
        .route(RETIRED, get(retired))
        .route(SESSIONS, post(report_sessions));
    let document = &mut routes.document;
    document
        .operation("get", MOUNT_TARGET, "Volume token: where to mount from, and what is mounted")
        .answers::<MountTarget>(200);
    document
        .operation("post", VALIDATE, "Metadata token: what a volume token opens; 404 if nothing of this meta store")
        .takes::<ValidateRequest>()
        .answers::<TokenGrant>(200);
    document
        .operation("put", TOKEN_USE, "Metadata token: the volume tokens in use here; those that are not named are not")
        .takes_list_of::<TokenUse>()
        .answers_nothing(204);
    document
        .operation("put", REGISTER, "Metadata token: how this metadata server is recognised")
        .takes::<MetaRegistration>()
        .answers_nothing(204);
    document
        .operation("get", CHANGES, "Metadata token: what changes, a line of JSON each, without end")
        .query::<feed::After>()
        .answers_nothing(200);
    document
        .operation("put", ACTS, "Metadata token: up to which change this metadata server acts by what it heard")
        .takes::<FeedPosition>()
        .answers_nothing(204);
    document
        .operation("put", STATS, "Metadata token: use of the volumes of this meta store; others are passed over")
        .takes_list_of::<VolumeUse>()
        .answers_nothing(204);
    document
        .operation("get", RETIRED, "Metadata token: the volumes of this meta store that were deleted")
        .answers_list_of::<volumes::RetiredVolume>(200);
    document
        .operation("post", SESSIONS, "Metadata token: what became of sessions of this meta store, for the audit log")
        .takes::<SessionReport>()
        .answers_nothing(204);
    routes
}

async fn mount_target(State(database): State<Database>, Mount(token): Mount) -> Result<Json<MountTarget>, ApiError> {
    let target = database.run(move |tx| volume_tokens::mount_target(tx, token)).await?;
    target.map(Json).ok_or_else(|| ApiError::unauthorized("the volume of this token is retired"))
}

async fn validate(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
    Body(request): Body<ValidateRequest>,
) -> Result<Json<TokenGrant>, ApiError> {
    let grant = database.run(move |tx| volume_tokens::grant(tx, store, &request.token)).await?;
    grant.map(Json).ok_or_else(ApiError::no_such_token)
}

async fn token_use(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
    Body(uses): Body<Vec<TokenUse>, TOKEN_USE_BODY_MAX>,
) -> Result<StatusCode, ApiError> {
    database.run(move |tx| token_use::record(tx, store, &uses)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn register(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
    Body(registration): Body<MetaRegistration>,
) -> Result<StatusCode, ApiError> {
    database.run(move |tx| meta_stores::register(tx, store, registration)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn stats(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
    Body(uses): Body<Vec<VolumeUse>, STATS_BODY_MAX>,
) -> Result<StatusCode, ApiError> {
    database.run(move |tx| volumes::record_use(tx, store, &uses)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn retired(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
) -> Result<Json<Vec<volumes::RetiredVolume>>, ApiError> {
    database.run(move |tx| volumes::retired_at(tx, store)).await.map(Json)
}

async fn report_sessions(
    State(database): State<Database>,
    MetaServer(store): MetaServer,
    Body(report): Body<SessionReport, STATS_BODY_MAX>,
) -> Result<StatusCode, ApiError> {
    database.run(move |tx| sessions::record(tx, store, report)).await?;
    Ok(StatusCode::NO_CONTENT)
}
