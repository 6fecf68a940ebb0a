//! The volumes of this server: opened at the first session, each with its engine, its sessions and its block store.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use block::BlockStore;
use dashmap::DashMap;
use proto::rest::VolumeUse;
use proto::{Errno, SessionId, Timespec, VolumeId, VolumeSettings};
use tokio::sync::OnceCell;

use super::committer::{Committer, Flush};
use super::sessions::Session;
use super::space::Space;
use crate::engine::{Volume, VolumeLimits, close_recorded_sessions};
use crate::error::MetaError;
use crate::store::{DatabaseUse, FjallDatabase, FjallKv};

/// Sessions that one volume takes.
const SESSIONS_MAX: usize = 16_384;
/// Sessions that one token opens: a leaked one must leave room for the others.
const TOKEN_SESSIONS_MAX: usize = 1024;

/// One volume in service.
pub(crate) struct HostedVolume {
    pub(crate) id: VolumeId,
    pub(crate) engine: Arc<Volume<FjallKv>>,
    /// Where its objects are, to delete the dead ones.
    pub(crate) store: Arc<dyn BlockStore>,
    /// Where its records are.
    pub(crate) space: Arc<Space>,
    sessions: DashMap<SessionId, Arc<Session>>,
    committer: Arc<Committer>,
}

impl Flush for Volume<FjallKv> {
    fn flush(&self) -> Result<(), Errno> {
        self.persist().map(drop).map_err(|error| {
            tracing::error!(%error, "flushing the metadata journal failed");
            Errno::EIO
        })
    }
}

impl HostedVolume {
    /// Waits until everything committed so far is on disk.
    pub(crate) async fn flushed(&self) -> Result<(), Errno> {
        let engine = Arc::clone(&self.engine);
        self.committer.flushed(engine).await
    }

    /// Adds a new session, or says which bound is reached.
    pub(crate) fn admit(&self, session: &Arc<Session>) -> Result<(), String> {
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(format!("the volume has all the sessions it may have ({SESSIONS_MAX})"));
        }
        if self.sessions.iter().filter(|other| other.token_id == session.token_id).count() >= TOKEN_SESSIONS_MAX {
            return Err(format!("the volume token has all the sessions it may have ({TOKEN_SESSIONS_MAX})"));
        }
        self.sessions.insert(session.id(), Arc::clone(session));
        Ok(())
    }

    /// Adds a resumed session, or returns the one that another connection of the mount resumed first.
    pub(crate) fn readmit(&self, session: Arc<Session>) -> Arc<Session> {
        Arc::clone(self.sessions.entry(session.id()).or_insert(session).value())
    }

    /// Takes a session out.
    pub(crate) fn dismiss(&self, id: SessionId) {
        self.sessions.remove(&id);
    }

    /// A session of this process.
    pub(crate) fn session(&self, id: SessionId) -> Option<Arc<Session>> {
        self.sessions.get(&id).map(|session| Arc::clone(session.value()))
    }

    /// All sessions of this process.
    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        self.sessions.iter().map(|session| Arc::clone(session.value())).collect()
    }
}

/// All volumes of the data folder.
pub(crate) struct HostedVolumes {
    database: FjallDatabase,
    pub(super) space: Arc<Space>,
    committer: Arc<Committer>,
    /// A cell for each volume, so that opening one takes no lock and happens once.
    volumes: Mutex<Vec<(VolumeId, VolumeCell)>>,
}

type VolumeCell = Arc<OnceCell<Arc<HostedVolume>>>;

impl fmt::Debug for HostedVolumes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostedVolumes").finish_non_exhaustive()
    }
}

impl HostedVolumes {
    pub(crate) fn open(folder: &Path, cache_max: u64) -> Result<Self, MetaError> {
        let database = FjallDatabase::open(folder, cache_max)?;
        let committer = Committer::start().map_err(|source| MetaError::Thread { source })?;
        let space = Arc::new(Space::of(folder));
        Ok(Self { database, space, committer: Arc::new(committer), volumes: Mutex::default() })
    }

    /// The volume with these settings, opened if need be. Settings that changed (quotas) take effect.
    pub(crate) async fn volume(&self, settings: &VolumeSettings) -> Result<Arc<HostedVolume>, MetaError> {
        let volume = self.cell(settings.id).get_or_try_init(|| self.open_volume(settings)).await.map(Arc::clone)?;
        volume.engine.set_limits(limits(settings));
        Ok(volume)
    }

    fn cell(&self, id: VolumeId) -> VolumeCell {
        let mut volumes = self.volumes.lock().expect("no code under this lock panics");
        if let Some((_, cell)) = volumes.iter().find(|(other, _)| *other == id) {
            return Arc::clone(cell);
        }
        let cell = VolumeCell::default();
        volumes.push((id, Arc::clone(&cell)));
        cell
    }

    async fn open_volume(&self, settings: &VolumeSettings) -> Result<Arc<HostedVolume>, MetaError> {
        let (database, settings, committer) = (self.database.clone(), settings.clone(), Arc::clone(&self.committer));
        let space = Arc::clone(&self.space);
        let opening = tokio::task::spawn_blocking(move || {
            let store = block::open_or_make(&settings.block_store, settings.id)?;
            let now = Timespec::from_system_time(std::time::SystemTime::now());
            let engine = Volume::open(database.volume(settings.id)?, limits(&settings), now)?;
            tracing::info!(volume = %settings.name, id = %settings.id, "volume opened");
            let sessions = DashMap::new();
            let id = settings.id;
            Ok(Arc::new(HostedVolume { id, engine: Arc::new(engine), store, space, sessions, committer }))
        });
        opening.await.unwrap_or_else(|panic| Err(MetaError::Thread { source: std::io::Error::other(panic) }))
    }

    /// Closes the sessions that an earlier process recorded in volumes that nobody opened since.
    pub(crate) async fn close_abandoned(&self) {
        for id in self.database.volumes() {
            // In the place of opening it, so that nobody does meanwhile; the error leaves it unopened.
            let closing = async || {
                self.close_recorded(id).await;
                Err(())
            };
            let _ = self.cell(id).get_or_try_init(closing).await;
        }
    }

    async fn close_recorded(&self, id: VolumeId) {
        let database = self.database.clone();
        let closing = tokio::task::spawn_blocking(move || {
            let now = Timespec::from_system_time(std::time::SystemTime::now());
            Ok::<_, MetaError>(close_recorded_sessions(database.volume(id)?, now)?)
        });
        match closing.await {
            Ok(Ok(0)) => {}
            Ok(Ok(sessions)) => tracing::info!(volume = %id, sessions, "sessions closed that no mount took up again"),
            Ok(Err(error)) => tracing::error!(volume = %id, %error, "abandoned sessions cannot be closed"),
            Err(panic) => tracing::error!(volume = %id, %panic, "abandoned sessions cannot be closed"),
        }
    }

    /// The volumes that are open.
    pub(crate) fn opened(&self) -> Vec<(VolumeId, Arc<HostedVolume>)> {
        let volumes = self.volumes.lock().expect("no code under this lock panics");
        volumes.iter().filter_map(|(id, cell)| Some((*id, Arc::clone(cell.get()?)))).collect()
    }

    pub(crate) fn usage(&self) -> Vec<VolumeUse> {
        let usage = |(id, volume): (VolumeId, Arc<HostedVolume>)| {
            let stat = volume.engine.stat();
            VolumeUse {
                volume_id: id.0,
                bytes_used: stat.bytes_used,
                inodes_used: stat.inodes_used,
                sessions: volume.sessions.len() as u32,
            }
        };
        self.opened().into_iter().map(usage).collect()
    }

    /// What the database takes.
    pub(crate) fn database_use(&self) -> DatabaseUse {
        self.database.usage()
    }

    /// Whether the database takes no more writes.
    pub(crate) fn is_broken(&self) -> bool {
        self.database.is_broken()
    }

    /// Blocks until all volumes are on disk.
    pub(crate) fn persist_all(&self) -> Result<(), MetaError> {
        for (_, volume) in self.opened() {
            volume.engine.persist()?;
        }
        Ok(())
    }
}

pub(super) fn limits(settings: &VolumeSettings) -> VolumeLimits {
    VolumeLimits {
        block_size: settings.block_size,
        blocks_max: settings.blocks_max,
        inodes_max: settings.inodes_max,
        retention_secs: settings.retention_secs,
    }
}
