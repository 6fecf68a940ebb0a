//! The cache in front of the authority on volume tokens.
//!
//! Owns who is asked when: each token is asked about once at a time, answers hold for a while, and a token that was good
//! stays good within a stated grace while the authority is away. Keeps no token, only keyed hashes of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use dashmap::mapref::multiple::RefMulti;
use dashmap::{DashMap, Entry};
use proto::feed::Change;
use proto::rest::TokenGrant;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use crate::VolumeToken;

mod slot;

use slot::{Granted, Slot, Verdict};

/// Who knows which tokens are good: the admin server, or a stand-in for it.
pub trait TokenAuthority: Send + Sync + 'static {
    /// Asks about `token`. Must come back: a deadline is the implementation's.
    fn validate(&self, token: &VolumeToken) -> impl Future<Output = Result<TokenGrant, AuthorityError>> + Send;
}

/// What an authority answers instead of a grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorityError {
    /// The token opens nothing here.
    #[error("the token is not accepted")]
    Rejected,
    /// It cannot tell now; the reason is for the log.
    #[error("no answer about the token: {0}")]
    Unavailable(String),
}

/// Why a token was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The token opens nothing here, and never did as far as is known: asking again is of no use.
    #[error("the token is not accepted: it is wrong, was deleted, or its volume is retired or served elsewhere")]
    Rejected,
    /// The token was good and opens nothing any more.
    #[error("the token was deleted or replaced, or its volume is retired")]
    Ended,
    /// Nobody can tell now: try again later.
    #[error("the token cannot be checked now: {0}")]
    Unavailable(String),
}

/// How long answers hold, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticatorSettings {
    /// A good token is asked about again after this. Changes that the authority tells count at once.
    pub positive_ttl: Duration,
    /// A bad token is asked about again after this.
    pub negative_ttl: Duration,
    /// A good token opens sessions while the authority is away for so long after it was asked about.
    pub grace: Duration,
    /// Answers kept, about 1 KiB each. Callers in the middle of a question may exceed it by their number.
    pub entries_max: usize,
}

/// Key of the hashes that tokens are known by.
pub type MarkKey = [u8; 32];

/// A token's keyed hash: names it in tables without being it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenMark([u8; 32]);

/// A good token as a process that ends writes it down: nothing of it opens anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Names the token.
    pub mark: TokenMark,
    /// How long ago it was asked about.
    pub age: Duration,
    /// What it opens.
    pub grant: TokenGrant,
}

/// Answers of an authority, cached.
pub struct Authenticator<A> {
    authority: A,
    settings: AuthenticatorSettings,
    slots: DashMap<TokenMark, Arc<Slot>>,
    mark_key: hmac::Key,
    /// Questions under way.
    turns: Semaphore,
    /// Counts what differs from before: new grants, and ends of old ones.
    news: AtomicU64,
}

impl<A: TokenAuthority> Authenticator<A> {
    /// An empty cache in front of `authority`. Marks of another cache are the same where `mark_key` is.
    pub fn new(authority: A, settings: AuthenticatorSettings, mark_key: &MarkKey) -> Self {
        Self {
            authority,
            settings,
            slots: DashMap::new(),
            mark_key: hmac::Key::new(hmac::HMAC_SHA256, mark_key),
            turns: Semaphore::new(QUESTIONS_MAX),
            news: AtomicU64::new(0),
        }
    }

    /// What `token` opens. Callers with the same token share one question; it survives any of them being dropped.
    /// An answer that a change overtook is not given: the question is put again.
    pub async fn authenticate(&self, token: &VolumeToken, now: Instant) -> Result<Arc<TokenGrant>, AuthError> {
        let mark = self.mark(token);
        for _ in 0..OVERTAKEN_MAX {
            let slot = self.slot_of(mark, now);
            let verdict = slot.verdict_or(|| self.ask(&slot, token, now)).await;
            if slot.is_revoked() {
                continue;
            }
            return match verdict {
                Verdict::Granted(granted) => Ok(Arc::clone(&granted.grant)),
                Verdict::Rejected { .. } if slot.was_good() => Err(AuthError::Ended),
                Verdict::Rejected { .. } => Err(AuthError::Rejected),
                Verdict::Unavailable { reason, .. } => match slot.grace(now, &self.settings) {
                    Some(granted) => {
                        tracing::debug!(token_id = %granted.grant.token_id, "token accepted within its grace");
                        Ok(Arc::clone(&granted.grant))
                    }
                    None => Err(AuthError::Unavailable(reason.clone())),
                },
            };
        }
        Err(AuthError::Unavailable("it changes all the time".to_owned()))
    }

    async fn ask(&self, slot: &Slot, token: &VolumeToken, now: Instant) -> Verdict {
        let _turn = self.turns.acquire().await.expect("nobody closes the semaphore");
        let began = tokio::time::Instant::now();
        match self.authority.validate(token).await {
            Ok(grant) => {
                let same = slot.same(&grant);
                self.news.fetch_add(u64::from(same.is_none()), Ordering::Relaxed);
                Verdict::Granted(Granted { grant: same.unwrap_or_else(|| Arc::new(grant)), asked: now })
            }
            Err(AuthorityError::Rejected) => Verdict::Rejected { asked: now },
            Err(AuthorityError::Unavailable(reason)) => {
                tracing::warn!(reason, "no answer about a token");
                Verdict::Unavailable { reason, answered: now + began.elapsed() }
            }
        }
    }

    /// What the authority told unasked: what was known of the tokens that it is about counts no more, the grace
    /// included. Rejections are forgotten too: any of them may be of a token that is new now.
    pub fn heed(&self, change: &Change) {
        self.news.fetch_add(1, Ordering::Relaxed);
        for mut slot in self.slots.iter_mut() {
            if slot.concerns(change) {
                slot.revoke();
                let next = Slot::after(&slot);
                *slot = Arc::new(next);
            }
        }
    }

    /// Changes may have been missed: every answer is asked for again when it is needed next. The grace counts on.
    pub fn doubt_all(&self) {
        self.slots.iter().for_each(|slot| slot.doubt());
    }

    /// Whether the answer for a token is still `grant`: no change overtook it.
    #[must_use]
    pub fn holds(&self, mark: &TokenMark, grant: &Arc<TokenGrant>) -> bool {
        self.slots.get(mark).is_some_and(|slot| !slot.is_revoked() && slot.granted_is(grant))
    }

    /// The answer about a token, where it needs no question.
    #[must_use]
    pub fn cached(&self, mark: &TokenMark, now: Instant) -> Option<Arc<TokenGrant>> {
        let slot = self.slots.get(mark)?;
        if slot.is_expired(now, &self.settings) { None } else { slot.granted().map(Arc::clone) }
    }

    /// Whether `token` was found good before, and may still open something without a question.
    #[must_use]
    pub fn knows(&self, mark: &TokenMark, now: Instant) -> bool {
        self.slots.get(mark).is_some_and(|slot| !slot.is_revoked() && slot.known(now, &self.settings).is_some())
    }

    /// Changes whenever something is known that was not: a reason to write it down.
    #[must_use]
    pub fn news(&self) -> u64 {
        self.news.load(Ordering::Relaxed)
    }

    /// What to know again after a restart: every token that may open something within the grace, with the age of the
    /// answer about it.
    #[must_use]
    pub fn remember(&self, now: Instant) -> Vec<Remembered> {
        let known = |slot: RefMulti<'_, TokenMark, Arc<Slot>>| {
            let granted = slot.known(now, &self.settings)?;
            let age = now.saturating_duration_since(granted.asked);
            Some(Remembered { mark: *slot.key(), age, grant: TokenGrant::clone(&granted.grant) })
        };
        self.slots.iter().filter_map(known).collect()
    }

    /// Takes up what an earlier process remembered. All of it is asked about again when it is needed; without an
    /// authority it opens sessions for what is left of the grace.
    pub fn recall(&self, remembered: Vec<Remembered>, now: Instant) {
        for Remembered { mark, age, grant } in remembered.into_iter().take(self.settings.entries_max) {
            if let Some(asked) = now.checked_sub(age) {
                self.slots.entry(mark).or_insert_with(|| Arc::new(Slot::recalled(grant, asked)));
            }
        }
    }

    /// The token's name in tables.
    #[must_use]
    pub fn mark(&self, token: &VolumeToken) -> TokenMark {
        let tag = hmac::sign(&self.mark_key, token.expose().as_bytes());
        TokenMark(tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes"))
    }

    /// The slot that holds or will hold the answer for the token.
    fn slot_of(&self, mark: TokenMark, now: Instant) -> Arc<Slot> {
        if let Some(slot) = self.slots.get(&mark)
            && !slot.is_expired(now, &self.settings)
        {
            return Arc::clone(&slot);
        }
        if self.slots.len() >= self.settings.entries_max {
            self.make_room(now);
        }
        match self.slots.entry(mark) {
            Entry::Occupied(mut entry) => {
                if entry.get().is_expired(now, &self.settings) {
                    let next = Slot::after(entry.get());
                    entry.insert(Arc::new(next));
                }
                Arc::clone(entry.get())
            }
            Entry::Vacant(entry) => Arc::clone(entry.insert(Arc::default()).value()),
        }
    }

    /// Drops what is least missed: first all that opens nothing, then the quarter of the rest that was asked longest ago.
    /// Questions under way stay. A flood of wrong tokens thus costs no good one its place.
    fn make_room(&self, now: Instant) {
        self.slots.retain(|_, slot| slot.is_worth_keeping(now, &self.settings));
        if self.slots.len() < self.settings.entries_max {
            return;
        }
        let mut answered: Vec<(Instant, TokenMark)> =
            self.slots.iter().filter_map(|slot| Some((slot.since()?, *slot.key()))).collect();
        answered.sort_unstable();
        for (_, mark) in &answered[..answered.len().div_ceil(4)] {
            self.slots.remove(mark);
        }
    }
}

/// Questions under way at once: guesses must not keep the authority busy.
const QUESTIONS_MAX: usize = 64;
/// How often a question is put again because a change came while it was under way.
const OVERTAKEN_MAX: usize = 8;

impl<A> fmt::Debug for Authenticator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("settings", &self.settings)
            .field("entries", &self.slots.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
