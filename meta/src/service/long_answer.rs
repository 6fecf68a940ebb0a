//! Answers that may be long: they need a turn, and hold nothing while they wait for it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::limits::{MESSAGE_MAX, SHORT_MAP_BLOCKS};
use proto::{Refused, Request, RequestFrame};
use transport::CallError;
use transport::server::Call;

use super::hosted::HostedVolume;
use super::metrics::RequestTimes;
use super::peer::{encoded, executed, is_over, micros, now, refuse};
use super::sessions::Session;

/// Bytes of a directory's records that are asked for where a long answer has no turn.
const SHORT_LIST: u32 = 8 << 10;

/// Whether the answer may be a list, a map or a value of some length. Those that may can be given again.
pub(super) const fn may_be_answered_at_length(request: &Request) -> bool {
    matches!(
        request,
        Request::ReadDir { .. } | Request::GetLayout { .. } | Request::GetXattr { .. } | Request::ListXattr { .. }
    )
}

/// An answer in a turn, or a short one, or one that waits for its turn. None is kept while it waits: the peer decides when it
/// goes away. Fails where the turn does not come in time, or the peer is gone.
pub(super) async fn answer_at_length(
    volume: &HostedVolume,
    session: &Session,
    frame: &mut RequestFrame,
    times: &RequestTimes,
    call: &mut Call,
) -> Result<Bytes, CallError> {
    // Looked for ahead, so that nothing is worked out in vain.
    if let Some((asked, short)) = part(&mut frame.request)
        && *asked > short
        && !call.may_answer(MESSAGE_MAX)
    {
        *asked = short;
    }
    let (mut reply, mut took) = observed(volume, session, frame);
    if !call.may_answer(reply.len()) {
        drop(reply);
        call.take_turn().await?;
        (reply, took) = observed(volume, session, frame);
    }
    times.record(frame.request.number(), took);
    Ok(reply)
}

/// Of what can be told in parts: how much is asked for, and how much of it is short.
fn part(request: &mut Request) -> Option<(&mut u32, u32)> {
    match request {
        Request::ReadDir { bytes_max, .. } => Some((bytes_max, SHORT_LIST)),
        Request::GetLayout { count, .. } => Some((count, SHORT_MAP_BLOCKS)),
        _ => None,
    }
}

/// The answer to a request that changes nothing, and how long it took to find.
fn observed(volume: &HostedVolume, session: &Session, frame: &RequestFrame) -> (Bytes, Duration) {
    let (begin, now) = (Instant::now(), now());
    let mut reply = match is_over(session, now) {
        true => refuse(volume, Refused::SessionEnded),
        false => executed(volume, session, frame, now).0,
    };
    let took = begin.elapsed();
    reply.took.micros = micros(took);
    (encoded(&reply), took)
}
