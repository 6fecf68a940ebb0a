//! Answers that may be long: they need a turn, and hold nothing while they wait for it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::limits::{MESSAGE_MAX, SHORT_MAP_BLOCKS};
use proto::{Refused, Request, RequestFrame};
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
/// goes away. `None` where the turn does not come in time, or the peer is gone.
pub(super) async fn answer_at_length(
    volume: &HostedVolume,
    session: &Session,
    frame: &mut RequestFrame,
    times: &RequestTimes,
    call: &mut Call,
) -> Option<Bytes> {
    // Looked for ahead, so that nothing is worked out in vain.
    if is_told_in_parts(&frame.request) && !call.may_answer(MESSAGE_MAX) {
        shorten(&mut frame.request);
    }
    let (mut reply, mut took) = observed(volume, session, frame);
    if !call.may_answer(reply.len()) {
        drop(reply);
        call.take_turn().await.ok()?;
        (reply, took) = observed(volume, session, frame);
    }
    times.record(frame.request.number(), took);
    Some(reply)
}

const fn is_told_in_parts(request: &Request) -> bool {
    matches!(request, Request::ReadDir { .. } | Request::GetLayout { .. })
}

/// Asks for less of what can be told in parts.
fn shorten(request: &mut Request) {
    match request {
        Request::ReadDir { bytes_max, .. } => *bytes_max = (*bytes_max).min(SHORT_LIST),
        Request::GetLayout { count, .. } => *count = (*count).min(SHORT_MAP_BLOCKS),
        _ => {}
    }
}

/// The answer to a request that changes nothing, and how long it took to find.
fn observed(volume: &HostedVolume, session: &Session, frame: &RequestFrame) -> (Bytes, Duration) {
    let begin = Instant::now();
    let mut reply = match is_over(session, now()) {
        true => refuse(volume, Refused::SessionEnded),
        false => executed(volume, session, frame, now()).0,
    };
    let took = begin.elapsed();
    reply.took.micros = micros(took);
    (encoded(&reply), took)
}
