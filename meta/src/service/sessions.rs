//! `Session`: a mount's life with this server, from its greeting to its end.
//!
//! What must survive a restart (root, key, ledger) is the engine's; here is what a running process adds: connections,
//! the token to watch with what it allows now, and whether the session is over.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::{Duration, Instant};

use auth::{MountFlags, TokenMark, VolumeToken};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use proto::rest::TokenGrant;
use proto::{Event, InodeId, SessionId, SessionRefusal, Timespec, codec};
use tokio::time::timeout;
use transport::server::Peer;
use uuid::Uuid;

use super::bounds::Bounds;
use super::breaches::Breaches;
use super::watch::Awaited;
use crate::engine::{Identity, SessionContext};

/// Connections one session may hold: a mount makes one for each of its cores, and makes it again while the server may
/// still think that the last one lives.
const PEERS_MAX: usize = 512;
/// A mount has so long to hang up after it was told that its session is over.
const HANG_UP_MAX: Duration = Duration::from_secs(1);
/// A mount is asked so often whether it is there, and has so long to answer each time.
const PINGS: u32 = 3;
const PING_MAX: Duration = Duration::from_secs(1);
/// A mount has so long to act on an event; else it is told on its next connection.
const EVENT_MAX: Duration = Duration::from_secs(1);

/// A session that this process serves.
pub(crate) struct Session {
    id: SessionId,
    /// The directory its token opens.
    root: InodeId,
    /// Watched: the session ends with it.
    pub(crate) token: VolumeToken,
    /// Names the token in the authenticator.
    pub(crate) mark: TokenMark,
    /// Names the token in logs.
    pub(crate) token_id: Uuid,
    /// Where the mount is, as it says itself.
    pub(crate) place: String,
    /// Restrictions that the mount asked for itself.
    requested: MountFlags,
    /// What the token opens, by the last answer about it.
    granted: Mutex<Granted>,
    /// Effective mount flags, as bits.
    flags: AtomicU32,
    /// Since when these flags hold, in microseconds since 1970: the newest word counts.
    flags_since: AtomicI64,
    /// When the token ends, in seconds since 1970; `i64::MAX` = never.
    expires: AtomicI64,
    /// Whether its connections may come from some networks only.
    is_confined: AtomicBool,
    /// Whether something else than the mount's word says who its callers are.
    has_policy: AtomicBool,
    /// What it asked for and may not have, as far as it was not told yet.
    pub(crate) breaches: Breaches,
    ended: OnceLock<String>,
    presence: Mutex<Presence>,
}

struct Granted {
    grant: Arc<TokenGrant>,
    bounds: Bounds,
    /// Who callers are, by the answer and what the mount asked for itself.
    identity: Identity,
}

struct Presence {
    peers: Vec<(u64, Peer)>,
    next_peer: u64,
    /// Since when no connection is left.
    absent_since: Option<Instant>,
}

/// Who opens a session, and with what.
pub(crate) struct Holder {
    pub(crate) token: VolumeToken,
    pub(crate) mark: TokenMark,
    pub(crate) grant: Arc<TokenGrant>,
    pub(crate) bounds: Bounds,
    pub(crate) requested: MountFlags,
    pub(crate) place: String,
}

/// What a new answer about its token means for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adopted {
    /// Nothing that the mount has to know.
    Quietly,
    /// Other restrictions hold, or callers begin or cease to be one user: the mount is to be told.
    WithFlags,
    /// It cannot go on, for this reason.
    Never(&'static str),
}

/// A connection's part in its session, until dropped.
pub(crate) struct Attendance {
    session: Arc<Session>,
    number: u64,
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.session.leave(self.number, Instant::now());
    }
}

impl Session {
    pub(crate) fn new(id: SessionId, root: InodeId, holder: Holder, now: Instant) -> Self {
        let Holder { token, mark, grant, bounds, requested, place } = holder;
        let presence = Presence { peers: Vec::new(), next_peer: 0, absent_since: Some(now) };
        let flags = bounds.flags.union(requested);
        let identity = bounds.identity(flags);
        Self {
            id,
            root,
            token,
            mark,
            token_id: grant.token_id,
            place,
            requested,
            flags: AtomicU32::new(flags.bits()),
            flags_since: AtomicI64::new(micros_now()),
            expires: AtomicI64::new(bounds.expires),
            is_confined: AtomicBool::new(!bounds.networks.are_all()),
            has_policy: AtomicBool::new(identity.is_policy()),
            granted: Mutex::new(Granted { grant, bounds, identity }),
            breaches: Breaches::default(),
            ended: OnceLock::new(),
            presence: Mutex::new(presence),
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.id
    }

    /// What the engine decides by, as it is now.
    pub(crate) fn context(&self) -> SessionContext {
        SessionContext { id: self.id, root: self.root, read_only: self.flags().ro, identity: self.identity() }
    }

    /// Who its callers are now.
    fn identity(&self) -> Identity {
        if self.has_policy.load(Ordering::Acquire) { self.granted().identity.clone() } else { Identity::CLAIMED }
    }

    /// Whether all its callers are one user.
    pub(crate) fn has_fixed_identity(&self) -> bool {
        self.identity().is_fixed()
    }

    /// The restrictions that hold now.
    pub(crate) fn flags(&self) -> MountFlags {
        MountFlags::from_bits(self.flags.load(Ordering::Acquire)).expect("only bits of known flags were stored")
    }

    /// Since when they hold.
    pub(crate) fn flags_since(&self) -> i64 {
        self.flags_since.load(Ordering::Acquire)
    }

    /// Whether requests are still answered.
    pub(crate) fn is_live(&self) -> bool {
        self.ended.get().is_none()
    }

    /// When its token ends, in seconds since 1970.
    pub(crate) fn expires(&self) -> i64 {
        self.expires.load(Ordering::Acquire)
    }

    /// Whether a connection from there may go on. A mount's address may change while it is connected.
    pub(crate) fn permits(&self, peer: &Peer) -> bool {
        !self.is_confined.load(Ordering::Acquire) || self.granted().bounds.networks.allow(peer.remote_address().ip())
    }

    /// Whether `grant` is what the session goes by.
    pub(crate) fn goes_by(&self, grant: &Arc<TokenGrant>) -> bool {
        Arc::ptr_eq(&self.granted().grant, grant)
    }

    /// The volume's settings by the last answer.
    pub(crate) fn grant(&self) -> Arc<TokenGrant> {
        Arc::clone(&self.granted().grant)
    }

    /// Goes by a new answer about the token from here on.
    pub(crate) fn adopt(&self, grant: &Arc<TokenGrant>) -> Adopted {
        // Restrictions of a newer admin server: what they forbid is not known, so nothing is allowed.
        let Ok(bounds) = Bounds::of(grant) else {
            return Adopted::Never("the volume token is restricted in a way that this server does not know");
        };
        let mut granted = self.granted();
        if grant.volume.id != granted.grant.volume.id {
            return Adopted::Never("the volume token opens another volume now: mount again");
        }
        if grant.mount_path != granted.grant.mount_path {
            return Adopted::Never("the volume token opens another directory now: mount again");
        }
        let flags = bounds.flags.union(self.requested);
        let identity = bounds.identity(flags);
        let is_news = identity.is_fixed() != granted.identity.is_fixed();
        let flags = flags.bits();
        self.expires.store(bounds.expires, Ordering::Release);
        self.is_confined.store(!bounds.networks.are_all(), Ordering::Release);
        let has_policy = identity.is_policy();
        // One step for whoever looks: between two policies there is no moment without one.
        *granted = Granted { grant: Arc::clone(grant), bounds, identity };
        self.has_policy.store(has_policy, Ordering::Release);
        if self.flags.swap(flags, Ordering::AcqRel) == flags && !is_news {
            return Adopted::Quietly;
        }
        self.flags_since.fetch_max(micros_now(), Ordering::AcqRel);
        Adopted::WithFlags
    }

    /// Adds a connection, unless the session is over or has too many.
    pub(crate) fn join(self: &Arc<Self>, peer: Peer) -> Result<Attendance, (SessionRefusal, String)> {
        let mut presence = self.presence();
        if !self.is_live() {
            return Err((SessionRefusal::SessionUnknown, "the session is over".to_owned()));
        }
        if presence.peers.len() >= PEERS_MAX {
            let reason = format!("the session has all the connections it may have ({PEERS_MAX})");
            return Err((SessionRefusal::TooManySessions, reason));
        }
        let number = presence.next_peer;
        presence.next_peer += 1;
        presence.absent_since = None;
        presence.peers.push((number, peer));
        Ok(Attendance { session: Arc::clone(self), number })
    }

    fn leave(&self, number: u64, now: Instant) {
        let mut presence = self.presence();
        presence.peers.retain(|(other, _)| *other != number);
        if presence.peers.is_empty() {
            presence.absent_since = Some(now);
        }
    }

    /// Where one of its connections comes from, if it has any.
    pub(crate) fn remote_address(&self) -> Option<SocketAddr> {
        self.presence().peers.first().map(|(_, peer)| peer.remote_address())
    }

    /// Since when the mount has no connection, if so.
    pub(crate) fn absent_since(&self) -> Option<Instant> {
        self.presence().absent_since
    }

    /// Whether a connection of the session comes from where its token may not be used.
    pub(crate) fn strays(&self) -> bool {
        self.is_confined.load(Ordering::Acquire) && !self.peers().iter().all(|peer| self.permits(peer))
    }

    /// Tells the mount, on every connection, which restrictions hold now, and waits until it acts by them. A connection
    /// that does not take the word in is closed: the next one learns it in its welcome.
    pub(crate) async fn tell_flags(self: Arc<Self>) {
        let (flags, fixed_identity) = (self.flags().bits(), self.has_fixed_identity());
        let event = Event::FlagsChanged { flags, fixed_identity, since: self.flags_since() };
        let event = codec::encode(&event);
        let peers = self.peers();
        join_all(peers.iter().map(async |peer| {
            if !matches!(timeout(EVENT_MAX, peer.tell(&event)).await, Ok(Ok(()))) {
                peer.close("restrictions changed");
            }
        }))
        .await;
    }

    /// Whether the mount is still there: one of its connections answers, also one that it makes meanwhile.
    pub(crate) async fn answers(&self) -> bool {
        let event = codec::encode(&Event::Ping);
        let joined = self.presence().next_peer;
        for _ in 0..PINGS {
            let peers = self.peers();
            let mut pings: FuturesUnordered<_> = peers.iter().map(|peer| peer.tell(&event)).collect();
            let answered = async {
                while let Some(told) = pings.next().await {
                    if told.is_ok() {
                        return;
                    }
                }
                // There is no connection, or none that lives.
                std::future::pending::<()>().await;
            };
            if timeout(PING_MAX, answered).await.is_ok() {
                return true;
            }
        }
        // Who joined meanwhile has the session's key.
        self.presence().next_peer > joined
    }

    /// Ends the session: no request is answered from here on. `None` where it was over already. The farewell is to be
    /// awaited: it tells the mount on every connection, then closes them. `awaited` is held until the mount refuses
    /// everything, or had its time for that.
    pub(crate) fn end(&self, reason: &str, awaited: &Awaited) -> Option<impl Future<Output = ()> + use<>> {
        self.ended.set(reason.to_owned()).ok()?;
        let peers = self.peers();
        let (reason, awaited) = (reason.to_owned(), awaited.clone());
        Some(async move {
            let event = codec::encode(&Event::SessionEnded(reason.clone()));
            let dismissed = peers.iter().map(|peer| dismiss(peer, &event, &reason, awaited.clone()));
            let dismissed = dismissed.collect::<Vec<_>>();
            drop(awaited);
            join_all(dismissed).await;
        })
    }

    fn peers(&self) -> Vec<Peer> {
        self.presence().peers.iter().map(|(_, peer)| peer.clone()).collect()
    }

    fn granted(&self) -> MutexGuard<'_, Granted> {
        self.granted.lock().expect("no code under this lock panics")
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().expect("no code under this lock panics")
    }
}

/// Closing a connection overtakes the event, so a mount that listens is left to hang up itself.
async fn dismiss(peer: &Peer, event: &[u8], reason: &str, awaited: Awaited) {
    let told = async {
        let is_told = peer.tell(event).await.is_ok();
        drop(awaited);
        if is_told {
            peer.closed().await;
        }
    };
    let _ = timeout(HANG_UP_MAX, told).await;
    peer.close(reason);
}

fn micros_now() -> i64 {
    let now = Timespec::from_system_time(std::time::SystemTime::now());
    now.secs.saturating_mul(1_000_000).saturating_add(i64::from(now.nanos / 1000))
}

#[cfg(test)]
mod tests;
