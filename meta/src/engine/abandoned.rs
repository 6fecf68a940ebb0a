//! Ending what an earlier process left in a volume that nobody opened since.

use proto::Timespec;

use super::error::EngineError;
use super::superblock::recorded_block_size;
use super::volume::{Volume, VolumeLimits};
use crate::store::MetaKv;

/// Closes all sessions recorded in a volume and returns their number. Nobody else may have the volume open. Blocks for
/// the disk.
pub fn close_recorded_sessions<K: MetaKv>(kv: K, now: Timespec) -> Result<usize, EngineError> {
    let Some(block_size) = recorded_block_size(&kv)? else { return Ok(0) };
    let limits = VolumeLimits { block_size, blocks_max: 0, inodes_max: 0, retention_secs: -1 };
    let volume = Volume::open(kv, limits, now)?;
    let sessions = volume.sessions();
    for session in &sessions {
        volume.close_session(session.id, now)?;
    }
    volume.persist()?;
    Ok(sessions.len())
}
