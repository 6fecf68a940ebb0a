//! Who calls: each kind of token opens its own routes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, MatchedPath};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ApiError;
use crate::audit::Event;
use crate::db::tokens::{self, TokenKind};
use crate::db::{Columns, Database};

/// An account, known by its token.
#[derive(Clone, Debug)]
pub(crate) struct Administrator {
    /// The account.
    pub(crate) id: Uuid,
    /// Its name.
    pub(crate) name: String,
    peer: Option<Peer>,
    /// Whether it is the root account, which nobody else manages.
    pub(crate) root: bool,
    /// What it may do.
    pub(crate) role: Role,
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Everything, but managing other owners.
    Owner,
    /// See everything, tokens masked, and change nothing.
    Reader,
    /// See and change its own volumes and their tokens.
    Tenant,
}

impl Role {
    /// As the database has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Reader => "reader",
            Self::Tenant => "tenant",
        }
    }

    /// What [`Role::name`] wrote. What is not known may do the least.
    pub(crate) fn named(name: &str) -> Self {
        [Self::Owner, Self::Reader].into_iter().find(|role| role.name() == name).unwrap_or(Self::Tenant)
    }
}

impl Administrator {
    /// Refuses all but owners.
    pub(crate) fn must_own(&self) -> Result<(), ApiError> {
        if self.is_owner() { Ok(()) } else { Err(ApiError::forbidden("only an owner or the root account may do this")) }
    }

    /// Refuses those that may only look.
    pub(super) fn must_write(&self) -> Result<(), ApiError> {
        match self.role {
            Role::Reader => Err(ApiError::forbidden(format!("account {:?} may read and change nothing", self.name))),
            Role::Owner | Role::Tenant => Ok(()),
        }
    }

    /// Whether it may do nearly everything.
    pub(crate) fn is_owner(&self) -> bool {
        self.role == Role::Owner
    }

    /// Whether it is shown the tokens of what it sees.
    pub(crate) fn sees_tokens(&self) -> bool {
        self.role != Role::Reader
    }

    /// The account to whose rows this caller is confined; `None` = not confined.
    pub(crate) fn confined_to(&self) -> Option<String> {
        self.confined().map(|id| id.to_string())
    }

    /// The same as an id.
    pub(super) fn confined(&self) -> Option<Uuid> {
        (self.role == Role::Tenant).then_some(self.id)
    }

    /// Address that the request comes from, for the audit log.
    pub(super) fn from(&self) -> String {
        self.peer.map_or_else(String::new, |peer| peer.to_string())
    }

    /// The same without its port.
    pub(super) fn ip(&self) -> Option<IpAddr> {
        self.peer.map(|peer| peer.addr.ip())
    }
}

impl FromRequestParts<Database> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, database: &Database) -> Result<Self, ApiError> {
        let id = holder(parts, database, TokenKind::Account, "an account token").await?;
        let account = move |tx: &crate::db::Tx<'_>| {
            Columns::default().with("id", id.to_string()).find(tx, "accounts", |row| {
                Ok((row.get("name")?, row.get("root")?, Role::named(&row.get::<_, String>("role")?)))
            })
        };
        match database.run(account).await? {
            Some((name, root, role)) => Ok(Self { id, name, peer: peer(parts), root, role }),
            None => Err(ApiError::unauthorized("the account was deleted")),
        }
    }
}

/// A metadata server, known by its token: the id of its meta store.
pub(super) struct MetaServer(pub(super) Uuid);

impl FromRequestParts<Database> for MetaServer {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, database: &Database) -> Result<Self, ApiError> {
        let id = holder(parts, database, TokenKind::Server, "a metadata token").await?;
        if peer(parts).is_some_and(|peer| peer.certified == Some(false)) {
            let more =
                "metadata servers need one of the CA that this server was started with (--clientCert, --clientKey)";
            return Err(refused(parts, database, "the request shows no certificate", more.to_owned()).await);
        }
        Ok(Self(id))
    }
}

/// A mount, known by its volume token: the id of that token. Whether its volume still lives is not looked at here.
pub(super) struct Mount(pub(super) Uuid);

impl FromRequestParts<Database> for Mount {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, database: &Database) -> Result<Self, ApiError> {
        holder(parts, database, TokenKind::Volume, "a volume token").await.map(Self)
    }
}

/// The id of the row whose token the request bears.
async fn holder(parts: &Parts, database: &Database, kind: TokenKind, needed: &str) -> Result<Uuid, ApiError> {
    let Some(token) = bearer(parts) else {
        let more = format!("{needed} is needed (Authorization: Bearer TOKEN)");
        return Err(refused(parts, database, "the request bears no token", more).await);
    };
    match database.run(move |tx| tokens::find(tx, kind, token.expose())).await? {
        Some(id) => Ok(id),
        None => {
            let more = format!("{needed} of this server is needed, one that was not deleted");
            Err(refused(parts, database, "the token is not accepted", more).await)
        }
    }
}

/// Tells of a request without a good token, and makes the answer to it.
async fn refused(parts: &Parts, database: &Database, reason: &str, more: String) -> ApiError {
    let from = peer(parts).map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    let route = parts.extensions.get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    tracing::warn!(peer = from, route, reason, "request refused");
    let error = ApiError::unauthorized(format!("{reason}: {more}"));
    let event = Event { from, ..Event::new("request.refuse") };
    let event = event.with("act", format!("{} {route}", parts.method));
    database.tell_refusal(peer(parts).map(|peer| peer.addr.ip()), error.told_in(event)).await;
    error
}

fn peer(parts: &Parts) -> Option<Peer> {
    parts.extensions.get::<ConnectInfo<Peer>>().map(|ConnectInfo(peer)| *peer)
}

fn bearer(parts: &Parts) -> Option<auth::Secret> {
    let (scheme, token) = parts.headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| auth::Secret::new(token.trim().to_owned()))
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    pub(crate) addr: SocketAddr,
    /// Whether it showed a certificate of the CA for metadata servers; `None` where there is no such CA.
    pub(crate) certified: Option<bool>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.addr.fmt(f)
    }
}
