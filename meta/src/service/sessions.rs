//! `Session`: a mount's life with this server, from its greeting to its end.
//!
//! What must survive a restart (root, key, ledger) is the engine's; here is what a running process adds: connections,
//! the token to watch, and whether the session is over.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use auth::{MountFlags, VolumeToken};
use futures_util::future::join_all;
use proto::rest::TokenGrant;
use proto::{Event, SessionId, SessionRefusal, codec};
use tokio::time::timeout;
use transport::server::Peer;
use uuid::Uuid;

use crate::engine::SessionContext;

/// Connections one session may hold: a mount makes one for each of its cores, and makes it again while the server may
/// still think that the last one lives.
const PEERS_MAX: usize = 512;
/// A mount has so long to hang up after it was told that its session is over.
const HANG_UP_MAX: Duration = Duration::from_secs(1);

/// A session that this process serves.
pub(crate) struct Session {
    /// What the engine decides by.
    pub(crate) context: SessionContext,
    /// Watched: the session ends with it.
    pub(crate) token: VolumeToken,
    /// Names the token in logs.
    pub(crate) token_id: Uuid,
    /// Where the mount is, as it says itself.
    pub(crate) place: String,
    /// What the token opens, by the last answer about it.
    grant: Mutex<Arc<TokenGrant>>,
    ended: OnceLock<String>,
    presence: Mutex<Presence>,
}

struct Presence {
    peers: Vec<(u64, Peer)>,
    next_peer: u64,
    /// Since when no connection is left.
    absent_since: Option<Instant>,
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
    pub(crate) fn new(
        context: SessionContext,
        token: VolumeToken,
        grant: Arc<TokenGrant>,
        place: String,
        now: Instant,
    ) -> Self {
        let presence = Presence { peers: Vec::new(), next_peer: 0, absent_since: Some(now) };
        Self {
            context,
            token,
            token_id: grant.token_id,
            place,
            grant: Mutex::new(grant),
            ended: OnceLock::new(),
            presence: Mutex::new(presence),
        }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.context.id
    }

    /// Whether requests are still answered.
    pub(crate) fn is_live(&self) -> bool {
        self.ended.get().is_none()
    }

    /// Notes what the token opens by the newest answer; `false` where that answer was noted before.
    pub(crate) fn note_grant(&self, grant: &Arc<TokenGrant>) -> bool {
        let mut noted = self.grant.lock().expect("no code under this lock panics");
        let is_new = !Arc::ptr_eq(&noted, grant);
        noted.clone_from(grant);
        is_new
    }

    /// Why the session cannot go on with a token that opens `grant`, if so. Restrictions for the mount alone are no
    /// reason: it takes them up with its next greeting.
    pub(crate) fn contradiction(&self, grant: &TokenGrant) -> Option<&'static str> {
        let noted = self.grant.lock().expect("no code under this lock panics");
        if grant.volume.id != noted.volume.id {
            Some("the volume token opens another volume now: mount again")
        } else if grant.mount_path != noted.mount_path {
            Some("the volume token opens another directory now: mount again")
        } else if !self.context.read_only && MountFlags::parse(&grant.flags).is_ok_and(|flags| flags.ro) {
            Some("the volume token became read-only: mount again")
        } else {
            None
        }
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

    /// Since when the mount has no connection, if so.
    pub(crate) fn absent_since(&self) -> Option<Instant> {
        self.presence().absent_since
    }

    /// Ends the session: no request is answered from here on. Tells the mount on every connection, then closes them.
    pub(crate) async fn end(&self, reason: &str) {
        if self.ended.set(reason.to_owned()).is_err() {
            return;
        }
        let peers: Vec<_> = self.presence().peers.iter().map(|(_, peer)| peer.clone()).collect();
        let event = codec::encode(&Event::SessionEnded(reason.to_owned()));
        join_all(peers.iter().map(|peer| dismiss(peer, &event, reason))).await;
    }

    fn presence(&self) -> std::sync::MutexGuard<'_, Presence> {
        self.presence.lock().expect("no code under this lock panics")
    }
}

/// Closing a connection overtakes the event, so a mount that listens is left to hang up itself.
async fn dismiss(peer: &Peer, event: &[u8], reason: &str) {
    let told = async {
        if peer.send_event(event).await.is_ok() {
            peer.closed().await;
        }
    };
    let _ = timeout(HANG_UP_MAX, told).await;
    peer.close(reason);
}
