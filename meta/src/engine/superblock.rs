//! The superblock: what a volume begins from, and the counters that every commit writes anew.

use proto::{Caller, FileKind, InodeId, Sequence, SessionId, Timespec};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::EngineError;
use super::inode::{Content, Inode, decode_record, encode_record};
use super::keys::{self, MapId};
use super::ops::Ask;
use super::session::SessionContext;
use crate::store::{Batch, MetaKv};

/// How far the counters of ids go ahead when a volume is opened. A power loss sets a volume back to its last flush, and
/// what was handed out since is known to mounts and the block store: far more ids than a server can hand out between two
/// flushes, and few enough for billions of starts.
const IDS_SKIPPED: u64 = 1 << 32;

/// Numbers that every batch writes anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counters {
    /// Last commit.
    pub(super) sequence: Sequence,
    /// Next inode or map id.
    pub(super) next_id: u64,
    /// Next object id.
    pub(super) next_object: u64,
    /// Inodes, orphans included.
    pub(super) inodes_used: u64,
    /// Sum of the allocated bytes of all inodes.
    pub(super) bytes_used: u64,
}

/// The record of a volume as a whole.
#[derive(Serialize, Deserialize)]
pub(super) struct Superblock {
    pub(super) block_size: u32,
    pub(super) name_key: [u8; 16],
    pub(super) counters: Counters,
}

impl Superblock {
    /// The superblock of the volume in a key space, ready to go on from; of an empty volume where there is none yet.
    pub(super) fn take_up_or_create<K: MetaKv>(kv: &K, block_size: u32, now: Timespec) -> Result<Self, EngineError> {
        match kv.get(&keys::superblock())? {
            Some(value) => take_up(kv, decode_record("superblock", &value)?, block_size),
            None => create(kv, block_size, now),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        encode_record(self)
    }
}

/// Bytes in a block of the volume in a key space; `None` where there is no volume yet.
pub(crate) fn recorded_block_size<K: MetaKv>(kv: &K) -> Result<Option<u32>, EngineError> {
    let superblock = kv.get(&keys::superblock())?;
    superblock.map(|value| Ok(decode_record::<Superblock>("superblock", &value)?.block_size)).transpose()
}

fn create<K: MetaKv>(kv: &K, block_size: u32, now: Timespec) -> Result<Superblock, EngineError> {
    if kv.persisted() > Sequence(0) {
        return Err(EngineError::LostCommits { found: Sequence(0), expected: kv.persisted() });
    }
    let ask = Ask { session: &FOUNDER, caller: &Caller::ROOT, now };
    let attr = ask.new_attr(InodeId::ROOT, FileKind::Directory, 0o755, 0);
    let root = Inode {
        attr,
        parent: InodeId::ROOT,
        map: MapId(InodeId::ROOT.0),
        entries: 0,
        xattr_list_len: 0,
        xattr_bytes: 0,
        content: Content::None,
    };
    let counters =
        Counters { sequence: Sequence(1), next_id: InodeId::ROOT.0 + 1, next_object: 1, inodes_used: 1, bytes_used: 0 };
    let superblock = Superblock { block_size, name_key: *Uuid::new_v4().as_bytes(), counters };
    let mut batch = Batch::default();
    batch.put(keys::inode(InodeId::ROOT), root.encode());
    batch.put(keys::superblock(), encode_record(&superblock));
    kv.commit(batch)?;
    Ok(superblock)
}

/// Checks a volume that is there and sets its counters of ids beyond all that may be in use.
fn take_up<K: MetaKv>(kv: &K, mut superblock: Superblock, block_size: u32) -> Result<Superblock, EngineError> {
    if superblock.block_size != block_size {
        return Err(EngineError::BlockSize { found: superblock.block_size, expected: block_size });
    }
    let counters = &mut superblock.counters;
    if counters.sequence < kv.persisted() {
        return Err(EngineError::LostCommits { found: counters.sequence, expected: kv.persisted() });
    }
    counters.sequence.0 += 1;
    counters.next_id = counters.next_id.saturating_add(IDS_SKIPPED);
    counters.next_object = counters.next_object.saturating_add(IDS_SKIPPED);
    let mut batch = Batch::default();
    batch.put(keys::superblock(), encode_record(&superblock));
    kv.commit(batch)?;
    Ok(superblock)
}

/// Who makes the root directory.
const FOUNDER: SessionContext = SessionContext::new(SessionId(Uuid::nil()), InodeId::ROOT);
