//! A session straight into the metadata engine: no server, no network.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use meta::engine::{SessionContext, SessionRecord, Volume, VolumeLimits};
use meta::store::{FjallDatabase, FjallKv};
use proto::{Caller, InodeId, OperationId, Reply, Request, RequestFrame, SessionId, SessionKey, Timespec, VolumeId};
use uuid::Uuid;

/// Bytes of a block of volumes that the run makes by itself.
pub(crate) const BLOCK_SIZE: u32 = 4 << 20;

/// The only volume of a database that the run makes by itself.
pub(crate) fn volume_id() -> VolumeId {
    VolumeId(Uuid::from_u128(1))
}

/// Opens the volume in `folder`, or makes one. `cache_max`: bytes of the cache of the store's tables.
pub(crate) fn open_volume(folder: &Path, cache_max: u64) -> Result<Volume<FjallKv>> {
    let database = FjallDatabase::open(folder, cache_max)?;
    let limits = VolumeLimits { block_size: BLOCK_SIZE, blocks_max: 0, inodes_max: 0, retention_secs: 0 };
    Ok(Volume::open(database.volume(volume_id())?, limits, now())?)
}

/// See the module's text.
pub(crate) struct Direct {
    volume: Arc<Volume<FjallKv>>,
    session: SessionContext,
    operation: u64,
}

impl Direct {
    /// Opens a session.
    pub(crate) fn open(volume: Arc<Volume<FjallKv>>) -> Result<Self> {
        let session = SessionContext::new(SessionId(Uuid::new_v4()), InodeId::ROOT);
        volume.open_session(SessionRecord::new(&session, &SessionKey([0; 16]), Uuid::nil(), now()))?;
        Ok(Self { volume, session, operation: 0 })
    }

    /// Names the session.
    pub(crate) fn id(&self) -> SessionId {
        self.session.id
    }

    /// Asks as the superuser.
    pub(crate) fn ask(&mut self, request: Request) -> Result<Reply> {
        let operation = request.is_mutation().then(|| {
            self.operation += 1;
            OperationId(self.operation)
        });
        let frame = RequestFrame { operation, caller: Caller::ROOT, request };
        let executed = self.volume.execute(&self.session, &frame, now());
        executed.reply.result.map_err(|refused| anyhow!("the engine refused {}: {refused:?}", frame.request.name()))
    }

    /// Waits until all is on disk.
    pub(crate) fn persist(&self) -> Result<()> {
        self.volume.persist().context("putting the volume on disk").map(drop)
    }
}

fn now() -> Timespec {
    Timespec::from_system_time(std::time::SystemTime::now())
}
