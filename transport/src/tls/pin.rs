//! `Pin`: a pinned certificate that may become another one while connections are made.

use std::sync::RwLock;

use tokio::sync::Notify;

use super::Fingerprint;

/// The fingerprint that is expected now, and word of a server that showed another.
///
/// Who owns the pin waits for [`Pin::missed`], asks whoever vouches for the server, and sets what it says.
#[derive(Debug)]
pub struct Pin {
    expected: RwLock<Fingerprint>,
    missed: Notify,
}

impl Pin {
    /// Expects `fingerprint`.
    #[must_use]
    pub fn new(fingerprint: Fingerprint) -> Self {
        Self { expected: RwLock::new(fingerprint), missed: Notify::new() }
    }

    /// What is expected now.
    #[must_use]
    pub fn expected(&self) -> Fingerprint {
        *self.expected.read().expect("no code under this lock panics")
    }

    /// Expects `fingerprint` from here on.
    pub fn set(&self, fingerprint: Fingerprint) {
        *self.expected.write().expect("no code under this lock panics") = fingerprint;
    }

    /// Waits until a server shows another certificate; returns at once if one did since this was last awaited.
    pub async fn missed(&self) {
        self.missed.notified().await;
    }

    pub(super) fn note_miss(&self) {
        self.missed.notify_one();
    }
}
