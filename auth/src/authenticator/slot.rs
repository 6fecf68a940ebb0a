//! One token's place in the cache: the answer, once it is there, and the last good one for the grace.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto::rest::TokenGrant;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{AuthenticatorSettings, AuthorityError};

/// An authority that is away is asked again after this, so that a crowd that reconnects does not queue up one deadline
/// after the other.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// One question. The first caller asks, the others wait for its answer; if it is dropped, another of them asks.
#[derive(Default)]
pub(super) struct Slot {
    verdict: OnceCell<Verdict>,
    /// The last good answer of before.
    previous: Option<Granted>,
    /// Set where an invalidation found the slot; those who hold it still must not use the grace.
    revoked: AtomicBool,
}

/// The answer. `asked` is when the question was put, so an answer is never thought younger than it is.
pub(super) enum Verdict {
    Granted(Granted),
    Rejected { asked: Instant },
    Unavailable { reason: String, asked: Instant },
}

/// A good answer.
#[derive(Clone)]
pub(super) struct Granted {
    pub(super) grant: Arc<TokenGrant>,
    asked: Instant,
}

impl Verdict {
    pub(super) fn of(answer: Result<TokenGrant, AuthorityError>, asked: Instant) -> Self {
        match answer {
            Ok(grant) => Self::Granted(Granted { grant: Arc::new(grant), asked }),
            Err(AuthorityError::Rejected) => Self::Rejected { asked },
            Err(AuthorityError::Unavailable(reason)) => Self::Unavailable { reason, asked },
        }
    }

    fn asked(&self) -> Instant {
        match self {
            Self::Granted(granted) => granted.asked,
            Self::Rejected { asked } | Self::Unavailable { asked, .. } => *asked,
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
            .is_some_and(|verdict| now.saturating_duration_since(verdict.asked()) >= verdict.ttl(settings))
    }

    /// The last good answer if it may still be used with the authority away.
    pub(super) fn grace(&self, now: Instant, settings: &AuthenticatorSettings) -> Option<&Granted> {
        let revoked = self.revoked.load(Ordering::SeqCst);
        self.previous.as_ref().filter(|granted| !revoked && granted.is_within_grace(now, settings))
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

    /// Whether this is, or may become, an answer about the token with that id. Ends its grace if so.
    pub(super) fn revoke(&self, token_id: Uuid) -> bool {
        let is_it = |granted: &Granted| granted.grant.token_id == token_id;
        let revoked = match self.verdict.get() {
            None => true,
            Some(Verdict::Granted(granted)) => is_it(granted),
            Some(Verdict::Rejected { .. }) => false,
            Some(Verdict::Unavailable { .. }) => self.previous.as_ref().is_some_and(is_it),
        };
        if revoked {
            self.revoked.store(true, Ordering::SeqCst);
        }
        revoked
    }

    /// When the question was put; `None` while it is under way.
    pub(super) fn asked(&self) -> Option<Instant> {
        self.verdict.get().map(Verdict::asked)
    }
}
