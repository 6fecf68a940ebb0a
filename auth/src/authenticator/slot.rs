//! One token's place in the cache: the answer, once it is there, and the last good one for the grace.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::rest::TokenGrant;
use tokio::sync::OnceCell;

use super::AuthenticatorSettings;

/// An authority that is away is asked again after this, so that a crowd that reconnects does not queue up one deadline
/// after the other.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One question. The first caller asks, the others wait for its answer; if it is dropped, another of them asks.
#[derive(Default)]
pub(super) struct Slot {
    verdict: OnceCell<Verdict>,
    /// The last good answer of before.
    previous: Option<Granted>,
}

/// The answer. `asked` is when the question was put, so an answer is never thought younger than it is. No answer may
/// take a deadline to come; it counts from `answered`, or it would be old at once.
pub(super) enum Verdict {
    Granted(Granted),
    Rejected { asked: Instant },
    Unavailable { reason: String, answered: Instant },
}

/// A good answer.
#[derive(Clone)]
pub(super) struct Granted {
    pub(super) grant: Arc<TokenGrant>,
    pub(super) asked: Instant,
}

impl Verdict {
    /// When its time began.
    fn since(&self) -> Instant {
        match self {
            Self::Granted(granted) => granted.asked,
            Self::Rejected { asked } => *asked,
            Self::Unavailable { answered, .. } => *answered,
        }
    }

    fn ttl(&self, settings: &AuthenticatorSettings) -> Duration {
        match self {
            Self::Granted(_) => settings.positive_ttl,
            Self::Rejected { .. } => settings.negative_ttl,
            Self::Unavailable { .. } => RETRY_AFTER,
        }
    }
}

impl Granted {
    fn is_within_grace(&self, now: Instant, settings: &AuthenticatorSettings) -> bool {
        now.saturating_duration_since(self.asked) < settings.positive_ttl.saturating_add(settings.grace)
    }
}

impl Slot {
    /// The slot that takes the place of an expired one.
    pub(super) fn after(expired: &Self) -> Self {
        let previous = match expired.verdict.get() {
            Some(Verdict::Granted(granted)) => Some(granted.clone()),
            Some(Verdict::Rejected { .. }) => None,
            Some(Verdict::Unavailable { .. }) | None => expired.previous.clone(),
        };
        Self { previous, ..Self::default() }
    }

    /// The answer, by asking where there is none.
    pub(super) async fn verdict_or<F: Future<Output = Verdict>>(&self, ask: impl FnOnce() -> F) -> &Verdict {
        self.verdict.get_or_init(ask).await
    }

    /// Whether the question must be put again. One under way never.
    pub(super) fn is_expired(&self, now: Instant, settings: &AuthenticatorSettings) -> bool {
        self.verdict
            .get()
            .is_some_and(|verdict| now.saturating_duration_since(verdict.since()) >= verdict.ttl(settings))
    }

    /// The last good answer if it may still be used with the authority away.
    pub(super) fn grace(&self, now: Instant, settings: &AuthenticatorSettings) -> Option<&Granted> {
        self.previous.as_ref().filter(|granted| granted.is_within_grace(now, settings))
    }

    /// Whether the slot opens something, may do so within the grace, or is being asked about.
    pub(super) fn is_worth_keeping(&self, now: Instant, settings: &AuthenticatorSettings) -> bool {
        match self.verdict.get() {
            None => true,
            Some(Verdict::Granted(granted)) => granted.is_within_grace(now, settings),
            Some(Verdict::Rejected { .. }) => false,
            Some(Verdict::Unavailable { .. }) => self.grace(now, settings).is_some(),
        }
    }

    /// When the answer's time began; `None` while the question is under way.
    pub(super) fn since(&self) -> Option<Instant> {
        self.verdict.get().map(Verdict::since)
    }
}
