//! What the engine knows of a mount's session: the durable record, and what a request is judged by.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, RwLockWriteGuard};
use std::task::Waker;

use aws_lc_rs::{constant_time, digest};
use proto::{InodeId, SessionId, SessionKey, Timespec};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::{EngineError, Failure, Outcome};
use super::identity::Identity;
use super::inode::{decode_holders, decode_record, encode_record};
use super::keys;
use super::ops::{lock, remove};
use super::tx::Tx;
use super::volume::{Volume, each};
use crate::store::MetaKv;

/// What a request of a session is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionContext {
    /// The session.
    pub id: SessionId,
    /// The directory its token opens: nothing outside can be named.
    pub root: InodeId,
    /// Whether mutations are refused.
    pub read_only: bool,
    /// Whom its callers are.
    pub identity: Identity,
}

impl SessionContext {
    /// A session that may change things, whose callers are whom it names.
    #[must_use]
    pub const fn new(id: SessionId, root: InodeId) -> Self {
        Self { id, root, read_only: false, identity: Identity::CLAIMED }
    }
}

/// A session as it survives a restart of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// The session.
    pub id: SessionId,
    /// SHA-256 of its key: whoever reads the database cannot join the session.
    pub key_hash: [u8; 32],
    /// Id of the token it was opened with. Not a secret.
    pub token_id: Uuid,
    /// The directory its token opens.
    pub root: InodeId,
    /// The path that named this directory when the session was opened; it may have been moved since.
    pub mount_path: String,
    /// Whether mutations are refused.
    pub read_only: bool,
    /// When it was opened.
    pub opened: Timespec,
}

impl SessionRecord {
    /// The record of a new session, with `/` for the mount path.
    #[must_use]
    pub fn new(context: &SessionContext, key: &SessionKey, token_id: Uuid, now: Timespec) -> Self {
        let SessionContext { id, root, read_only, .. } = *context;
        Self { id, key_hash: hash(key), token_id, root, mount_path: "/".to_owned(), read_only, opened: now }
    }

    /// Whether `key` is the session's, in constant time.
    #[must_use]
    pub fn accepts(&self, key: &SessionKey) -> bool {
        constant_time::verify_slices_are_equal(&self.key_hash, &hash(key)).is_ok()
    }
}

fn hash(key: &SessionKey) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, &key.0);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A session in memory.
pub(super) struct LiveSession {
    pub(super) record: SessionRecord,
    /// Set first when it ends: nothing of it is carried out from then on.
    pub(super) closing: AtomicBool,
    /// Files it holds open.
    pub(super) open_files: AtomicU32,
}

impl LiveSession {
    pub(super) fn new(record: SessionRecord) -> Self {
        Self { record, closing: AtomicBool::new(false), open_files: AtomicU32::new(0) }
    }
}

impl LiveSession {
    pub(super) fn open_files(&self) -> u32 {
        self.open_files.load(Ordering::Relaxed)
    }

    /// Counts an open file, where the open was the session's first of it.
    pub(super) fn note_opened(&self, is_first: bool) {
        self.open_files.fetch_add(u32::from(is_first), Ordering::Relaxed);
    }

    pub(super) fn note_closed(&self) {
        self.open_files.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sessions that an earlier process recorded.
pub(super) fn load<K: MetaKv>(kv: &K) -> Result<HashMap<SessionId, Arc<LiveSession>>, EngineError> {
    let mut sessions = HashMap::new();
    each(kv, keys::sessions(), |key, value| {
        let id = keys::parse_session(key).ok_or_else(|| EngineError::corrupt("session key"))?;
        let record: SessionRecord = decode_record("session", value)?;
        sessions.insert(id, Arc::new(LiveSession::new(record)));
        Ok(())
    })?;
    Ok(sessions)
}

/// Grants or orphans that one batch of a closing session settles.
const CLOSE_STEP: usize = 512;

impl<K: MetaKv> Volume<K> {
    /// Records a new session.
    pub fn open_session(&self, record: SessionRecord) -> Result<(), EngineError> {
        let mut tx = Tx::begin(self);
        tx.batch.put(keys::session(record.id), encode_record(&record));
        tx.commit()?;
        self.session_table().insert(record.id, Arc::new(LiveSession::new(record)));
        Ok(())
    }

    /// A session that is not over.
    #[must_use]
    pub fn find_session(&self, id: SessionId) -> Option<SessionRecord> {
        self.live(id).map(|session| session.record.clone())
    }

    /// All sessions whose state is kept, those that are being closed included.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionRecord> {
        let sessions = self.sessions.read().expect("no code under this lock panics");
        sessions.values().map(|session| session.record.clone()).collect()
    }

    /// Ends a session: nothing of it is carried out from here on. Its opens go, with the files that lived only by them;
    /// object ids that it did not commit are dead. After an error, or a crash, it is closed again.
    pub fn close_session(&self, id: SessionId, now: Timespec) -> Result<(), EngineError> {
        let Some(session) = self.session_table().get(&id).cloned() else { return Ok(()) };
        session.closing.store(true, Ordering::SeqCst);
        // Whoever found the session alive before has the writer lock or a shard of the open files until it is done.
        self.opens.purge(id);
        let waiting = self.locks().take_waiting(id);
        waiting.into_iter().for_each(Waker::wake);
        self.settle(id, now).map_err(|failure| match failure {
            Failure::Broken(error) => error,
            other => EngineError::corrupt(format_args!("session {id} cannot be closed: {other:?}")),
        })?;
        self.session_table().remove(&id);
        Ok(())
    }

    fn settle(&self, id: SessionId, now: Timespec) -> Outcome<()> {
        // First: others wait for them.
        lock::drop_all(self, id)?;
        loop {
            let mut tx = Tx::begin(self);
            let grants = tx.grants_of(id, CLOSE_STEP);
            let is_last = grants.len() < CLOSE_STEP;
            for (first, grant) in grants {
                tx.set_grant((first, None));
                tx.bury_range(first, grant.count, now);
            }
            tx.commit()?;
            if is_last {
                break;
            }
        }
        Tx::begin(self).note_claimed(id);
        self.drop_orphans(id, now)?;
        let mut tx = Tx::begin(self);
        for key in tx.keys_in(&keys::ledger_of(id), usize::MAX)? {
            tx.batch.remove(key);
        }
        tx.batch.remove(keys::session(id));
        tx.forget_window(id);
        tx.commit()?;
        Ok(())
    }

    /// The session has claimed all that it holds open. What was kept for it besides goes.
    pub(super) fn end_claims(&self, id: SessionId, now: Timespec) -> Outcome<()> {
        let was_awaited = Tx::begin(self).note_claimed(id);
        if was_awaited {
            lock::drop_of_unclaimed(self, id)?;
            self.drop_orphans(id, now)?;
        }
        Ok(())
    }

    /// Drops the session from the holders of files without a name that it does not hold open.
    fn drop_orphans(&self, id: SessionId, now: Timespec) -> Outcome<()> {
        for ino in self.orphans_of(id)? {
            let mut tx = Tx::begin(self);
            remove::drop_holder(&mut tx, now, ino, id)?;
            tx.commit()?;
        }
        Ok(())
    }

    fn orphans_of(&self, id: SessionId) -> Result<Vec<InodeId>, EngineError> {
        let mut orphans = Vec::new();
        each(&self.kv, keys::orphans(), |key, value| {
            if decode_holders(value)?.contains(&id) {
                orphans.extend(keys::parse_orphan(key));
            }
            Ok(())
        })?;
        Ok(orphans)
    }

    /// A session that is not over.
    pub(super) fn live(&self, id: SessionId) -> Option<Arc<LiveSession>> {
        let sessions = self.sessions.read().expect("no code under this lock panics");
        sessions.get(&id).filter(|session| !session.closing.load(Ordering::SeqCst)).cloned()
    }

    fn session_table(&self) -> RwLockWriteGuard<'_, HashMap<SessionId, Arc<LiveSession>>> {
        self.sessions.write().expect("no code under this lock panics")
    }
}
