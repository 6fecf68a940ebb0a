//! What nobody asks for: watching tokens, ending sessions whose mount is gone, reclaiming space.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::{AuthError, TokenAuthority};
use proto::{SessionId, Timespec};
use tokio::sync::watch;

use super::Server;
use super::hosted::HostedVolume;
use super::sessions::Session;

/// A round of everything.
const ROUND: Duration = Duration::from_secs(1);
/// Records that one sweep touches at the most, so that a huge unlink never delays requests for long.
const SWEEP_RECORDS_MAX: usize = 512;
/// Objects deleted in a round.
const DELETE_MAX: usize = 1000;

/// Runs rounds until told to stop.
pub(super) async fn run<A: TokenAuthority>(server: Arc<Server<A>>, mut stop: watch::Receiver<bool>) {
    let started = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        for (_, volume) in server.volumes.opened() {
            watch_tokens(&server, &volume).await;
            end_absent(&server, &volume, started).await;
            reclaim(&volume).await;
        }
    }
}

/// Ends the sessions whose token opens nothing any more. The authenticator's cache decides how often the admin server
/// is asked; while that is away, sessions go on.
async fn watch_tokens<A: TokenAuthority>(server: &Server<A>, volume: &HostedVolume) {
    for session in volume.sessions() {
        if session.is_live()
            && let Err(AuthError::Rejected) = server.authenticator.authenticate(&session.token, Instant::now()).await
        {
            finish(volume, &session, "the volume token was deleted").await;
        }
    }
}

/// Ends the sessions whose mount has been away for longer than it may: those of this process, and those that an earlier
/// one recorded and nobody took up again.
async fn end_absent<A>(server: &Server<A>, volume: &HostedVolume, started: Instant) {
    let now = Instant::now();
    let is_overdue = |since: Instant| now.duration_since(since) > server.session_grace;
    let here = volume.sessions();
    for session in &here {
        if session.absent_since().is_some_and(is_overdue) {
            finish(volume, session, "the mount was away for too long").await;
        }
    }
    if is_overdue(started) {
        let here: HashSet<SessionId> = here.iter().map(|session| session.id()).collect();
        for record in volume.engine.sessions().into_iter().filter(|record| !here.contains(&record.id)) {
            close(volume, record.id);
        }
    }
}

async fn finish(volume: &HostedVolume, session: &Session, reason: &str) {
    tracing::info!(session = %session.id(), token = %session.token_id, place = %session.place, reason, "session ended");
    session.end(reason).await;
    volume.dismiss(session.id());
    close(volume, session.id());
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
