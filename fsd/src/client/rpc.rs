//! `Rpc`: requests of one operation, sent until they are answered.

use std::rc::Rc;
use std::time::{Duration, Instant};

use proto::limits::MESSAGE_MAX;
use proto::{Caller, Commit, Errno, Refused, Reply, ReplyFrame, Request, RequestFrame, Timespec, codec};
use transport::CallError;

use super::MetaClient;
use super::greeting::ENDED;
use super::groups::groups_of;
use super::link::{Line, Link};
use super::window::Ticket;
use crate::trace::{Noted, Stage, note, stage};

/// A server that does not answer for so long is taken for gone: the request is sent again on a new connection.
const DEADLINE: Duration = Duration::from_secs(10);
/// A request that the server has no turn for is made again after so long.
pub(super) const CROWDED_PAUSE: Duration = Duration::from_millis(100);
/// A request that the server drops so often, with the connection intact, is at fault itself.
const DROPPED_MAX: u32 = 3;

/// Asks for one operation of the kernel.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    link: Rc<Link>,
    pid: u32,
    asked: Timespec,
}

/// A request on its way, the same bytes each time.
struct Message {
    bytes: Vec<u8>,
    generation: u64,
    /// Held until the request is answered.
    ticket: Option<Ticket>,
}

impl Rpc {
    /// Asks over `link` for thread `pid` (0 = for the mount itself), which wanted something at the time `asked`.
    pub(crate) fn new(link: Rc<Link>, pid: u32, asked: Timespec) -> Self {
        Self { link, pid, asked }
    }

    async fn message(&self, line: &Line, frame: &mut RequestFrame) -> Result<Message, Errno> {
        let ticket = match frame.request.is_mutation() {
            true => Some(line.identity.window.ticket().await),
            false => None,
        };
        frame.operation = ticket.as_ref().map(Ticket::id);
        let bytes = codec::encode(frame);
        if bytes.len() > MESSAGE_MAX {
            tracing::error!(request = frame.request.name(), len = bytes.len(), "request exceeds the message limit");
            return Err(Errno::E2BIG);
        }
        Ok(Message { bytes, generation: line.identity.generation, ticket })
    }

    async fn exchange(&self, line: &Line, message: &Message) -> Result<Result<ReplyFrame, CallError>, Errno> {
        tokio::select! {
            biased;
            answer = line.connection.call(&message.bytes, DEADLINE) => match answer {
                Ok(answer) => codec::decode(&answer).map(Ok).map_err(|error| {
                    tracing::error!(%error, "answer of the metadata server cannot be read");
                    Errno::EIO
                }),
                Err(error) => Ok(Err(error)),
            },
            _ = self.link.session().wait_ended() => Err(ENDED),
        }
    }
}

/// Adds to the time of a call what it was and what the server says of it.
fn tell(time: &mut Noted, request: &'static str, answer: &Result<Result<ReplyFrame, CallError>, Errno>) {
    time.request = Some(request);
    if let Ok(Ok(frame)) = answer {
        (time.server, time.disk) = (frame.took.micros, frame.took.disk_micros);
    }
}

impl MetaClient for Rpc {
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, Errno> {
        let mut frame = RequestFrame { operation: None, caller: caller.clone(), request };
        let mut sent: Option<Message> = None;
        let (mut dropped, mut repeated) = (0, false);
        loop {
            let line = stage(Stage::Reconnect, self.link.line()).await?;
            // Perhaps others have the file's lock by now: what was written under it must not follow in another session.
            if let Request::Commit(Commit { ino, .. }) | Request::SetAttr { ino, by_handle: true, .. } = &frame.request
            {
                self.link.session().permit_commit(*ino)?;
            }
            let message = match sent.take() {
                Some(message) if message.generation == line.identity.generation => message,
                Some(Message { ticket: Some(ticket), .. }) => {
                    let (request, operation) = (frame.request.name(), ticket.id());
                    tracing::error!(request, %operation, "unknown whether it was carried out: the session was lost");
                    return Err(Errno::EIO);
                }
                _ => self.message(&line, &mut frame).await?,
            };
            let begin = Instant::now();
            let answer = self.exchange(&line, &message).await;
            note(Stage::Call, begin, |time| tell(time, frame.request.name(), &answer));
            match answer? {
                Ok(ReplyFrame { sequence, dirs, result: Ok(reply), .. }) => {
                    let known_dirs = self.link.session().known_dirs();
                    if repeated && frame.request.is_mutation() {
                        // The answer to a repetition does not tell what the request changed when it was carried out.
                        known_dirs.clear();
                    }
                    known_dirs.learn(&dirs, sequence, self.asked);
                    return Ok(reply);
                }
                Ok(ReplyFrame { result: Err(Refused::Error(errno)), .. }) => return Err(errno),
                Ok(ReplyFrame { result: Err(Refused::NeedGroups), .. }) if frame.caller.groups.is_none() => {
                    frame.caller.groups = Some(groups_of(self.pid));
                }
                // Nothing was changed: the next connection opens another session, and the request is a new one there.
                Ok(ReplyFrame { result: Err(Refused::SessionEnded), .. }) => {
                    self.link.give_up(&line, "session ended").await;
                }
                Ok(ReplyFrame { result: Err(refused), .. }) => {
                    tracing::error!(request = frame.request.name(), ?refused, "metadata server refused a request");
                    return Err(Errno::EIO);
                }
                // The server has much to do, and has not carried the request out.
                Err(CallError::Crowded) => {
                    tracing::debug!(request = frame.request.name(), len = message.bytes.len(), "not our turn");
                    tokio::time::sleep(CROWDED_PAUSE).await;
                    sent = Some(message);
                }
                Err(error) => {
                    dropped += u32::from(error == CallError::Lost && !line.connection.is_closed());
                    if error == CallError::TooLarge || dropped == DROPPED_MAX {
                        tracing::error!(request = frame.request.name(), %error, "no answer to be had");
                        return Err(Errno::EIO);
                    }
                    self.link.give_up(&line, "no answer").await;
                    // Sent twice, it could take back an open that was made since. The caller claims instead.
                    if matches!(frame.request, Request::Release { .. }) {
                        return Err(Errno::EIO);
                    }
                    (sent, repeated) = (Some(message), true);
                }
            }
        }
    }
}
