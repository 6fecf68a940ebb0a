//! The greeting: from a token to a session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Instant;

use auth::{AuthError, MountFlags, TokenAuthority, TokenMark, VolumeToken};
use futures_util::future::join_all;
use proto::rest::{SessionChange, TokenGrant};
use proto::{
    Attr, Caller, Errno, Hello, InodeId, Refused, Reply, Request, RequestFrame, SessionId, SessionKey, SessionRefusal,
    Timespec, VERSION_MAX, VERSION_MIN, Welcome, codec,
};
use tokio::task::spawn_local;
use uuid::Uuid;

use super::Server;
use super::bounds::Bounds;
use super::hosted::HostedVolume;
use super::journal::{Journal, Subject};
use super::sessions::{Holder, Session};
use super::watch::{cut, go_by, seconds_now};
use crate::engine::SessionRecord;

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
    mark: TokenMark,
    grant: Arc<TokenGrant>,
    bounds: Bounds,
    requested: MountFlags,
    client: String,
    place: String,
    from: SocketAddr,
    journal: Arc<Journal>,
}

impl Guest {
    fn session(&self, id: SessionId, root: InodeId) -> Session {
        let holder = Holder {
            token: self.token.clone(),
            mark: self.mark,
            grant: Arc::clone(&self.grant),
            bounds: self.bounds.clone(),
            requested: self.requested,
            place: self.place.clone(),
        };
        Session::new(id, root, holder, Instant::now())
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
    let (token, mark, grant) = authenticate(server, &hello, from).await?;
    let bounds = Bounds::of(&grant)
        .map_err(|error| (SessionRefusal::Unavailable, format!("bounds of the volume token: {error}")))?;
    check(&bounds, from).map_err(|reason| (SessionRefusal::TokenRejected, reason))?;
    let volume = server.volumes.volume(&grant.volume).await.map_err(|error| {
        tracing::error!(volume = %grant.volume.name, %error, "volume cannot be opened");
        (SessionRefusal::Unavailable, format!("volume {} cannot be opened: see the server's log", grant.volume.name))
    })?;
    let Hello { client, place, .. } = hello;
    let journal = Arc::clone(&server.journal);
    let guest = Guest { token, mark, grant, bounds, requested, client, place, from, journal };
    let (session, key) = match hello.resume {
        Some((id, key)) => (rejoin(&volume, &guest, id, key)?, key),
        None => open(&volume, &guest).await?,
    };
    catch_up(server, &volume, &session, &guest).await?;
    let welcome = Welcome {
        version,
        session: session.id(),
        key,
        resumed: hello.resume.is_some(),
        volume: session.grant().volume.clone(),
        flags: session.flags().bits(),
        flags_since: session.flags_since(),
        fixed_identity: session.has_fixed_identity(),
        root: root(&volume, &session)?,
    };
    server.token_use.note(guest.grant.token_id);
    Ok(Admitted { welcome, session, volume })
}

/// Whether a mount may come from there, and now.
fn check(bounds: &Bounds, from: SocketAddr) -> Result<(), String> {
    if let Some(reason) = bounds.expired(seconds_now()) {
        return Err(reason);
    }
    let addr = from.ip().to_canonical();
    match bounds.networks.allow(addr) {
        true => Ok(()),
        false => {
            Err(format!("the volume token is for mounts from {} only, and this one comes from {addr}", bounds.networks))
        }
    }
}

/// A change that came while the token was asked about found no session to act on: here it is made up for.
async fn catch_up<A: TokenAuthority>(
    server: &Server<A>,
    volume: &Arc<HostedVolume>,
    session: &Arc<Session>,
    guest: &Guest,
) -> Result<(), Refusal> {
    // The watch over tokens revokes answers, then looks for sessions; here it is the other way round.
    fence(Ordering::SeqCst);
    if server.authenticator.holds(&guest.mark, &guest.grant) {
        return Ok(());
    }
    let answer = server.authenticator.authenticate(&guest.token, Instant::now()).await;
    go_by(&[(Arc::clone(volume), Arc::clone(session))], answer, None);
    match session.is_live() {
        true => Ok(()),
        false => Err((SessionRefusal::TokenRejected, "the volume token was deleted or changed just now".to_owned())),
    }
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

/// Finds out what the token opens. Who tries wrong ones waits, and so does who shares an address with that one, but
/// tokens that are known to be good are never held up.
async fn authenticate<A: TokenAuthority>(
    server: &Server<A>,
    hello: &Hello,
    from: SocketAddr,
) -> Result<(VolumeToken, TokenMark, Arc<TokenGrant>), Refusal> {
    let refused = |reason: &str| {
        tracing::warn!(%from, place = ?hello.place, reason, "session refused");
        (SessionRefusal::TokenRejected, reason.to_owned())
    };
    let parsed = VolumeToken::parse(&hello.token.0).ok().map(|token| (server.authenticator.mark(&token), token));
    let now = Instant::now();
    if !parsed.as_ref().is_some_and(|(mark, _)| server.authenticator.knows(mark, now)) {
        server.throttle.permit(from.ip(), now).map_err(|wait| {
            let seconds = wait.as_secs() + 1;
            let addr = from.ip().to_canonical();
            let reason = format!("too many wrong volume tokens came from {addr}: try again in {seconds} s");
            (SessionRefusal::Unavailable, reason)
        })?;
    }
    let wrong = || {
        server.throttle.note_failure(from.ip(), now);
        refused("the volume token is wrong or was deleted")
    };
    let (mark, token) = parsed.ok_or_else(wrong)?;
    match server.authenticator.authenticate(&token, now).await {
        Ok(grant) => Ok((token, mark, grant)),
        Err(AuthError::Rejected) => Err(wrong()),
        // No guess.
        Err(AuthError::Ended) => Err(refused("the volume token was deleted or replaced")),
        Err(AuthError::Unavailable(reason)) => {
            tracing::warn!(%reason, "token cannot be validated");
            Err((SessionRefusal::Unavailable, "the metadata server cannot reach its admin server".to_owned()))
        }
    }
}

async fn open(volume: &Arc<HostedVolume>, guest: &Guest) -> Result<(Arc<Session>, SessionKey), Refusal> {
    let Guest { grant, bounds, .. } = guest;
    let root = volume.engine.resolve(&grant.mount_path).map_err(|_| {
        let path = &grant.mount_path;
        (SessionRefusal::MountPathMissing, format!("mount path {path} is no directory of volume {}", grant.volume.name))
    })?;
    let key = SessionKey(*Uuid::new_v4().as_bytes());
    let session = Arc::new(guest.session(SessionId(Uuid::new_v4()), root.ino));
    let mount_path = grant.mount_path.clone();
    let record = SessionRecord { mount_path, ..SessionRecord::new(&session.context(), &key, grant.token_id, now()) };
    let former = volume.former(&session);
    let mut admitted = volume.admit(&session, bounds.mounts_max);
    if admitted.is_err() && succeed(volume, former.clone()).await > 0 {
        admitted = volume.admit(&session, bounds.mounts_max);
    }
    if let Some(replaced) = admitted.map_err(|reason| (SessionRefusal::TooManySessions, reason))? {
        cut(vec![(Arc::clone(volume), replaced)], IN_ITS_PLACE);
    }
    volume.engine.open_session(record).map_err(|error| {
        volume.dismiss(session.id());
        tracing::error!(%error, "session cannot be recorded");
        (SessionRefusal::Unavailable, "the session cannot be recorded: see the server's log".to_owned())
    })?;
    guest.tell(session.id(), SessionChange::Start);
    if !former.is_empty() {
        let volume = Arc::clone(volume);
        spawn_local(async move { succeed(&volume, former).await });
    }
    Ok((session, key))
}

const IN_ITS_PLACE: &str = "another mount was made in its place";

/// Ends those of `former` sessions whose mounts are not there any more, and returns their number: what they hold, others
/// would wait for. A mount that was taken away while it was in use is still there.
async fn succeed(volume: &Arc<HostedVolume>, former: Vec<Arc<Session>>) -> usize {
    let asked = former.into_iter().map(|session| async move { (session.answers().await, session) });
    let silent: Vec<_> = join_all(asked).await.into_iter().filter(|(answers, _)| !answers).collect();
    let count = silent.len();
    cut(silent.into_iter().map(|(_, session)| (Arc::clone(volume), session)).collect(), IN_ITS_PLACE);
    count
}

/// Joins a session of this process, or takes one up again that an earlier process recorded.
fn rejoin(volume: &Arc<HostedVolume>, guest: &Guest, id: SessionId, key: SessionKey) -> Result<Arc<Session>, Refusal> {
    let Guest { grant, .. } = guest;
    let unknown = || (SessionRefusal::SessionUnknown, "the session is over".to_owned());
    let record = volume.engine.find_session(id).ok_or_else(unknown)?;
    if !record.accepts(&key) || record.token_id != grant.token_id || record.mount_path != grant.mount_path {
        return Err(unknown());
    }
    if let Some(session) = volume.session(id) {
        // Of another value of the token, before that was replaced.
        return if session.is_live() && session.mark == guest.mark { Ok(session) } else { Err(unknown()) };
    }
    let session = volume.readmit(Arc::new(guest.session(id, record.root)));
    // It may have ended between the look at its record and here.
    if volume.engine.find_session(id).is_none() {
        volume.dismiss(id);
        return Err(unknown());
    }
    guest.tell(id, SessionChange::Resume);
    Ok(session)
}

/// The directory the session was opened with, wherever it was moved since.
fn root(volume: &HostedVolume, session: &Session) -> Result<Attr, Refusal> {
    let request = Request::GetAttr { ino: session.context().root };
    let frame = RequestFrame { operation: None, caller: Caller::ROOT, request };
    match volume.engine.execute(&session.context(), &frame, now()).reply.result {
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
