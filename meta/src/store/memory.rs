//! `MemoryKv`: the key space in memory, for tests and simulation.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use proto::Sequence;

use super::{Batch, MetaKv, StoreError, Visit};

/// A key space in memory. Clones share it, so that a test can "restart" a volume on what it wrote.
#[derive(Clone, Debug, Default)]
pub struct MemoryKv {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    records: RwLock<BTreeMap<Vec<u8>, Vec<u8>>>,
    persisted: AtomicU64,
}

impl MemoryKv {
    /// The records of a range. Visitors may read again, so the lock is not held while they run.
    fn copy(&self, from: &[u8], to: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        if from >= to {
            return Vec::new();
        }
        let records = self.shared.records.read().expect("no code under this lock panics");
        let range = (Bound::Included(from), Bound::Excluded(to));
        records.range::<[u8], _>(range).map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl MetaKv for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.shared.records.read().expect("no code under this lock panics").get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        for (key, value) in self.copy(from, to) {
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        for (key, value) in self.copy(from, to).into_iter().rev() {
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut records = self.shared.records.write().expect("no code under this lock panics");
        for (key, value) in batch.into_changes() {
            match value {
                Some(value) => records.insert(key, value),
                None => records.remove(&key),
            };
        }
        Ok(())
    }

    fn persist(&self, sequence: Sequence) -> Result<(), StoreError> {
        self.shared.persisted.fetch_max(sequence.0, Ordering::AcqRel);
        Ok(())
    }

    fn persisted(&self) -> Sequence {
        Sequence(self.shared.persisted.load(Ordering::Acquire))
    }
}
