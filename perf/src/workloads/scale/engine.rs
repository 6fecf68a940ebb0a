//! The volume in the engine, without a server: opened from the folder, and looked up in.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use meta::engine::{SessionContext, SessionRecord, Volume, VolumeLimits};
use meta::store::{FjallDatabase, FjallKv};
use proto::{Caller, InodeId, OperationId, Reply, Request, RequestFrame, SessionId, SessionKey, Timespec, VolumeId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fill;
use super::plan::{Picks, Plan};
use super::serve::{CACHE_MAX, VOLUME, forget_pages};
use crate::seed::Seed;
use crate::tally::{Tally, Until};
use crate::worker::Duty;

/// A session straight into the engine.
pub(super) struct Direct {
    volume: Volume<FjallKv>,
    session: SessionContext,
    operation: u64,
}

impl Direct {
    /// Opens the volume in `folder`, or makes one.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let database = FjallDatabase::open(&folder.join("db"), CACHE_MAX)?;
        let limits = VolumeLimits { block_size: VOLUME.block_size, blocks_max: 0, inodes_max: 0, retention_secs: 0 };
        let volume = Volume::open(database.volume(VolumeId(Uuid::from_u128(VOLUME.id)))?, limits, now())?;
        let session = SessionContext { id: SessionId(Uuid::new_v4()), root: InodeId::ROOT, read_only: false };
        volume.open_session(SessionRecord::new(&session, &SessionKey([0; 16]), Uuid::nil(), now()))?;
        Ok(Self { volume, session, operation: 0 })
    }

    /// Asks as the superuser.
    pub(super) fn ask(&mut self, request: Request) -> Result<Reply> {
        let operation = request.is_mutation().then(|| {
            self.operation += 1;
            OperationId(self.operation)
        });
        let frame = RequestFrame { operation, caller: Caller::ROOT, request };
        let executed = self.volume.execute(&self.session, &frame, now());
        executed.reply.result.map_err(|refused| anyhow!("the engine refused {}: {refused:?}", frame.request.name()))
    }

    /// Waits until all is on disk.
    pub(super) fn persist(&self) -> Result<()> {
        self.volume.persist().context("putting the volume on disk").map(drop)
    }
}

fn now() -> Timespec {
    Timespec::from_system_time(std::time::SystemTime::now())
}

/// Looks files up at random.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Lookups {
    pub(super) plan: Plan,
    pub(super) seconds: f64,
    pub(super) seed: u64,
}

impl Lookups {
    pub(crate) fn in_folder(self, folder: &Path) -> Looking {
        Looking { job: self, folder: folder.to_owned(), direct: None }
    }
}

pub(crate) struct Looking {
    job: Lookups,
    folder: PathBuf,
    direct: Option<Direct>,
}

impl Duty for Looking {
    fn prepare(&mut self) -> Result<()> {
        forget_pages(&self.folder)?;
        self.direct = Some(Direct::open(&self.folder)?);
        Ok(())
    }

    fn phase(&mut self, _: usize, tally: &mut Tally) -> Result<()> {
        let direct = self.direct.as_mut().context("the volume was opened")?;
        let Lookups { plan, seconds, seed } = self.job;
        let mut picks = Picks::new(plan, fill::read_dirs(&self.folder)?, Seed::new(seed));
        let until = Until::seconds(seconds);
        while until.is_ahead() {
            let pick = picks.next()?;
            tally.time(|| direct.ask(Request::Lookup { parent: pick.dir, name: pick.name }))?;
        }
        Ok(())
    }
}
