//! One token's place in the cache: the answer, once it is there, and the last good one for the grace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::feed::Change;
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
    /// A change overtook the answer, or the question: it counts no more.
    revoked: AtomicBool,
    /// A change may have been missed: the question must be put again.
    doubted: AtomicBool,
    /// The token was good once.
    former: bool,
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
        now.saturating_duration_since(self.asked) < settings.grace.max(settings.positive_ttl)
    }
}

impl Slot {
    /// The slot of a token that was good, asked about at `asked`. It is asked about again before it is used.
    pub(super) fn recalled(grant: TokenGrant, asked: Instant) -> Self {
        let granted = Granted { grant: Arc::new(grant), asked };
        let slot = Self { verdict: OnceCell::new_with(Some(Verdict::Granted(granted))), ..Self::default() };
        slot.doubt();
        slot
    }

    /// The slot that takes the place of an expired one.
    pub(super) fn after(expired: &Self) -> Self {
        let former = expired.was_good();
        if expired.is_revoked() {
            return Self { former, ..Self::default() };
        }
        let previous = match expired.verdict.get() {
            Some(Verdict::Granted(granted)) => Some(granted.clone()),
            Some(Verdict::Rejected { .. }) => None,
            Some(Verdict::Unavailable { .. }) | None => expired.previous.clone(),
        };
        Self { previous, former, ..Self::default() }
    }

    /// The answer, by asking where there is none.
    pub(super) async fn verdict_or<F: Future<Output = Verdict>>(&self, ask: impl FnOnce() -> F) -> &Verdict {
        self.verdict.get_or_init(ask).await
    }

    /// Whether a change is about this token, as far as is known: a question under way may be about any.
    pub(super) fn concerns(&self, change: &Change) -> bool {
        let is_about = |grant: &TokenGrant| match *change {
            Change::TokenGone(id) | Change::TokenChanged(id) => grant.token_id == id,
            Change::VolumeGone(id) | Change::VolumeChanged(id) => grant.volume.id.0 == id,
        };
        match self.verdict.get() {
            None | Some(Verdict::Rejected { .. }) => true,
            Some(Verdict::Granted(granted)) => is_about(&granted.grant),
            Some(Verdict::Unavailable { .. }) => self.previous.as_ref().is_none_or(|granted| is_about(&granted.grant)),
        }
    }

    /// Whether the token opened something before.
    pub(super) fn was_good(&self) -> bool {
        self.former || self.previous.is_some() || self.granted().is_some()
    }

    /// What the token opens, by the answer that is there.
    pub(super) fn granted(&self) -> Option<&Arc<TokenGrant>> {
        match self.verdict.get() {
            Some(Verdict::Granted(granted)) => Some(&granted.grant),
            _ => None,
        }
    }

    /// A change overtook the answer.
    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_revoked(&self) -> bool {
        self.revoked.load(Ordering::SeqCst)
    }

    /// A change may have been missed.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::SeqCst);
    }

    /// The good answer that the slot gives without a question, now or with the authority away.
    pub(super) fn known(&self, now: Instant, settings: &AuthenticatorSettings) -> Option<&Granted> {
        match self.verdict.get() {
            Some(Verdict::Granted(granted)) => Some(granted).filter(|granted| granted.is_within_grace(now, settings)),
            Some(Verdict::Rejected { .. }) => None,
            Some(Verdict::Unavailable { .. }) | None => self.grace(now, settings),
        }
    }

    /// The last good answer, where it is the same as this one.
    pub(super) fn same(&self, grant: &TokenGrant) -> Option<Arc<TokenGrant>> {
        let previous = self.previous.as_ref().filter(|previous| *previous.grant == *grant)?;
        Some(Arc::clone(&previous.grant))
    }

    /// Whether `grant` is what the slot answers, or answered last.
    pub(super) fn granted_is(&self, grant: &Arc<TokenGrant>) -> bool {
        let granted = match self.verdict.get() {
            Some(Verdict::Granted(granted)) => Some(granted),
            _ => self.previous.as_ref(),
        };
        granted.is_some_and(|granted| Arc::ptr_eq(&granted.grant, grant))
    }

    /// Whether the question must be put again. One under way only where a change overtook it.
    pub(super) fn is_expired(&self, now: Instant, settings: &AuthenticatorSettings) -> bool {
        let Some(verdict) = self.verdict.get() else { return self.is_revoked() };
        self.is_revoked()
            || self.doubted.load(Ordering::SeqCst)
            || now.saturating_duration_since(verdict.since()) >= verdict.ttl(settings)
    }

    /// The last good answer if it may still be used with the authority away.
    pub(super) fn grace(&self, now: Instant, settings: &AuthenticatorSettings) -> Option<&Granted> {
        self.previous.as_ref().filter(|granted| granted.is_within_grace(now, settings))
    }

    /// Whether the slot opens something, may do so within the grace, or is being asked about.
    pub(super) fn is_worth_keeping(&self, now: Instant, settings: &AuthenticatorSettings) -> bool {
        match self.verdict.get() {
            // Nobody may ask any more about one that was good.
            None => !self.former,
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
