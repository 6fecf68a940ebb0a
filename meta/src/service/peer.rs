//! One connection: the greeting, then calls until it is gone.

use std::sync::Arc;
use std::time::Instant;

use auth::TokenAuthority;
use bytes::Bytes;
use proto::limits::{HELLO_MAX, MESSAGE_MAX};
use proto::{Greeting, Refused, ReplyFrame, RequestFrame, Sequence, SessionRefusal, Timespec, codec};
use tokio::sync::watch;
use tokio::task::spawn_local;
use transport::CallError;
use transport::server::{Arrival, Call, Listener, Peer};

use super::Server;
use super::greet::{Admitted, greet};
use super::hosted::HostedVolume;
use super::sessions::Session;

/// Accepts connections until told to stop.
pub(super) async fn serve<A: TokenAuthority>(
    server: Arc<Server<A>>,
    listener: Listener,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            arrival = listener.accept() => match arrival {
                Some(arrival) => drop(spawn_local(attend(Arc::clone(&server), arrival))),
                None => break,
            },
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    listener.close("server stops").await;
}

async fn attend<A: TokenAuthority>(server: Arc<Server<A>>, arrival: Arrival) {
    let from = arrival.remote_address();
    match converse(&server, arrival).await {
        Ok(()) | Err(CallError::Lost) => {}
        Err(error) => tracing::warn!(%from, %error, "connection dropped"),
    }
}

async fn converse<A: TokenAuthority>(server: &Arc<Server<A>>, arrival: Arrival) -> Result<(), CallError> {
    let peer = arrival.establish().await?;
    let mut call = peer.accept().await?;
    let hello = call.request(HELLO_MAX).await?;
    let Admitted { welcome, session, volume } = match greet(server, &hello, peer.remote_address()).await {
        Ok(admitted) => admitted,
        Err((refusal, reason)) => return turn_away(&peer, call, refusal, reason).await,
    };
    let Some(number) = session.join(peer.clone()) else {
        return turn_away(&peer, call, SessionRefusal::SessionUnknown, "the session is over".to_owned()).await;
    };
    call.reply(codec::encode(&Greeting::Welcome(Box::new(welcome))).into()).await?;
    while let Ok(call) = peer.accept().await {
        spawn_local(answer(Arc::clone(&volume), Arc::clone(&session), server.sync, call));
    }
    session.leave(number, Instant::now());
    Ok(())
}

async fn turn_away(peer: &Peer, call: Call, refusal: SessionRefusal, reason: String) -> Result<(), CallError> {
    call.reply(codec::encode(&Greeting::Sorry(refusal, reason)).into()).await?;
    // The peer closes when it has read the answer; one that does not is dropped when it falls silent.
    peer.closed().await;
    Ok(())
}

async fn answer(volume: Arc<HostedVolume>, session: Arc<Session>, sync: bool, mut call: Call) {
    let Ok(request) = call.request(MESSAGE_MAX).await else { return };
    let reply = decide(&volume, &session, sync, &request).await;
    // A peer that went away in between asks again on its next connection.
    let _ = call.reply(Bytes::from(codec::encode(&reply))).await;
}

async fn decide(volume: &Arc<HostedVolume>, session: &Session, sync: bool, request: &[u8]) -> ReplyFrame {
    if !session.is_live() {
        return refuse(volume, Refused::SessionEnded);
    }
    let frame: RequestFrame = match codec::decode(request) {
        Ok(frame) => frame,
        Err(error) => {
            tracing::warn!(session = %session.id(), %error, "malformed request");
            return refuse(volume, Refused::Malformed);
        }
    };
    let now = Timespec::from_system_time(std::time::SystemTime::now());
    let executed = volume.engine.execute(&session.context, &frame, now);
    let mut reply = executed.reply;
    let wait = executed.wait_durable || (sync && frame.request.is_mutation());
    if wait && reply.result.is_ok() {
        match volume.flushed().await {
            Ok(()) => reply.durable = reply.sequence,
            Err(errno) => reply.result = Err(Refused::Error(errno)),
        }
    }
    reply
}

fn refuse(volume: &HostedVolume, refused: Refused) -> ReplyFrame {
    ReplyFrame { sequence: Sequence(0), durable: volume.engine.durable(), result: Err(refused) }
}
