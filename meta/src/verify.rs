//! Checking a data folder at rest: every volume in it, without changing any.

use std::ops::ControlFlow;
use std::path::Path;

use proto::{Sequence, Timespec, VolumeId};

use crate::engine::{EngineError, Volume, VolumeLimits, check, recorded_block_size};
use crate::error::MetaError;
use crate::store::{Batch, FjallDatabase, MetaKv, StoreError, Visit};

/// What was found out about one volume.
#[derive(Debug)]
pub struct Findings {
    /// The volume.
    pub volume: VolumeId,
    /// Inodes that it says it has; 0 where it cannot be opened.
    pub inodes: u64,
    /// What is wrong, a line for each; nothing of a sound volume.
    pub problems: Vec<String>,
}

/// Checks the volumes in `folder` one after the other and hands each one's findings to `tell`. No server may have the
/// folder open. Memory grows with the number of inodes of the largest volume.
///
/// # Errors
/// The folder is none of a metadata server, is in use, or cannot be read.
pub fn verify(folder: &Path, mut tell: impl FnMut(Findings)) -> Result<(), MetaError> {
    let database = FjallDatabase::open_existing(folder, CACHE_MAX)?;
    for volume in database.volumes() {
        tell(examine(volume, AtRest(database.volume(volume)?)));
    }
    Ok(())
}

fn examine(volume: VolumeId, kv: impl MetaKv) -> Findings {
    match open(kv) {
        // Made and never used.
        Ok(None) => Findings { volume, inodes: 0, problems: Vec::new() },
        Ok(Some(opened)) => Findings { volume, inodes: opened.stat().inodes_used, problems: check(&opened) },
        Err(error) => Findings { volume, inodes: 0, problems: vec![error.to_string()] },
    }
}

fn open<K: MetaKv>(kv: K) -> Result<Option<Volume<K>>, EngineError> {
    let Some(block_size) = recorded_block_size(&kv)? else {
        let mut is_empty = kv.persisted() == Sequence(0);
        kv.scan(&[], &[u8::MAX], &mut |_, _| {
            is_empty = false;
            ControlFlow::Break(())
        })?;
        return if is_empty { Ok(None) } else { Err(EngineError::corrupt("the superblock is missing")) };
    };
    let limits = VolumeLimits { block_size, blocks_max: 0, inodes_max: 0, retention_secs: -1 };
    Volume::open(kv, limits, Timespec::from_system_time(std::time::SystemTime::now())).map(Some)
}

/// A key space that is only read. Opening a volume notes that it was opened; here that is for nobody to read.
struct AtRest<K>(K);

impl<K: MetaKv> MetaKv for AtRest<K> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.scan(from, to, visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.scan_back(from, to, visit)
    }

    fn commit(&self, _batch: Batch) -> Result<(), StoreError> {
        Ok(())
    }

    fn persist(&self, _sequence: Sequence) -> Result<(), StoreError> {
        Ok(())
    }

    fn persisted(&self) -> Sequence {
        self.0.persisted()
    }
}

/// Cache of the database, in bytes: each record is read about once.
const CACHE_MAX: u64 = 64 << 20;

#[cfg(test)]
mod tests;
