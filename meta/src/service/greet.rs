//! The greeting: from a token to a session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use auth::{AuthError, MountFlags, TokenAuthority, VolumeToken};
use proto::rest::{SessionChange, TokenGrant};
use proto::{
    Attr, Caller, Errno, Hello, Refused, Reply, Request, RequestFrame, SessionId, SessionKey, SessionRefusal, Timespec,
    VERSION_MAX, VERSION_MIN, Welcome, codec,
};
use uuid::Uuid;

use super::Server;
use super::hosted::HostedVolume;
use super::journal::{Journal, Subject};
use super::sessions::Session;
use crate::engine::{SessionContext, SessionRecord};

/// Bytes of a peer's words about itself that are kept.
const WORDS_MAX: usize = 255;

/// An open session and what the mount is told of it.
pub(super) struct Admitted {
    pub(super) welcome: Welcome,
    pub(super) session: Arc<Session>,
    pub(super) volume: Arc<HostedVolume>,
}

/// A peer whose token is good.
struct Guest {
    token: VolumeToken,
    grant: Arc<TokenGrant>,
    flags: MountFlags,
    client: String,
    place: String,
    from: SocketAddr,
    journal: Arc<Journal>,
}

impl Guest {
    fn session(&self, context: SessionContext) -> Session {
        Session::new(context, self.token.clone(), Arc::clone(&self.grant), self.place.clone(), Instant::now())
    }

    fn tell(&self, session: SessionId, what: SessionChange) {
        let Self { grant, client, place, from, .. } = self;
        let volume = &grant.volume.name;
        tracing::info!(%session, token = %grant.token_id, ?place, %from, volume, ?client, ?what, "session");
        let subject = Subject {
            session: Some(session),
            token_id: Some(grant.token_id),
            volume_id: Some(grant.volume.id.0),
            from: Some(*from),
            place: place.clone(),
        };
        self.journal.note(what, subject, "");
    }
}

type Refusal = (SessionRefusal, String);

/// Decides over a greeting.
pub(super) async fn greet<A: TokenAuthority>(
    server: &Server<A>,
    hello: &[u8],
    from: SocketAddr,
) -> Result<Admitted, Refusal> {
    let mut hello: Hello = codec::decode(hello).map_err(|error| (SessionRefusal::Malformed, error.to_string()))?;
    for words in [&mut hello.client, &mut hello.place] {
        words.truncate(words.floor_char_boundary(WORDS_MAX));
    }
    let version = common_version(&hello)?;
    let requested = MountFlags::from_bits(hello.flags)
        .map_err(|error| (SessionRefusal::Malformed, format!("mount flags: {error}")))?;
    let (token, grant) = authenticate(server, &hello, from).await?;
    let granted = MountFlags::parse(&grant.flags)
        .map_err(|error| (SessionRefusal::Unavailable, format!("flags of volume {}: {error}", grant.volume.name)))?;
    let volume = server.volumes.volume(&grant.volume).await.map_err(|error| {
        tracing::error!(volume = %grant.volume.name, %error, "volume cannot be opened");
        (SessionRefusal::Unavailable, format!("volume {} cannot be opened: see the server's log", grant.volume.name))
    })?;
    let Hello { client, place, .. } = hello;
    let journal = Arc::clone(&server.journal);
    let guest = Guest { token, grant, flags: granted.union(requested), client, place, from, journal };
    let (session, key) = match hello.resume {
        Some((id, key)) => (rejoin(&volume, &guest, id, key)?, key),
        None => open(&volume, &guest)?,
    };
    let welcome = Welcome {
        version,
        session: session.id(),
        key,
        resumed: hello.resume.is_some(),
        volume: guest.grant.volume.clone(),
        flags: guest.flags.bits(),
        root: root(&volume, &session)?,
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
        tracing::warn!(%from, place = ?hello.place, "volume token rejected");
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

fn open(volume: &Arc<HostedVolume>, guest: &Guest) -> Result<(Arc<Session>, SessionKey), Refusal> {
    let Guest { grant, flags, .. } = guest;
    let root = volume.engine.resolve(&grant.mount_path).map_err(|_| {
        let path = &grant.mount_path;
        (SessionRefusal::MountPathMissing, format!("mount path {path} is no directory of volume {}", grant.volume.name))
    })?;
    let key = SessionKey(*Uuid::new_v4().as_bytes());
    let context = SessionContext { id: SessionId(Uuid::new_v4()), root: root.ino, read_only: flags.ro };
    let mount_path = grant.mount_path.clone();
    let record = SessionRecord { mount_path, ..SessionRecord::new(&context, &key, grant.token_id, now()) };
    let session = Arc::new(guest.session(context));
    volume.admit(&session).map_err(|reason| (SessionRefusal::TooManySessions, reason))?;
    volume.engine.open_session(record).map_err(|error| {
        volume.dismiss(session.id());
        tracing::error!(%error, "session cannot be recorded");
        (SessionRefusal::Unavailable, "the session cannot be recorded: see the server's log".to_owned())
    })?;
    guest.tell(session.id(), SessionChange::Start);
    Ok((session, key))
}

/// Joins a session of this process, or takes one up again that an earlier process recorded.
fn rejoin(volume: &Arc<HostedVolume>, guest: &Guest, id: SessionId, key: SessionKey) -> Result<Arc<Session>, Refusal> {
    let Guest { grant, flags, .. } = guest;
    let unknown = || (SessionRefusal::SessionUnknown, "the session is over".to_owned());
    let record = volume.engine.find_session(id).ok_or_else(unknown)?;
    if !record.accepts(&key) || record.token_id != grant.token_id || record.mount_path != grant.mount_path {
        return Err(unknown());
    }
    if let Some(session) = volume.session(id) {
        return match session.is_live() && session.contradiction(grant).is_none() {
            true => Ok(session),
            false => Err(unknown()),
        };
    }
    // Restrictions that came in the meantime hold; those the session was opened with stay.
    let context = SessionContext { id, root: record.root, read_only: record.read_only || flags.ro };
    let session = volume.readmit(Arc::new(guest.session(context)));
    // Until it was in the table, housekeeping took it for one whose mount is gone.
    if volume.engine.find_session(id).is_none() {
        volume.dismiss(id);
        return Err(unknown());
    }
    guest.tell(id, SessionChange::Resume);
    Ok(session)
}

/// The directory the session was opened with, wherever it was moved since.
fn root(volume: &HostedVolume, session: &Session) -> Result<Attr, Refusal> {
    let request = Request::GetAttr { ino: session.context.root };
    let frame = RequestFrame { operation: None, caller: Caller::ROOT, request };
    match volume.engine.execute(&session.context, &frame, now()).reply.result {
        Ok(Reply::Entry(root)) => Ok(root),
        Err(Refused::Error(Errno::ESTALE)) => {
            Err((SessionRefusal::MountPathMissing, "the directory that the mount shows was removed".to_owned()))
        }
        other => {
            tracing::error!(session = %session.id(), ?other, "root of a session cannot be read");
            Err((SessionRefusal::Unavailable, "the mount's root cannot be read: see the server's log".to_owned()))
        }
    }
}

fn now() -> Timespec {
    Timespec::from_system_time(std::time::SystemTime::now())
}
