//! What nobody waits for: removing the blocks of big files that went, and handing out objects to delete.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use proto::{BlockIndex, ObjectId, Timespec};

use super::error::{EngineError, Failure, Outcome};
use super::inode::{decode_record, encode_record};
use super::keys;
use super::tx::Tx;
use super::view::View;
use super::volume::Volume;
use crate::store::MetaKv;

impl<K: MetaKv> Volume<K> {
    /// Removes up to `budget` blocks of files that went. Tells whether there may be more. One batch: `budget` bounds for
    /// how long mutations wait.
    pub fn sweep(&self, now: Timespec, budget: usize) -> Result<bool, EngineError> {
        self.sweep_step(now, budget.max(1)).map_err(|failure| match failure {
            Failure::Broken(error) => error,
            other => EngineError::corrupt(format_args!("sweeping failed: {other:?}")),
        })
    }

    fn sweep_step(&self, now: Timespec, budget: usize) -> Outcome<bool> {
        let mut tx = Tx::begin(self);
        let mut trim = None;
        tx.scan(&keys::trims(), &mut |key, value| {
            trim = keys::parse_trim(key).map(|map| (map, value.to_vec()));
            ControlFlow::Break(())
        })?;
        let Some((map, value)) = trim else { return Ok(false) };
        let blocks = tx.blocks_from(map, decode_record("trim", &value)?, budget)?;
        match blocks.last() {
            Some((last, _)) if blocks.len() == budget => {
                tx.batch.put(keys::trim(map), encode_record(&BlockIndex(last.0.saturating_add(1))));
            }
            _ => tx.batch.remove(keys::trim(map)),
        }
        tx.drop_blocks(map, blocks, now);
        tx.commit()?;
        Ok(true)
    }

    /// Up to `limit` objects that nothing refers to and whose time of retention is over, the longest dead first. They
    /// are handed out again until they are forgotten.
    pub fn dead_objects(&self, now: Timespec, limit: usize) -> Result<Vec<ObjectId>, EngineError> {
        let mut objects = Vec::new();
        let retention_secs = self.limits().retention_secs;
        if retention_secs < 0 {
            return Ok(objects);
        }
        let mut tx = Tx::begin(self);
        let mut oldest = None;
        each_dead(self, tx.dead_since(), |_, dead| {
            oldest.get_or_insert(dead.second);
            let is_over = dead.second.saturating_add(retention_secs as u64) <= now.secs.max(0) as u64;
            if is_over {
                objects.extend(dead.objects().take(limit - objects.len()));
            }
            if is_over && objects.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        tx.note_dead_since(oldest.unwrap_or(u64::MAX));
        Ok(objects)
    }

    /// Forgets dead objects that were deleted. Others are left as they are.
    pub fn forget_objects(&self, objects: &[ObjectId]) -> Result<(), EngineError> {
        let mut deleted: BTreeSet<ObjectId> = objects.iter().copied().collect();
        let mut tx = Tx::begin(self);
        let mut touched = Vec::new();
        each_dead(self, tx.dead_since(), |key, dead| {
            let (gone, kept): (Vec<_>, Vec<_>) = dead.objects().partition(|object| deleted.remove(object));
            if !gone.is_empty() {
                touched.push((key.to_vec(), dead.second, kept));
            }
            if deleted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        for (key, second, kept) in touched {
            tx.batch.remove(key);
            tx.bury(kept, Timespec { secs: second as i64, nanos: 0 });
        }
        tx.commit()?;
        Ok(())
    }
}

/// Objects in a row that died in the same second.
pub(super) struct Dead {
    second: u64,
    first: ObjectId,
    count: u32,
}

impl Dead {
    pub(super) fn objects(&self) -> impl Iterator<Item = ObjectId> + use<> {
        (self.first.0..self.first.0.saturating_add(self.count.into())).map(ObjectId)
    }
}

/// Visits the objects that died in `since` or later, by the time of their death.
pub(super) fn each_dead<K: MetaKv>(
    volume: &Volume<K>,
    since: u64,
    mut visit: impl FnMut(&[u8], Dead) -> ControlFlow<()>,
) -> Result<(), EngineError> {
    let (from, to) = keys::dead_from(since);
    let mut outcome = Ok(());
    volume.kv.scan(&from, &to, &mut |key, value| match parse(key, value) {
        Ok(dead) => visit(key, dead),
        Err(error) => {
            outcome = Err(error);
            ControlFlow::Break(())
        }
    })?;
    outcome
}

fn parse(key: &[u8], value: &[u8]) -> Result<Dead, EngineError> {
    let (second, first) = keys::parse_dead(key).ok_or_else(|| EngineError::corrupt("dead object key"))?;
    Ok(Dead { second, first, count: decode_record("dead object", value)? })
}
