//! One connection: the greeting, then calls until it is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use auth::TokenAuthority;
use bytes::Bytes;
use proto::limits::{HELLO_MAX, MESSAGE_MAX};
use proto::{
    Errno, Greeting, Refused, ReplyFrame, Request, RequestFrame, Sequence, SessionRefusal, Timespec, Took, codec,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::spawn_local;
use tokio::time::timeout;
use transport::CallError;
use transport::server::{Arrival, Call, Holder, Listener, Peer};

use super::Server;
use super::greet::{Admitted, greet};
use super::hosted::HostedVolume;
use super::lock_wait::await_lock;
use super::long_answer::{answer_at_length, may_be_answered_at_length};
use super::metrics::RequestTimes;
use super::sessions::Session;
use super::watch::cut;
use crate::engine::Breach;

/// Connections per thread that greet at once: anybody can have them, at about 64 KiB each.
const GREETINGS_MAX: usize = 1024;
/// While more connections than this greet, peers must show that their address is theirs.
const UNPROVEN_MAX: usize = GREETINGS_MAX / 2;
/// A peer has so long from its first packet to the end of its greeting.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// A peer that is turned away has so long to read why.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// Accepts connections until told to stop.
pub(super) async fn serve<A: TokenAuthority>(
    server: Arc<Server<A>>,
    listener: Listener,
    times: Arc<RequestTimes>,
    mut stop: watch::Receiver<bool>,
) {
    let greetings = Arc::new(Semaphore::new(GREETINGS_MAX));
    loop {
        tokio::select! {
            arrival = listener.accept() => match arrival {
                Some(arrival) => receive(&server, arrival, &times, &greetings),
                None => break,
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    listener.close("server stops").await;
}

/// Lets a peer greet, unless too many do. It is not refused then: it, or the same packet on its second way here over another
/// CPU, would take that for the last word.
fn receive<A: TokenAuthority>(
    server: &Arc<Server<A>>,
    arrival: Arrival,
    times: &Arc<RequestTimes>,
    greetings: &Arc<Semaphore>,
) {
    let is_busy = greetings.available_permits() < GREETINGS_MAX - UNPROVEN_MAX;
    let arrival = if is_busy { arrival.prove_address() } else { Some(arrival) };
    match (arrival, Arc::clone(greetings).try_acquire_owned()) {
        (Some(arrival), Ok(turn)) => {
            spawn_local(attend(Arc::clone(server), arrival, turn, Arc::clone(times)));
        }
        (Some(arrival), Err(_)) => arrival.ignore(),
        (None, _) => {}
    }
}

async fn attend<A: TokenAuthority>(
    server: Arc<Server<A>>,
    arrival: Arrival,
    turn: OwnedSemaphorePermit,
    times: Arc<RequestTimes>,
) {
    let from = arrival.remote_address();
    match converse(&server, arrival, turn, times).await {
        Ok(()) | Err(CallError::Lost) => {}
        Err(error) => tracing::warn!(%from, %error, "connection dropped"),
    }
}

async fn converse<A: TokenAuthority>(
    server: &Arc<Server<A>>,
    arrival: Arrival,
    turn: OwnedSemaphorePermit,
    times: Arc<RequestTimes>,
) -> Result<(), CallError> {
    let (mut peer, call, hello) = timeout(GREETING_MAX, hear(arrival)).await.map_err(|_| CallError::Deadline)??;
    let Admitted { welcome, session, volume } = match greet(server, &hello, peer.remote_address()).await {
        Ok(admitted) => admitted,
        Err((refusal, reason)) => {
            if is_decided(refusal) {
                server.journal.note_refusal(peer.remote_address(), &reason);
            }
            return turn_away(&peer, call, refusal, reason).await;
        }
    };
    let _attendance = match session.join(peer.clone()) {
        Ok(attendance) => attendance,
        Err((refusal, reason)) => return turn_away(&peer, call, refusal, reason).await,
    };
    drop(turn);
    let grant = session.grant();
    peer.admit(Holder { account: grant.account_id.as_u128(), token: grant.token_id.as_u128() });
    call.reply(codec::encode(&Greeting::Welcome(Box::new(welcome))).into()).await?;
    while let Ok(call) = peer.accept().await {
        if !session.permits(&peer) {
            peer.close("the volume token is not for this network");
            break;
        }
        spawn_local(answer(Arc::clone(&volume), Arc::clone(&session), server.sync, Arc::clone(&times), call));
    }
    if peer.has_finished() {
        cut(vec![(volume, session)], "unmounted");
    }
    Ok(())
}

/// Whether a refusal says something about the mount, and not about this server alone.
fn is_decided(refusal: SessionRefusal) -> bool {
    !matches!(refusal, SessionRefusal::Unavailable)
}

async fn hear(arrival: Arrival) -> Result<(Peer, Call, Bytes), CallError> {
    let peer = arrival.establish().await?;
    let mut call = peer.accept().await?;
    let hello = call.request(HELLO_MAX).await?;
    Ok((peer, call, hello))
}

async fn turn_away(peer: &Peer, call: Call, refusal: SessionRefusal, reason: String) -> Result<(), CallError> {
    let farewell = async {
        call.reply(codec::encode(&Greeting::Sorry(refusal, reason)).into()).await?;
        // The peer closes when it has read the answer.
        peer.closed().await;
        Ok(())
    };
    let outcome = timeout(FAREWELL_MAX, farewell).await.unwrap_or(Ok(()));
    peer.close("turned away");
    outcome
}

async fn answer(
    volume: Arc<HostedVolume>,
    session: Arc<Session>,
    sync: bool,
    times: Arc<RequestTimes>,
    mut call: Call,
) {
    let request = match call.request(MESSAGE_MAX).await {
        Ok(request) => request,
        // The mount went away in the middle of it.
        Err(CallError::Lost) => return,
        Err(CallError::Crowded) => return call.postpone(),
        Err(CallError::TooLarge | CallError::Deadline) => return session.breaches.note(Breach::Protocol),
    };
    let begin = Instant::now();
    let frame = read(&session, &request);
    drop(request);
    let reply = match frame {
        Ok(frame) if matches!(frame.request, Request::AwaitLock { .. }) => {
            await_lock(&volume, &session, &frame, &mut call).await.map(|reply| encoded(&reply))
        }
        Ok(mut frame) if may_be_answered_at_length(&frame.request) => {
            match answer_at_length(&volume, &session, &mut frame, &times, &mut call).await {
                Ok(reply) => Some(reply),
                Err(_) => return call.postpone(),
            }
        }
        Ok(frame) => {
            let number = frame.request.number();
            let mut reply = decide(&volume, &session, sync, frame, &mut call).await;
            let took = begin.elapsed();
            reply.took.micros = micros(took);
            times.record(number, took);
            Some(encoded(&reply))
        }
        Err(refused) => Some(encoded(&refuse(&volume, refused))),
    };
    if let Some(reply) = reply {
        // A peer that went away in between asks again on its next connection.
        let _ = call.reply(reply).await;
    }
}

pub(super) fn encoded(reply: &ReplyFrame) -> Bytes {
    codec::encode(reply).into()
}

/// The request, unless it is none or comes too late.
fn read(session: &Session, request: &[u8]) -> Result<RequestFrame, Refused> {
    if is_over(session, now()) {
        return Err(Refused::SessionEnded);
    }
    codec::decode(request).map_err(|error| {
        tracing::debug!(session = %session.id(), %error, "malformed request");
        session.breaches.note(Breach::Protocol);
        Refused::Malformed
    })
}

pub(super) fn is_over(session: &Session, now: Timespec) -> bool {
    !session.is_live() || session.expires() <= now.secs
}

/// The answer to a request, and whether it is to wait for the disk.
pub(super) fn executed(
    volume: &HostedVolume,
    session: &Session,
    frame: &RequestFrame,
    now: Timespec,
) -> (ReplyFrame, bool) {
    let done = volume.engine.execute(&session.context(), frame, now);
    if let Some(breach) = done.breach {
        session.breaches.note(breach);
    }
    (done.reply, done.wait_durable)
}

async fn decide(
    volume: &Arc<HostedVolume>,
    session: &Session,
    sync: bool,
    frame: RequestFrame,
    call: &mut Call,
) -> ReplyFrame {
    let now = now();
    // The request may have waited for its turn.
    if is_over(session, now) {
        return refuse(volume, Refused::SessionEnded);
    }
    let was_applied = || frame.operation.is_some_and(|operation| volume.engine.was_applied(session.id(), operation));
    if volume.space.refuses(&frame.request) && !was_applied() {
        return refuse(volume, Refused::Error(Errno::ENOSPC));
    }
    let (mut reply, wait_durable) = executed(volume, session, &frame, now);
    let wait = wait_durable || (sync && frame.request.is_mutation() && !frame.request.is_lock());
    if wait && reply.result.is_ok() {
        // What waits for the disk is answered shortly.
        drop(frame);
        call.end_turn();
        let begin = Instant::now();
        let flushed = volume.flushed().await;
        reply.took.disk_micros = micros(begin.elapsed());
        match flushed {
            Ok(()) => reply.durable = reply.sequence,
            Err(errno) => reply.result = Err(Refused::Error(errno)),
        }
    }
    reply
}

pub(super) fn now() -> Timespec {
    Timespec::from_system_time(std::time::SystemTime::now())
}

pub(super) fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

pub(super) fn refuse(volume: &HostedVolume, refused: Refused) -> ReplyFrame {
    ReplyFrame {
        sequence: Sequence(0),
        durable: volume.engine.durable(),
        dirs: Vec::new(),
        took: Took::default(),
        result: Err(refused),
    }
}
