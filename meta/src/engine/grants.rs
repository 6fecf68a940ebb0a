//! Object ids that sessions may write under and have not committed yet.
//!
//! A grant is a range. A commit takes ids out of it, which splits it; what is left when the session ends was possibly
//! written and is dead. The ranges are kept in memory as well as in the store: every commit looks at them.

use std::collections::{BTreeMap, HashMap};

use proto::{ObjectId, SessionId};
use serde::{Deserialize, Serialize};

use super::error::EngineError;
use super::inode::decode_record;
use super::keys;
use super::volume::each;
use crate::store::MetaKv;

/// Ids a session may hold without having committed them: bounds what one mount can make the server remember.
pub(super) const OUTSTANDING_MAX: u64 = 64 << 10;

/// A range of ids, from the id it is filed under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Grant {
    pub(super) count: u32,
    pub(super) session: SessionId,
}

/// One change of the table: the grant that begins at an id, or none any more.
pub(super) type GrantChange = (ObjectId, Option<Grant>);

/// All grants of a volume.
#[derive(Debug, Default)]
pub(super) struct Grants {
    ranges: BTreeMap<ObjectId, Grant>,
    outstanding: HashMap<SessionId, u64>,
}

impl Grants {
    /// Those that are recorded.
    pub(super) fn load<K: MetaKv>(kv: &K) -> Result<Self, EngineError> {
        let mut grants = Self::default();
        each(kv, keys::grants(), |key, value| {
            let first = keys::parse_grant(key).ok_or_else(|| EngineError::corrupt("grant key"))?;
            grants.apply((first, Some(decode_record("grant", value)?)));
            Ok(())
        })?;
        Ok(grants)
    }

    pub(super) fn apply(&mut self, (first, grant): GrantChange) {
        if let Some(replaced) = self.ranges.remove(&first)
            && let Some(outstanding) = self.outstanding.get_mut(&replaced.session)
        {
            *outstanding -= u64::from(replaced.count);
            if *outstanding == 0 {
                self.outstanding.remove(&replaced.session);
            }
        }
        if let Some(grant) = grant {
            *self.outstanding.entry(grant.session).or_default() += u64::from(grant.count);
            self.ranges.insert(first, grant);
        }
    }

    /// Ids that a session holds uncommitted.
    pub(super) fn outstanding(&self, session: SessionId) -> u64 {
        self.outstanding.get(&session).copied().unwrap_or(0)
    }

    /// Up to `limit` ranges of a session.
    pub(super) fn of(&self, session: SessionId, limit: usize) -> Vec<(ObjectId, Grant)> {
        if self.outstanding(session) == 0 {
            return Vec::new();
        }
        let ranges = self.ranges.iter().filter(|(_, grant)| grant.session == session);
        ranges.take(limit).map(|(first, grant)| (*first, *grant)).collect()
    }

    /// Those of `ids` that are in `session`'s grants, ascending, each once.
    pub(super) fn granted(&self, session: SessionId, ids: &[ObjectId]) -> Vec<ObjectId> {
        let is_granted = |id: &ObjectId| match self.ranges.range(..=*id).next_back() {
            Some((first, grant)) => grant.session == session && id.0 - first.0 < u64::from(grant.count),
            None => false,
        };
        let mut granted: Vec<ObjectId> = ids.iter().copied().filter(is_granted).collect();
        granted.sort_unstable();
        granted.dedup();
        granted
    }

    /// The changes that take `ids` out of `session`'s grants; `None` where one of them is not in there, or named twice.
    pub(super) fn take(&self, session: SessionId, mut ids: Vec<ObjectId>) -> Option<Vec<GrantChange>> {
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let mut changes = Vec::new();
        let mut rest = ids.as_slice();
        while let Some(&id) = rest.first() {
            let (&first, &grant) = self.ranges.range(..=id).next_back()?;
            let behind = first.0 + u64::from(grant.count);
            if grant.session != session || id.0 >= behind {
                return None;
            }
            let (taken, others) = rest.split_at(rest.partition_point(|id| id.0 < behind));
            changes.push((first, None));
            let mut free = first.0;
            for id in taken.iter().map(|id| id.0).chain([behind]) {
                if free < id {
                    changes.push((ObjectId(free), Some(Grant { count: (id - free) as u32, session })));
                }
                free = id + 1;
            }
            rest = others;
        }
        Some(changes)
    }
}

#[cfg(test)]
mod tests;
