//! Waiting for a lock: the one request whose answer others decide about.

use std::time::{Duration, Instant};

use proto::limits::LOCK_WAIT_MS;
use proto::{Reply, ReplyFrame, RequestFrame, Sequence, Took};
use transport::server::Call;

use super::hosted::HostedVolume;
use super::peer::{micros, now};
use super::sessions::Session;

/// Answers when the lock may be had, at the latest after [`LOCK_WAIT_MS`]; `None` where the mount does not want to know
/// any more.
pub(super) async fn await_lock(
    volume: &HostedVolume,
    session: &Session,
    frame: &RequestFrame,
    call: &mut Call,
) -> Option<ReplyFrame> {
    let begin = Instant::now();
    let waiting = match volume.engine.await_lock(&session.context(), frame, now()) {
        Ok(waiting) => waiting,
        Err(refused) => {
            if let Some(breach) = refused.breach {
                session.breaches.note(breach);
            }
            return Some(refused.reply);
        }
    };
    let result = tokio::select! {
        result = waiting => result,
        () = tokio::time::sleep(Duration::from_millis(LOCK_WAIT_MS)) => Ok(Reply::Done),
        () = call.given_up() => return None,
    };
    let took = Took { micros: micros(begin.elapsed()), disk_micros: 0 };
    let durable = volume.engine.durable();
    Some(ReplyFrame { sequence: Sequence(0), durable, dirs: Vec::new(), took, result })
}
