//! The greeting: from a token to a session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use auth::{AuthError, MountFlags, TokenAuthority, VolumeToken};
use proto::rest::TokenGrant;
use proto::{Hello, SessionId, SessionKey, SessionRefusal, Timespec, VERSION_MAX, VERSION_MIN, Welcome, codec};
use uuid::Uuid;

use super::Server;
use super::hosted::HostedVolume;
use super::sessions::Session;
use crate::engine::{SessionContext, SessionRecord};

/// An open session and what the mount is told of it.
pub(super) struct Admitted {
    pub(super) welcome: Welcome,
    pub(super) session: Arc<Session>,
    pub(super) volume: Arc<HostedVolume>,
}

type Refusal = (SessionRefusal, String);

/// Decides over a greeting.
pub(super) async fn greet<A: TokenAuthority>(
    server: &Server<A>,
    hello: &[u8],
    from: SocketAddr,
) -> Result<Admitted, Refusal> {
    let hello: Hello = codec::decode(hello).map_err(|error| (SessionRefusal::Malformed, error.to_string()))?;
    let version = common_version(&hello)?;
    let requested = MountFlags::from_bits(hello.flags)
        .map_err(|error| (SessionRefusal::Malformed, format!("mount flags: {error}")))?;
    let (token, grant) = authenticate(server, &hello, from).await?;
    let granted = MountFlags::parse(&grant.flags)
        .map_err(|error| (SessionRefusal::Unavailable, format!("flags of volume {}: {error}", grant.volume.name)))?;
    let flags = granted.union(requested);
    let volume = server.volumes.volume(&grant.volume).await.map_err(|error| {
        tracing::error!(volume = %grant.volume.name, %error, "volume cannot be opened");
        (SessionRefusal::Unavailable, format!("volume {} cannot be opened: see the server's log", grant.volume.name))
    })?;
    let root = volume.engine.resolve(&grant.mount_path).map_err(|_| {
        let path = &grant.mount_path;
        (SessionRefusal::MountPathMissing, format!("mount path {path} is no directory of volume {}", grant.volume.name))
    })?;
    let (session, key, resumed) = match hello.resume {
        Some((id, key)) => (rejoin(&volume, id, key, &token, &grant, flags, &hello.place)?, key, true),
        None => {
            let (session, key) = open(&volume, &token, &grant, root.ino, flags, &hello.place)?;
            tracing::info!(session = %session.id(), token = %grant.token_id, place = %hello.place, %from,
                volume = %grant.volume.name, client = %hello.client, "session opened");
            (session, key, false)
        }
    };
    let welcome = Welcome {
        version,
        session: session.id(),
        key,
        resumed,
        volume: grant.volume.clone(),
        flags: flags.bits(),
        root,
    };
    Ok(Admitted { welcome, session, volume })
}

fn common_version(hello: &Hello) -> Result<u16, Refusal> {
    let version = hello.version_max.min(VERSION_MAX);
    if version >= hello.version_min.max(VERSION_MIN) {
        return Ok(version);
    }
    let (theirs, ours) = ((hello.version_min, hello.version_max), (VERSION_MIN, VERSION_MAX));
    let reason = format!(
        "no common protocol version: the mount speaks {} to {}, the server {} to {}",
        theirs.0, theirs.1, ours.0, ours.1
    );
    Err((SessionRefusal::Version, reason))
}

async fn authenticate<A: TokenAuthority>(
    server: &Server<A>,
    hello: &Hello,
    from: SocketAddr,
) -> Result<(VolumeToken, Arc<TokenGrant>), Refusal> {
    let rejected = || {
        tracing::warn!(%from, place = %hello.place, "volume token rejected");
        (SessionRefusal::TokenRejected, "the volume token is wrong or was deleted".to_owned())
    };
    let token = VolumeToken::parse(&hello.token.0).map_err(|_| rejected())?;
    match server.authenticator.authenticate(&token, Instant::now()).await {
        Ok(grant) => Ok((token, grant)),
        Err(AuthError::Rejected) => Err(rejected()),
        Err(AuthError::Unavailable(reason)) => {
            tracing::warn!(%reason, "token cannot be validated");
            Err((SessionRefusal::Unavailable, "the metadata server cannot reach its admin server".to_owned()))
        }
    }
}

fn open(
    volume: &Arc<HostedVolume>,
    token: &VolumeToken,
    grant: &TokenGrant,
    root: proto::InodeId,
    flags: MountFlags,
    place: &str,
) -> Result<(Arc<Session>, SessionKey), Refusal> {
    let key = SessionKey(*Uuid::new_v4().as_bytes());
    let context = SessionContext { id: SessionId(Uuid::new_v4()), root, read_only: flags.ro };
    let now = Timespec::from_system_time(std::time::SystemTime::now());
    let record = SessionRecord::new(&context, &key, grant.token_id, now);
    let session = Arc::new(Session::new(context, token.clone(), grant.token_id, place.to_owned(), Instant::now()));
    if !volume.admit(&session) {
        return Err((SessionRefusal::TooManySessions, "the metadata server has all the sessions it takes".to_owned()));
    }
    volume.engine.open_session(record).map_err(|error| {
        volume.dismiss(session.id());
        tracing::error!(%error, "session cannot be recorded");
        (SessionRefusal::Unavailable, "the session cannot be recorded: see the server's log".to_owned())
    })?;
    Ok((session, key))
}

/// Joins a session of this process, or takes one up again that an earlier process recorded.
fn rejoin(
    volume: &Arc<HostedVolume>,
    id: SessionId,
    key: SessionKey,
    token: &VolumeToken,
    grant: &TokenGrant,
    flags: MountFlags,
    place: &str,
) -> Result<Arc<Session>, Refusal> {
    let unknown = || (SessionRefusal::SessionUnknown, "the session is over".to_owned());
    let record = volume.engine.find_session(id).ok_or_else(unknown)?;
    if !record.accepts(&key) || record.token_id != grant.token_id {
        return Err(unknown());
    }
    if let Some(session) = volume.session(id) {
        return if session.is_live() { Ok(session) } else { Err(unknown()) };
    }
    // Restrictions that came in the meantime hold; those the session was opened with stay.
    let context = SessionContext { id, root: record.root, read_only: record.read_only || flags.ro };
    let session = Arc::new(Session::new(context, token.clone(), grant.token_id, place.to_owned(), Instant::now()));
    tracing::info!(session = %id, token = %grant.token_id, place, "session resumed");
    Ok(volume.readmit(session))
}
