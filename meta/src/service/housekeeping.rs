//! What nobody asks for: watching tokens, ending sessions whose mount is gone, reclaiming space.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::{AuthError, TokenAuthority};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use proto::rest::SessionChange;
use proto::{SessionId, Timespec};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::Server;
use super::hosted::{HostedVolume, limits};
use super::journal::Subject;
use super::sessions::Session;

/// A round over the volumes.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds between two notes of how many refusals were not noted one by one.
const UNTOLD_ROUNDS: u32 = 60;
/// A round over the tokens: with the time that an answer holds, how soon a change reaches a mount.
const WATCH_ROUND: Duration = Duration::from_millis(250);
/// Sessions asked about at once: what the admin server is burdened with when all answers grow old together.
const WATCHED_AT_ONCE: usize = 64;
/// Records that one sweep touches at the most, so that a huge unlink never delays requests for long.
const SWEEP_RECORDS_MAX: usize = 512;
/// Objects deleted in a round.
const DELETE_MAX: usize = 1000;

/// Goes on until told to stop.
pub(super) async fn run<A: TokenAuthority>(server: Arc<Server<A>>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = watch_tokens(&server) => {}
        () = keep_volumes(&server) => {}
        () = close_abandoned(&server) => {}
        () = server.volumes.space.watch() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Apart from all else, because an admin server that is away makes it wait. The authenticator's cache decides how often
/// that one is asked; while it is away, sessions go on.
async fn watch_tokens<A: TokenAuthority>(server: &Server<A>) {
    let mut round = tokio::time::interval(WATCH_ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watched = HashSet::new();
    let mut watching = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(id) = watching.next() => drop(watched.remove(&id)),
            _ = round.tick() => for (volume, session) in sessions(server) {
                // One that still waits for its answer is not asked about again, and delays no other.
                if watching.len() < WATCHED_AT_ONCE && watched.insert(session.id()) {
                    watching.push(watch(server, volume, session));
                }
            }
        }
    }
}

fn sessions<A>(server: &Server<A>) -> impl Iterator<Item = (Arc<HostedVolume>, Arc<Session>)> {
    let sessions = |(_, volume): (_, Arc<HostedVolume>)| {
        volume.sessions().into_iter().map(move |session| (Arc::clone(&volume), session))
    };
    server.volumes.opened().into_iter().flat_map(sessions)
}

/// Ends a session whose token opens nothing any more, or something else, or less.
async fn watch<A: TokenAuthority>(server: &Server<A>, volume: Arc<HostedVolume>, session: Arc<Session>) -> SessionId {
    match server.authenticator.authenticate(&session.token, Instant::now()).await {
        Ok(grant) => {
            if let Some(reason) = session.contradiction(&grant) {
                finish(server, &volume, &session, reason).await;
            } else if session.note_grant(&grant) {
                volume.engine.set_limits(limits(&grant.volume));
            }
        }
        Err(AuthError::Rejected) => finish(server, &volume, &session, "the volume token was deleted").await,
        Err(AuthError::Unavailable(_)) => {}
    }
    session.id()
}

async fn keep_volumes<A>(server: &Server<A>) {
    let started = Instant::now();
    let mut rounds = 0_u32;
    loop {
        tokio::time::sleep(ROUND).await;
        rounds = rounds.wrapping_add(1);
        if rounds.is_multiple_of(UNTOLD_ROUNDS) {
            server.journal.note_untold();
        }
        for (_, volume) in server.volumes.opened() {
            end_absent(server, &volume, started).await;
            reclaim(&volume).await;
            bound_loss(&volume).await;
        }
    }
}

/// Puts on disk what nobody asked to: a power loss takes no more than about a second of it. An idle volume costs nothing.
async fn bound_loss(volume: &HostedVolume) {
    if volume.engine.durable() < volume.engine.sequence()
        && let Err(errno) = volume.flushed().await
    {
        tracing::error!(%errno, "the volume's last commits are not on disk: tried again in a second");
    }
}

/// Ends the sessions whose mount has been away for longer than it may: those of this process, and those that an earlier
/// one recorded and nobody took up again.
async fn end_absent<A>(server: &Server<A>, volume: &HostedVolume, started: Instant) {
    let now = Instant::now();
    let is_overdue = |since: Instant| now.duration_since(since) > server.session_grace;
    for session in volume.sessions() {
        if session.absent_since().is_some_and(is_overdue) {
            finish(server, volume, &session, "the mount was away for too long").await;
        }
    }
    if is_overdue(started) {
        // A session is in our table before it is recorded.
        for record in volume.engine.sessions() {
            if volume.session(record.id).is_none() {
                let (session, token_id) = (Some(record.id), Some(record.token_id));
                let subject = Subject { session, token_id, volume_id: Some(volume.id.0), ..Subject::default() };
                server.journal.note(SessionChange::End, subject, "the mount did not come back to this server");
                close(volume, record.id);
            }
        }
    }
}

/// Once the mounts of the last process had their time to come back, closes what is recorded in volumes that none of them
/// opened.
async fn close_abandoned<A>(server: &Server<A>) {
    tokio::time::sleep(server.session_grace).await;
    server.volumes.close_abandoned().await;
    std::future::pending::<()>().await;
}

async fn finish<A>(server: &Server<A>, volume: &HostedVolume, session: &Session, reason: &str) {
    tracing::info!(session = %session.id(), token = %session.token_id, place = ?session.place, reason, "session ended");
    let subject = Subject {
        session: Some(session.id()),
        token_id: Some(session.token_id),
        volume_id: Some(volume.id.0),
        place: session.place.clone(),
        from: None,
    };
    server.journal.note(SessionChange::End, subject, reason);
    session.end(reason).await;
    // In this order: who does not find it here any more must not find it recorded either.
    close(volume, session.id());
    volume.dismiss(session.id());
}

fn close(volume: &HostedVolume, id: SessionId) {
    if let Err(error) = volume.engine.close_session(id, now()) {
        tracing::error!(session = %id, %error, "session cannot be closed: tried again in a second");
    }
}

/// Finishes big truncations and unlinks step by step, then deletes objects that nothing refers to.
async fn reclaim(volume: &Arc<HostedVolume>) {
    while match volume.engine.sweep(now(), SWEEP_RECORDS_MAX) {
        Ok(more) => more,
        Err(error) => {
            tracing::error!(%error, "sweeping failed");
            false
        }
    } {
        tokio::task::yield_now().await;
    }
    let dead = match volume.engine.dead_objects(now(), DELETE_MAX) {
        Ok(dead) if !dead.is_empty() => dead,
        Ok(_) => return,
        Err(error) => return tracing::error!(%error, "dead objects cannot be listed"),
    };
    if let Err(error) = volume.store.delete(&dead).await {
        return tracing::warn!(%error, "dead objects cannot be deleted: tried again in a second");
    }
    if let Err(error) = volume.engine.forget_objects(&dead) {
        tracing::error!(%error, "deleted objects cannot be forgotten");
    }
}

fn now() -> Timespec {
    Timespec::from_system_time(std::time::SystemTime::now())
}
