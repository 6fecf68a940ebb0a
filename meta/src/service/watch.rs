//! Watching tokens: what changes about them reaches their sessions at once.
//!
//! Changes come unasked, as the admin server tells them; every token in use is asked about again besides, whenever the
//! answer about it grew old. On a thread of its own, so that neither sweeping nor a slow answer delays a revocation.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::{AuthError, Moment, TokenAuthority, TokenMark};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use proto::Timespec;
use proto::feed::{Change, FeedLine};
use proto::rest::{SessionChange, TokenGrant};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_local;
use tokio::time::MissedTickBehavior;

use super::breaches::Tally;
use super::hosted::{HostedVolume, limits};
use super::journal::Subject;
use super::sessions::{Adopted, Session};
use super::{Server, Word};

/// How long a change counts as not acted on whose meaning cannot be asked for.
const UNKNOWN_MAX: Duration = Duration::from_secs(2);
/// A round over the tokens in use.
const ROUND: Duration = Duration::from_millis(500);
/// Tokens asked about at once because their answers grew old.
const ASKED_AT_ONCE: usize = 32;

/// A session where it is.
pub(super) type Place = (Arc<HostedVolume>, Arc<Session>);

/// Held until a change is acted on, where somebody wants to know.
pub(super) type Awaited = Option<Arc<oneshot::Sender<Infallible>>>;

type Asking<'a> = FuturesUnordered<LocalBoxFuture<'a, TokenMark>>;

/// Goes on until told to stop.
pub(super) async fn run<A: TokenAuthority>(
    server: Arc<Server<A>>,
    lines: mpsc::Receiver<Word>,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        () = watch_tokens(&server, lines) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn watch_tokens<A: TokenAuthority>(server: &Server<A>, mut lines: mpsc::Receiver<Word>) {
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut asking, mut asked) = (Asking::new(), HashSet::new());
    let mut soonest = None;
    loop {
        tokio::select! {
            biased;
            Some(Word { line, acted }) = lines.recv() => {
                let acted = Some(Arc::new(acted));
                for (mark, places) in concerned(server, line, &acted) {
                    // One that is asked about already comes back with the new answer: the old one was revoked.
                    asked.insert(mark);
                    asking.push(Box::pin(ask(server, mark, places, acted.clone())));
                }
            }
            Some(mark) = asking.next() => drop(asked.remove(&mark)),
            () = until(soonest) => end_expired(&sessions(server)),
            _ = round.tick() => {
                let sessions = sessions(server);
                end_expired(&sessions);
                soonest = next_expiry(&sessions);
                for (mark, places) in by_token(sessions) {
                    match server.authenticator.cached(&mark, Instant::now()) {
                        Some(grant) => take_up(&places, &grant, None),
                        None if asking.len() < ASKED_AT_ONCE && asked.insert(mark) => {
                            asking.push(Box::pin(ask(server, mark, places, None)));
                        }
                        None => {}
                    }
                }
            }
        }
    }
}

/// Acts on a line; returns the tokens to ask about.
fn concerned<A: TokenAuthority>(
    server: &Server<A>,
    line: FeedLine,
    awaited: &Awaited,
) -> HashMap<TokenMark, Vec<Place>> {
    let change = match line {
        FeedLine::Beat | FeedLine::Start { complete: true, .. } => return HashMap::new(),
        FeedLine::Start { complete: false, .. } | FeedLine::Gap { .. } => {
            tracing::debug!("changes of tokens may have been missed: all are asked about");
            server.authenticator.doubt_all();
            return by_token(sessions(server));
        }
        FeedLine::Change { change, .. } => change,
    };
    // In this order: a greeting adds its session, then looks whether its answer still holds.
    server.authenticator.heed(&change);
    let concerned = sessions(server).into_iter().filter(|(_, session)| match change {
        Change::TokenGone(id) | Change::TokenChanged(id) => session.token_id == id,
        Change::VolumeGone(id) | Change::VolumeChanged(id) => session.grant().volume.id.0 == id,
    });
    let concerned: Vec<Place> = concerned.collect();
    match change {
        Change::TokenGone(_) => cut_and_tell(concerned, TOKEN_GONE, awaited),
        Change::VolumeGone(_) => cut_and_tell(concerned, "the volume was deleted", awaited),
        Change::TokenChanged(_) | Change::VolumeChanged(_) => return by_token(concerned),
    }
    HashMap::new()
}

const TOKEN_GONE: &str = "the volume token was deleted or replaced";

/// Asks about a token, and lets its sessions go by the answer.
async fn ask<A: TokenAuthority>(
    server: &Server<A>,
    mark: TokenMark,
    places: Vec<Place>,
    awaited: Awaited,
) -> TokenMark {
    if let Some((_, session)) = places.first() {
        let answer = server.authenticator.authenticate(&session.token, Instant::now()).await;
        go_by(&places, answer, awaited);
    }
    mark
}

/// Lets sessions of one token go by an answer about it. Without an answer they go on.
pub(super) fn go_by(places: &[Place], answer: Result<Arc<TokenGrant>, AuthError>, awaited: Awaited) {
    match answer {
        Ok(grant) => take_up(places, &grant, awaited),
        Err(AuthError::Rejected | AuthError::Ended) => cut_and_tell(places.to_vec(), TOKEN_GONE, &awaited),
        // Nobody knows what they are to go by: whoever waits for that waits as long as it would for a mount.
        Err(AuthError::Unavailable(_)) => {
            spawn_local(async move {
                tokio::time::sleep(UNKNOWN_MAX).await;
                drop(awaited);
            });
        }
    }
}

/// Lets sessions take up what their token opens now, where they did not yet.
fn take_up(places: &[Place], grant: &Arc<TokenGrant>, awaited: Awaited) {
    for (volume, session) in places {
        if session.goes_by(grant) {
            continue;
        }
        volume.engine.set_limits(limits(&grant.volume));
        match session.adopt(grant) {
            Adopted::Quietly => {}
            Adopted::WithFlags => {
                tracing::info!(session = %session.id(), token = %session.token_id, flags = %session.flags(), "flags changed");
                let (telling, awaited) = (Arc::clone(session).tell_flags(), awaited.clone());
                spawn_local(async move {
                    telling.await;
                    drop(awaited);
                });
            }
            Adopted::Never(reason) => {
                cut_and_tell(vec![(Arc::clone(volume), Arc::clone(session))], reason, &awaited);
                continue;
            }
        }
        if session.strays() {
            let reason = "the volume token is not for the mount's network any more";
            cut_and_tell(vec![(Arc::clone(volume), Arc::clone(session))], reason, &awaited);
        }
    }
}

/// Ends sessions: first none of their requests is answered, then their mounts are told, then what they held is freed.
pub(super) fn cut(places: Vec<Place>, reason: &str) {
    cut_and_tell(places, reason, &None);
}

/// As [`cut`]; `awaited` is held until the mounts refuse everything, or had their time for that.
fn cut_and_tell(places: Vec<Place>, reason: &str, awaited: &Awaited) {
    let mut ended = Vec::new();
    for place in places {
        let (volume, session) = &place;
        let Some(farewell) = session.end(reason, awaited) else { continue };
        spawn_local(farewell);
        let told = match session.breaches.take() {
            Some(Tally { words, .. }) => format!("{reason}; requests refused before: {words}"),
            None => reason.to_owned(),
        };
        volume.journal.note(SessionChange::End, subject(volume, session), &told);
        ended.push(place);
    }
    if ended.is_empty() {
        return;
    }
    let reason = reason.to_owned();
    spawn_local(async move {
        for (volume, session) in ended {
            let (id, token) = (session.id(), session.token_id);
            tracing::info!(session = %id, %token, place = ?session.place, reason, "session ended");
            volume.close(&session);
            // Other mounts, and the farewells, get their turn.
            tokio::task::yield_now().await;
        }
    });
}

/// Whom an event of a session is about.
pub(super) fn subject(volume: &HostedVolume, session: &Session) -> Subject {
    Subject {
        session: Some(session.id()),
        token_id: Some(session.token_id),
        volume_id: Some(volume.id.0),
        place: session.place.clone(),
        from: None,
    }
}

fn end_expired(places: &[Place]) {
    let now = seconds_now();
    for place in places.iter().filter(|(_, session)| session.expires() <= now) {
        let reason = format!("the volume token expired at {}", Moment(place.1.expires()));
        cut(vec![place.clone()], &reason);
    }
}

/// When the next token ends, if that is before the next round.
fn next_expiry(places: &[Place]) -> Option<tokio::time::Instant> {
    let soonest = places.iter().map(|(_, session)| session.expires()).min()?;
    let now = Timespec::from_system_time(std::time::SystemTime::now());
    let left = Duration::from_secs(u64::try_from(soonest.checked_sub(now.secs)?).ok()?);
    let left = left.saturating_sub(Duration::from_nanos(now.nanos.into()));
    (left < ROUND).then(|| tokio::time::Instant::now() + left)
}

async fn until(instant: Option<tokio::time::Instant>) {
    match instant {
        // Once it came, the round goes on.
        Some(instant) if instant > tokio::time::Instant::now() => tokio::time::sleep_until(instant).await,
        _ => std::future::pending().await,
    }
}

pub(super) fn seconds_now() -> i64 {
    Timespec::from_system_time(std::time::SystemTime::now()).secs
}

fn sessions<A>(server: &Server<A>) -> Vec<Place> {
    let sessions = |(_, volume): (_, Arc<HostedVolume>)| {
        volume.sessions().into_iter().map(move |session| (Arc::clone(&volume), session))
    };
    server.volumes.opened().into_iter().flat_map(sessions).collect()
}

fn by_token(places: Vec<Place>) -> HashMap<TokenMark, Vec<Place>> {
    let mut tokens: HashMap<TokenMark, Vec<Place>> = HashMap::new();
    for place in places {
        tokens.entry(place.1.mark).or_default().push(place);
    }
    tokens
}
