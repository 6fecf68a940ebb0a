//! Answers that may be long: they need a turn, and hold nothing while they wait for it.

use std::time::Instant;

use bytes::Bytes;
use proto::{Refused, Request, RequestFrame};
use transport::server::Call;

use super::hosted::HostedVolume;
use super::metrics::RequestTimes;
use super::peer::{encoded, executed, is_over, micros, now, refuse};
use super::sessions::Session;

/// What is asked for where a long answer has no turn: bytes of a directory's records, blocks of a file.
const SHORT_LIST: u32 = 8 << 10;
const SHORT_MAP: u32 = 16;

/// Whether the answer may be a list, a map or a value of some length. Those that may can be given again.
pub(super) const fn may_be_answered_at_length(request: &Request) -> bool {
    matches!(
        request,
        Request::ReadDir { .. } | Request::GetLayout { .. } | Request::GetXattr { .. } | Request::ListXattr { .. }
    )
}

/// An answer that is short where it is not the call's turn for a long one, if that is possible, and else waits for the turn.
/// None is kept meanwhile: the peer decides when it goes away. `None` where the peer does not wait any longer.
pub(super) async fn answer_at_length(
    volume: &HostedVolume,
    session: &Session,
    frame: &mut RequestFrame,
    times: &RequestTimes,
    call: &mut Call,
) -> Option<Bytes> {
    let mut reply = observed(volume, session, frame, times);
    if !call.may_answer(reply.len()) && shorten(&mut frame.request) {
        reply = observed(volume, session, frame, times);
    }
    if !call.may_answer(reply.len()) {
        drop(reply);
        call.take_turn().await.ok()?;
        reply = observed(volume, session, frame, times);
    }
    Some(reply)
}

/// Asks for less of what can be asked for in parts; whether it is such a thing.
fn shorten(request: &mut Request) -> bool {
    match request {
        Request::ReadDir { bytes_max, .. } => *bytes_max = (*bytes_max).min(SHORT_LIST),
        Request::GetLayout { count, .. } => *count = (*count).min(SHORT_MAP),
        _ => return false,
    }
    true
}

/// The answer to a request that changes nothing.
fn observed(volume: &HostedVolume, session: &Session, frame: &RequestFrame, times: &RequestTimes) -> Bytes {
    let begin = Instant::now();
    let mut reply = match is_over(session, now()) {
        true => refuse(volume, Refused::SessionEnded),
        false => executed(volume, session, frame, now()).0,
    };
    let took = begin.elapsed();
    reply.took.micros = micros(took);
    times.record(frame.request.number(), took);
    encoded(&reply)
}
