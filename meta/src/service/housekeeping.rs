//! What nobody asks for: ending sessions whose mount is gone, reclaiming space, remembering good tokens.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use auth::TokenAuthority;
use proto::Timespec;
use proto::rest::SessionChange;
use tokio::sync::watch;

use super::Server;
use super::hosted::HostedVolume;
use super::journal::Subject;
use super::watch::{cut, subject};

/// A round over the volumes.
const ROUND: Duration = Duration::from_secs(1);
/// Rounds between two notes of how many refusals were not noted one by one.
const UNTOLD_ROUNDS: u32 = 60;
/// Rounds between two notes of what a session asked for and may not have.
const BREACH_ROUNDS: u32 = 10;
/// Ages of known tokens on disk are at most so wrong.
const REMEMBER_EVERY: Duration = Duration::from_secs(20);
/// Records that one sweep touches at the most, so that a huge unlink never delays requests for long.
const SWEEP_RECORDS_MAX: usize = 512;
/// Objects deleted in a round.
const DELETE_MAX: usize = 1000;

/// Goes on until told to stop.
pub(super) async fn run<A: TokenAuthority>(server: Arc<Server<A>>, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        () = keep_volumes(&server) => {}
        () = remember_tokens(&server) => {}
        () = close_abandoned(&server) => {}
        () = server.volumes.space.watch() => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Writes down which tokens are good, soon where something new is known, else so often that the grace loses little.
async fn remember_tokens<A: TokenAuthority>(server: &Server<A>) {
    // What was read at the start is written again: an earlier process may have known more.
    let (mut news, mut age, mut is_empty) = (server.authenticator.news(), Duration::ZERO, false);
    loop {
        tokio::time::sleep(ROUND).await;
        age += ROUND;
        if server.authenticator.news() == news && age < REMEMBER_EVERY {
            continue;
        }
        (news, age) = (server.authenticator.news(), Duration::ZERO);
        let tokens = server.authenticator.remember(Instant::now());
        if tokens.is_empty() && is_empty {
            continue;
        }
        is_empty = tokens.is_empty();
        let file = Arc::clone(&server.remembered);
        match tokio::task::spawn_blocking(move || file.save(tokens, SystemTime::now())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "known tokens cannot be written: a restart forgets them"),
            Err(panic) => tracing::error!(%panic, "known tokens cannot be written"),
        }
    }
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
            if rounds.is_multiple_of(BREACH_ROUNDS) {
                tell_breaches(&volume);
            }
            end_absent(server, &volume, started);
            reclaim(&volume).await;
            bound_loss(&volume).await;
        }
    }
}

/// One line for each session that asked for what it may not have since it was last told.
fn tell_breaches(volume: &HostedVolume) {
    for session in volume.sessions() {
        if let Some(from) = session.remote_address() {
            volume.journal.note_breaches(&session.breaches, from, subject(volume, &session));
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
fn end_absent<A>(server: &Server<A>, volume: &Arc<HostedVolume>, started: Instant) {
    let now = Instant::now();
    let is_overdue = |since: Instant| now.duration_since(since) > server.session_grace;
    for session in volume.sessions() {
        if session.absent_since().is_some_and(is_overdue) {
            cut(vec![(Arc::clone(volume), session)], "the mount was away for too long");
        }
    }
    if is_overdue(started) {
        // A session is in our table before it is recorded.
        for record in volume.engine.sessions() {
            if volume.session(record.id).is_none() {
                let (session, token_id) = (Some(record.id), Some(record.token_id));
                let subject = Subject { session, token_id, volume_id: Some(volume.id.0), ..Subject::default() };
                server.journal.note(SessionChange::End, subject, "the mount did not come back to this server");
                volume.close_recorded_session(record.id);
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
