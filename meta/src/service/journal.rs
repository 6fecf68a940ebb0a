//! What became of sessions, kept until the admin server has taken it.
//!
//! Bounded: where there is no room an event is dropped, and the numbers of those around it tell that one is missing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use auth::Telling;
use proto::SessionId;
use proto::rest::{SessionChange, SessionEvent, SessionReport};
use tokio::sync::watch;
use uuid::Uuid;

use super::breaches::{Breaches, Tally};

/// Events kept, about 500 bytes each.
const EVENTS_MAX: usize = 8192;
/// Events in a report.
const REPORT_MAX: usize = 500;
/// Longest text of a peer that is kept, in bytes.
const TEXT_MAX: usize = 255;

/// The events of this run of the server.
#[derive(Debug)]
pub(crate) struct Journal {
    run: Uuid,
    kept: Mutex<Kept>,
    /// Number of the next event, for who waits for it.
    news: watch::Sender<u64>,
}

#[derive(Debug)]
struct Kept {
    events: VecDeque<SessionEvent>,
    /// Number of the next event.
    next: u64,
    refusals: Telling,
}

/// Whom an event is about, as far as that is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    pub(super) session: Option<SessionId>,
    pub(super) token_id: Option<Uuid>,
    pub(super) volume_id: Option<Uuid>,
    pub(super) from: Option<SocketAddr>,
    pub(super) place: String,
}

impl Journal {
    pub(super) fn new() -> Self {
        let kept = Kept { events: VecDeque::new(), next: 0, refusals: Telling::new(Instant::now()) };
        Self { run: Uuid::new_v4(), kept: Mutex::new(kept), news: watch::Sender::new(0) }
    }

    /// Changes with each event.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Notes a start, a resumption or an end.
    pub(super) fn note(&self, what: SessionChange, subject: Subject, reason: &str) {
        self.push(&mut self.kept(), what, subject, reason, 1);
    }

    /// Notes a refusal. Anybody can cause them: those beyond some in a minute are told as a number.
    pub(super) fn note_refusal(&self, from: SocketAddr, reason: &str) {
        let mut kept = self.kept();
        if kept.refusals.may_tell(from.ip(), Instant::now()) {
            self.push(&mut kept, SessionChange::Refuse, Subject { from: Some(from), ..Subject::default() }, reason, 1);
        }
    }

    /// Notes what a session asked for and may not have, now or when it is asked again: as often as refusals are told.
    pub(super) fn note_breaches(&self, breaches: &Breaches, from: SocketAddr, subject: Subject) {
        let mut kept = self.kept();
        if !breaches.is_empty()
            && kept.refusals.may_tell_now(from.ip(), Instant::now())
            && let Some(Tally { count, words }) = breaches.take()
        {
            tracing::warn!(session = ?subject.session, %from, place = ?subject.place, "requests refused: {words}");
            self.push(&mut kept, SessionChange::Breach, Subject { from: Some(from), ..subject }, &words, count);
        }
    }

    /// Notes how many refusals were not noted one by one.
    pub(super) fn note_untold(&self) {
        let mut kept = self.kept();
        let untold = kept.refusals.take_untold();
        if untold > 0 {
            let reason = "more of them in a minute than are told";
            self.push(&mut kept, SessionChange::Refuse, Subject::default(), reason, untold);
        }
    }

    /// The oldest events, if anything came after the event number `reported`; `None` = nothing was reported yet, not even
    /// that the server runs. They stay until they are forgotten.
    pub(crate) fn report(&self, reported: Option<u64>) -> Option<SessionReport> {
        let kept = self.kept();
        let events: Vec<SessionEvent> = kept.events.iter().take(REPORT_MAX).cloned().collect();
        let is_all = events.len() == kept.events.len();
        let next = if is_all { kept.next } else { events.last().map_or(0, |event| event.number + 1) };
        reported.is_none_or(|reported| next > reported).then_some(SessionReport {
            run: self.run,
            events,
            next,
            last: false,
        })
    }

    /// The report that says that this run is over.
    pub(crate) fn farewell(&self, reported: u64) -> SessionReport {
        SessionReport { run: self.run, events: Vec::new(), next: reported, last: true }
    }

    /// Lets go of the events before `next`: the admin server has them.
    pub(crate) fn forget(&self, next: u64) {
        let mut kept = self.kept();
        while kept.events.front().is_some_and(|event| event.number < next) {
            kept.events.pop_front();
        }
    }

    fn push(&self, kept: &mut Kept, what: SessionChange, subject: Subject, reason: &str, count: u64) {
        kept.push(what, subject, reason, count);
        self.news.send_replace(kept.next);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().expect("no code under this lock panics")
    }
}

impl Kept {
    fn push(&mut self, what: SessionChange, subject: Subject, reason: &str, count: u64) {
        let number = self.next;
        self.next += 1;
        if self.events.len() >= EVENTS_MAX {
            return;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Subject { session, token_id, volume_id, from, place } = subject;
        self.events.push_back(SessionEvent {
            number,
            at_millis: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            what,
            session: session.map(|id| id.0),
            token_id,
            volume_id,
            from: from.map_or_else(String::new, |from| from.to_string()),
            place: cut(&place),
            reason: cut(reason),
            count,
        });
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_MAX)].to_owned()
}

#[cfg(test)]
mod tests;
