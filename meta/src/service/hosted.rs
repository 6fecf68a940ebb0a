//! The volumes of this server: opened at the first session, each with its engine, its sessions and its block store.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use block::BlockStore;
use dashmap::DashMap;
use proto::rest::VolumeUse;
use proto::{Errno, SessionId, Timespec, VolumeId, VolumeSettings};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::committer::{Committer, Flush};
use super::journal::Journal;
use super::sessions::Session;
use super::space::Space;
use crate::engine::{Volume, VolumeLimits, close_recorded_sessions};
use crate::error::MetaError;
use crate::store::{DatabaseUse, FjallDatabase, FjallKv};

/// Sessions that one volume takes.
const SESSIONS_MAX: usize = 16_384;
/// Sessions that one token opens: a leaked one must leave room for the others.
const TOKEN_SESSIONS_MAX: usize = 1024;
/// Sessions that one new one asks whether they are still there.
const FORMER_MAX: usize = 4;

/// One volume in service.
pub(crate) struct HostedVolume {
    pub(crate) id: VolumeId,
    pub(crate) engine: Arc<Volume<FjallKv>>,
    /// Where its objects are, to delete the dead ones.
    pub(crate) store: Arc<dyn BlockStore>,
    /// Where its records are.
    pub(crate) space: Arc<Space>,
    sessions: DashMap<SessionId, Arc<Session>>,
    admission: Mutex<()>,
    committer: Arc<Committer>,
    /// Takes word of its sessions.
    pub(crate) journal: Arc<Journal>,
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

    /// Adds a new session, or says which bound is reached. `mounts_max`: those of its token, 0 = no bound. A mount that
    /// was made again in its place, after it lost its connections, makes room for itself: the session to be ended.
    pub(crate) fn admit(&self, session: &Arc<Session>, mounts_max: u32) -> Result<Option<Arc<Session>>, String> {
        // Counting and adding is one step, or two mounts would take the last place.
        let _admission = self.admission.lock().expect("no code under this lock panics");
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(format!("the volume has all the sessions it may have ({SESSIONS_MAX})"));
        }
        let of_token = |other: &Session| other.token_id == session.token_id && other.is_live();
        let here: Vec<Arc<Session>> =
            self.sessions.iter().filter(|other| of_token(other)).map(|other| Arc::clone(other.value())).collect();
        if here.len() >= TOKEN_SESSIONS_MAX {
            return Err(format!("the volume token has all the sessions it may have ({TOKEN_SESSIONS_MAX})"));
        }
        let mut replaced = None;
        if mounts_max > 0 && here.len() + self.expected(session.token_id) >= mounts_max as usize {
            let is_same_place = |other: &&Arc<Session>| other.place == session.place && other.absent_since().is_some();
            replaced = here.iter().find(is_same_place).cloned();
            if replaced.is_none() {
                let absent = here.iter().filter(|other| other.absent_since().is_some()).count();
                return Err(too_many_mounts(mounts_max, absent));
            }
        }
        self.sessions.insert(session.id(), Arc::clone(session));
        Ok(replaced)
    }

    /// Sessions in whose place `session` is about to be: of the same token, under the same words; a few at the most.
    pub(crate) fn former(&self, session: &Session) -> Vec<Arc<Session>> {
        let is_former = |other: &Session| {
            other.token_id == session.token_id && other.place == session.place && other.id() != session.id()
        };
        let former = self.sessions.iter().filter(|other| is_former(other) && other.is_live());
        former.map(|other| Arc::clone(other.value())).take(FORMER_MAX).collect()
    }

    /// Sessions of a token that an earlier process recorded and no mount took up again yet.
    fn expected(&self, token: Uuid) -> usize {
        let recorded = self.engine.sessions();
        recorded.iter().filter(|record| record.token_id == token && !self.sessions.contains_key(&record.id)).count()
    }

    /// Frees what a session that is over held, and forgets it.
    pub(crate) fn close(&self, session: &Session) {
        // In this order: who does not find it here any more must not find it recorded either.
        self.close_recorded_session(session.id());
        self.dismiss(session.id());
    }

    /// Frees what a recorded session held.
    pub(crate) fn close_recorded_session(&self, id: SessionId) {
        let now = Timespec::from_system_time(std::time::SystemTime::now());
        if let Err(error) = self.engine.close_session(id, now) {
            tracing::error!(session = %id, %error, "session cannot be closed: tried again in a second");
        }
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
    journal: Arc<Journal>,
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
    pub(crate) fn open(folder: &Path, cache_max: u64, journal: Arc<Journal>) -> Result<Self, MetaError> {
        let database = FjallDatabase::open(folder, cache_max)?;
        let committer = Committer::start().map_err(|source| MetaError::Thread { source })?;
        let space = Arc::new(Space::of(folder));
        Ok(Self { database, space, committer: Arc::new(committer), journal, volumes: Mutex::default() })
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
        let (space, journal) = (Arc::clone(&self.space), Arc::clone(&self.journal));
        let opening = tokio::task::spawn_blocking(move || {
            let store = block::open_or_make(&settings.block_store, settings.id)?;
            let now = Timespec::from_system_time(std::time::SystemTime::now());
            let engine = Volume::open(database.volume(settings.id)?, limits(&settings), now)?;
            tracing::info!(volume = %settings.name, id = %settings.id, "volume opened");
            let sessions = DashMap::new();
            let (id, engine, admission) = (settings.id, Arc::new(engine), Mutex::default());
            Ok(Arc::new(HostedVolume { id, engine, store, space, sessions, admission, committer, journal }))
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

fn too_many_mounts(mounts_max: u32, absent: usize) -> String {
    let away = match absent {
        0 => String::new(),
        absent => format!(", {absent} of which lost the connection and is given up some minutes after"),
    };
    format!(
        "the volume token has all the mounts it may have ({mounts_max}){away}: unmount one, or raise its --maxMounts"
    )
}

pub(super) fn limits(settings: &VolumeSettings) -> VolumeLimits {
    VolumeLimits {
        block_size: settings.block_size,
        blocks_max: settings.blocks_max,
        inodes_max: settings.inodes_max,
        retention_secs: settings.retention_secs,
    }
}
