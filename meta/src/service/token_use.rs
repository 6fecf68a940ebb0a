//! `TokenUses`: which tokens opened sessions since that was told last. Those that have sessions are counted when asked.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use proto::rest::TokenUse;
use uuid::Uuid;

use super::hosted::HostedVolumes;

/// Tokens that are noted between two reports. More are told of only while they have sessions.
const NOTED_MAX: usize = 16_384;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct TokenUses {
    noted: Mutex<HashSet<Uuid>>,
}

impl TokenUses {
    /// A session was opened or joined with this token.
    pub(super) fn note(&self, token: Uuid) {
        let mut noted = self.noted.lock().expect("no code under this lock panics");
        if noted.len() < NOTED_MAX {
            noted.insert(token);
        }
    }

    /// The tokens in use, and those that were since the last time this was asked.
    pub(super) fn take(&self, volumes: &HostedVolumes) -> Vec<TokenUse> {
        let noted = std::mem::take(&mut *self.noted.lock().expect("no code under this lock panics"));
        let mut mounts: HashMap<Uuid, u32> = noted.into_iter().map(|token| (token, 0)).collect();
        for (_, volume) in volumes.opened() {
            for session in volume.sessions().iter().filter(|session| session.is_live()) {
                *mounts.entry(session.token_id).or_default() += 1;
            }
        }
        let mut uses: Vec<TokenUse> =
            mounts.into_iter().map(|(token_id, mounts)| TokenUse { token_id, mounts }).collect();
        uses.sort_unstable_by_key(|token| token.token_id);
        uses
    }
}
