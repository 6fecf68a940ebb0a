//! The cache in front of the authority on volume tokens.
//!
//! Owns who is asked when: each token is asked about once at a time, answers hold for a while, and a token that was good
//! stays good within a stated grace while the authority is away. Keeps no token, only keyed hashes of them.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::{hmac, rand};
use dashmap::{DashMap, Entry};
use proto::rest::TokenGrant;

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
    /// The token opens nothing here: asking again is of no use.
    #[error("the token is not accepted: it is wrong, was deleted, or its volume is retired or served elsewhere")]
    Rejected,
    /// Nobody can tell now: try again later.
    #[error("the token cannot be checked now: {0}")]
    Unavailable(String),
}

/// How long answers hold, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticatorSettings {
    /// A good token is asked about again after this.
    pub positive_ttl: Duration,
    /// A bad token is asked about again after this.
    pub negative_ttl: Duration,
    /// How much longer than `positive_ttl` a good token opens sessions while the authority is away.
    pub grace: Duration,
    /// Answers kept, about 1 KiB each. Callers in the middle of a question may exceed it by their number.
    pub entries_max: usize,
}

/// Answers of an authority, cached.
pub struct Authenticator<A> {
    authority: A,
    settings: AuthenticatorSettings,
    slots: DashMap<TokenHash, Arc<Slot>>,
    hash_key: hmac::Key,
}

/// Keyed hash of a token, under a key that lives as long as the process.
type TokenHash = [u8; 32];

impl<A: TokenAuthority> Authenticator<A> {
    /// An empty cache in front of `authority`.
    ///
    /// # Panics
    /// Where the operating system gives no random bytes.
    pub fn new(authority: A, settings: AuthenticatorSettings) -> Self {
        let hash_key = hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
            .expect("an operating system without random bytes can serve nobody");
        Self { authority, settings, slots: DashMap::new(), hash_key }
    }

    /// What `token` opens. Callers with the same token share one question; it survives any of them being dropped.
    pub async fn authenticate(&self, token: &VolumeToken, now: Instant) -> Result<Arc<TokenGrant>, AuthError> {
        let slot = self.slot_of(self.hash(token), now);
        match slot.verdict_or(|| self.ask(token, now)).await {
            Verdict::Granted(granted) => Ok(Arc::clone(&granted.grant)),
            Verdict::Rejected { .. } => Err(AuthError::Rejected),
            Verdict::Unavailable { reason, .. } => match slot.grace(now, &self.settings) {
                Some(granted) => {
                    tracing::debug!(token_id = %granted.grant.token_id, "token accepted within its grace");
                    Ok(Arc::clone(&granted.grant))
                }
                None => Err(AuthError::Unavailable(reason.clone())),
            },
        }
    }

    async fn ask(&self, token: &VolumeToken, now: Instant) -> Verdict {
        let began = tokio::time::Instant::now();
        match self.authority.validate(token).await {
            Ok(grant) => Verdict::Granted(Granted { grant: Arc::new(grant), asked: now }),
            Err(AuthorityError::Rejected) => Verdict::Rejected { asked: now },
            Err(AuthorityError::Unavailable(reason)) => {
                tracing::warn!(reason, "no answer about a token");
                Verdict::Unavailable { reason, answered: now + began.elapsed() }
            }
        }
    }

    /// The slot that holds or will hold the answer for the token.
    fn slot_of(&self, hash: TokenHash, now: Instant) -> Arc<Slot> {
        if let Some(slot) = self.slots.get(&hash)
            && !slot.is_expired(now, &self.settings)
        {
            return Arc::clone(&slot);
        }
        if self.slots.len() >= self.settings.entries_max {
            self.make_room(now);
        }
        match self.slots.entry(hash) {
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
        let mut answered: Vec<(Instant, TokenHash)> =
            self.slots.iter().filter_map(|slot| Some((slot.since()?, *slot.key()))).collect();
        answered.sort_unstable();
        for (_, hash) in &answered[..answered.len().div_ceil(4)] {
            self.slots.remove(hash);
        }
    }

    fn hash(&self, token: &VolumeToken) -> TokenHash {
        let tag = hmac::sign(&self.hash_key, token.expose().as_bytes());
        tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }
}

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
