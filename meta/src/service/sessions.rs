//! `Session`: a mount's life with this server, from its greeting to its end.
//!
//! What must survive a restart (root, key, ledger) is the engine's; here is what a running process adds: connections,
//! the token to watch, and whether the session is over.

use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use auth::VolumeToken;
use proto::{Event, SessionId, codec};
use transport::server::Peer;
use uuid::Uuid;

use crate::engine::SessionContext;

/// Connections one session may hold: a mount makes one for each of its cores.
const PEERS_MAX: usize = 1024;

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
    ended: OnceLock<String>,
    presence: Mutex<Presence>,
}

struct Presence {
    peers: Vec<(u64, Peer)>,
    next_peer: u64,
    /// Since when no connection is left.
    absent_since: Option<Instant>,
}

impl Session {
    pub(crate) fn new(
        context: SessionContext,
        token: VolumeToken,
        token_id: Uuid,
        place: String,
        now: Instant,
    ) -> Self {
        let presence = Presence { peers: Vec::new(), next_peer: 0, absent_since: Some(now) };
        Self { context, token, token_id, place, ended: OnceLock::new(), presence: Mutex::new(presence) }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.context.id
    }

    /// Whether requests are still answered.
    pub(crate) fn is_live(&self) -> bool {
        self.ended.get().is_none()
    }

    /// Adds a connection; `None` where the session is over or has too many.
    pub(crate) fn join(&self, peer: Peer) -> Option<u64> {
        let mut presence = self.presence();
        if !self.is_live() || presence.peers.len() >= PEERS_MAX {
            return None;
        }
        let number = presence.next_peer;
        presence.next_peer += 1;
        presence.absent_since = None;
        presence.peers.push((number, peer));
        Some(number)
    }

    /// Takes a connection out.
    pub(crate) fn leave(&self, number: u64, now: Instant) {
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
        let peers: Vec<_> = self.presence().peers.clone();
        let event = codec::encode(&Event::SessionEnded(reason.to_owned()));
        for (_, peer) in peers {
            // A mount that does not listen learns it from its next request.
            let _ = tokio::time::timeout(std::time::Duration::from_millis(100), peer.send_event(&event)).await;
        }
    }

    fn presence(&self) -> std::sync::MutexGuard<'_, Presence> {
        self.presence.lock().expect("no code under this lock panics")
    }
}
