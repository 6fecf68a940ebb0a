//! `Volume`: the state of one volume and the way of a request through it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};
use std::task::Waker;

use proto::{
    Attr, Errno, FileKind, InodeId, Name, OperationId, Refused, Reply, ReplyFrame, Request, RequestFrame, Sequence,
    SessionId, Timespec, Took, VolumeStat,
};

use super::cache::Cache;
use super::error::{Breach, EngineError, Failure, Outcome};
use super::grants::Grants;
use super::inode::{Dentry, Inode};
use super::keys::{self, Range};
use super::ledger::{Standing, Window};
use super::locks::{LockChange, Locks};
use super::names::NameHasher;
use super::opens::{Opens, Unclaimed};
use super::ops;
use super::session::{self, LiveSession, SessionContext};
use super::superblock::{Counters, Superblock};
use super::tx::{Committed, Tx};
use super::view::View;
use crate::store::{MetaKv, Visit};

/// Weight of cached inode records per volume, in bytes. Filled as records are used.
const INODE_CACHE_MAX: usize = 32 << 20;
/// Weight of cached names per volume, in bytes. Filled as names are used.
const DENTRY_CACHE_MAX: usize = 16 << 20;

/// Bounds of a volume. All but the block size may change while it is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VolumeLimits {
    /// Bytes in a block, a power of two. Fixed when the volume is first opened.
    pub block_size: u32,
    /// Blocks the files may occupy; 0 = no quota.
    pub blocks_max: u64,
    /// Inodes the volume may hold; 0 = no quota.
    pub inodes_max: u64,
    /// Seconds that replaced objects are kept; -1 = for ever.
    pub retention_secs: i64,
}

impl VolumeLimits {
    /// Bytes the files may occupy; 0 = no quota.
    #[must_use]
    pub fn bytes_max(&self) -> u64 {
        self.blocks_max.saturating_mul(u64::from(self.block_size))
    }
}

/// What came of a request.
#[derive(Debug)]
pub struct Executed {
    /// The reply.
    pub reply: ReplyFrame,
    /// Whether it may be sent only when the volume is on disk up to the reply's sequence.
    pub wait_durable: bool,
    /// What the request asked for that its session may not have, if it was refused for that.
    pub breach: Option<Breach>,
}

/// State that only the holder of the writer lock reads or changes.
pub(super) struct Writer {
    pub(super) unclaimed: Unclaimed,
    pub(super) counters: Counters,
    pub(super) grants: Grants,
    /// Ledger windows of the sessions that changed something since the start.
    pub(super) windows: HashMap<SessionId, Window>,
    /// No dead object is older than this second. The store steps over each removed record that a scan passes.
    pub(super) dead_since: u64,
}

/// A name as the cache keeps it: with the name itself, because the key has only its hash.
pub(super) struct CachedName {
    name: Name,
    dentry: Option<Dentry>,
}

/// One volume. All methods may be called from any thread; none waits for the disk but `persist`.
pub struct Volume<K> {
    pub(super) kv: K,
    pub(super) names: NameHasher,
    name_key: [u8; 16],
    pub(super) block_size: u32,
    limits: RwLock<VolumeLimits>,
    writer: Mutex<Writer>,
    inodes: Cache<InodeId, Arc<Inode>>,
    dentries: Cache<(InodeId, u64), Arc<CachedName>>,
    pub(super) opens: Opens,
    /// Changes under the writer lock; who waits, at any time.
    locks: Mutex<Locks>,
    pub(super) sessions: RwLock<HashMap<SessionId, Arc<LiveSession>>>,
    /// Odd while a commit is being made visible, and another number after each.
    commits: AtomicU64,
    sequence: AtomicU64,
    durable: AtomicU64,
    inodes_used: AtomicU64,
    bytes_used: AtomicU64,
}

impl<K: MetaKv> Volume<K> {
    /// Opens a volume, or makes an empty one in an empty key space. Blocks for the disk: no id that an earlier process
    /// handed out is handed out again, even if a power loss made the volume forget it.
    pub fn open(kv: K, limits: VolumeLimits, now: Timespec) -> Result<Self, EngineError> {
        let Superblock { block_size, name_key, counters } = Superblock::take_up_or_create(&kv, limits.block_size, now)?;
        kv.persist(counters.sequence)?;
        let sessions = session::load(&kv)?;
        let writer = Writer {
            unclaimed: Unclaimed::new(sessions.keys().copied(), now),
            counters,
            grants: Grants::load(&kv)?,
            windows: HashMap::new(),
            dead_since: 0,
        };
        let volume = Self {
            names: NameHasher::new(name_key),
            name_key,
            block_size,
            limits: RwLock::new(limits),
            inodes: Cache::new(INODE_CACHE_MAX),
            dentries: Cache::new(DENTRY_CACHE_MAX),
            opens: Opens::new(),
            locks: Mutex::new(Locks::load(&kv)?),
            sessions: RwLock::new(sessions),
            commits: AtomicU64::new(0),
            sequence: AtomicU64::new(counters.sequence.0),
            durable: AtomicU64::new(kv.persisted().0),
            inodes_used: AtomicU64::new(counters.inodes_used),
            bytes_used: AtomicU64::new(counters.bytes_used),
            writer: Mutex::new(writer),
            kv,
        };
        Ok(volume)
    }

    /// Carries out a request of a session, or refuses it without a trace.
    pub fn execute(&self, session: &SessionContext, frame: &RequestFrame, now: Timespec) -> Executed {
        let caller = session.identity.of(&frame.caller);
        let ask = ops::Ask { session, caller: &caller, now };
        let mut state = Committed { sequence: self.sequence(), dirs: Vec::new() };
        let reply = match self.carry_out(&ask, frame, &mut state) {
            Ok(reply) => reply,
            Err(failure) => return self.refuse(frame, state.sequence, failure),
        };
        let wait_durable = match &frame.request {
            Request::Sync => true,
            Request::Commit(commit) => commit.durable,
            _ => false,
        };
        Executed { reply: self.reply(state, Ok(reply)), wait_durable, breach: None }
    }

    /// What a request comes to that was not carried out, on the state of `sequence` or a newer one.
    pub(super) fn refuse(&self, frame: &RequestFrame, sequence: Sequence, failure: Failure) -> Executed {
        let (refused, breach) = match failure {
            Failure::Refused(refused) => (refused, None),
            Failure::Barred(breach) => (breach.answer(), Some(breach)),
            Failure::Torn(what) => {
                let error = EngineError::corrupt(format_args!("{what} that another record names is missing"));
                tracing::error!(request = frame.request.name(), %error, "request failed");
                (Errno::EIO.into(), None)
            }
            Failure::Broken(error) => {
                tracing::error!(request = frame.request.name(), %error, "request failed");
                (Errno::EIO.into(), None)
            }
        };
        let state = Committed { sequence, dirs: Vec::new() };
        Executed { reply: self.reply(state, Err(refused)), wait_durable: false, breach }
    }

    fn reply(&self, Committed { sequence, dirs }: Committed, result: Result<Reply, Refused>) -> ReplyFrame {
        ReplyFrame { sequence, durable: self.durable(), dirs, took: Took::default(), result }
    }

    /// Refuses what no request may be, and what a read-only session must not ask.
    pub(super) fn admit(&self, ask: &ops::Ask<'_>, frame: &RequestFrame) -> Outcome<()> {
        ops::bounds::check(self.block_size, frame)?;
        if ask.session.read_only && ops::bounds::needs_write(&frame.request) {
            return Err(Breach::ReadOnly.into());
        }
        Ok(())
    }

    /// `state` is what was there when the request came: a read shows that or a newer one. A mutation replaces it by
    /// what it left behind.
    fn carry_out(&self, ask: &ops::Ask<'_>, frame: &RequestFrame, state: &mut Committed) -> Outcome<Reply> {
        self.admit(ask, frame)?;
        match (&frame.request, frame.operation) {
            (request, Some(operation)) if request.is_mutation() => self.mutate(ask, operation, request, state),
            (request, _) if request.is_mutation() => Err(Refused::Malformed.into()),
            // The way of a mount that asks without waiting.
            (Request::AwaitLock { .. }, _) => Err(Refused::Malformed.into()),
            (Request::Release { closes }, _) => ops::close::release(self, ask, closes),
            (Request::Reclaim { claims }, _) => ops::claim::reclaim(self, ask, claims),
            (request, _) => self.observe(ask, request),
        }
    }

    fn observe(&self, ask: &ops::Ask<'_>, request: &Request) -> Outcome<Reply> {
        self.read_again_if_torn(|| ops::observe(self, ask, request))
    }

    /// A reader takes no lock. What a commit in between may have torn apart is read again while nobody writes.
    pub(super) fn read_again_if_torn<T>(&self, read: impl Fn() -> Outcome<T>) -> Outcome<T> {
        let before = self.commits.load(Ordering::SeqCst);
        match read() {
            Err(
                Failure::Torn(_) | Failure::Barred(Breach::Scope) | Failure::Refused(Refused::Error(Errno::ESTALE)),
            ) if before % 2 == 1 || self.commits.load(Ordering::SeqCst) != before => {
                let _writer = self.write();
                read()
            }
            outcome => outcome,
        }
    }

    fn mutate(
        &self,
        ask: &ops::Ask<'_>,
        operation: OperationId,
        request: &Request,
        state: &mut Committed,
    ) -> Outcome<Reply> {
        loop {
            let mut tx = Tx::begin(self);
            let session = self.live(ask.session.id).ok_or(Refused::SessionEnded)?;
            match tx.standing(session.record.id, operation)? {
                Standing::Outside => return Err(Refused::Malformed.into()),
                Standing::Applied { inherited } => return ops::repeat(tx, ask, operation, inherited),
                Standing::New => {}
            }
            let reply = ops::apply(&mut tx, ask, request)?;
            if tx.is_unfinished() {
                tx.commit()?;
                continue;
            }
            tx.remember(session.record.id, operation, &reply);
            *state = tx.commit()?;
            return Ok(reply);
        }
    }

    /// Whether an operation was carried out before, so that a repetition needs no room.
    #[must_use]
    pub fn was_applied(&self, session: SessionId, operation: OperationId) -> bool {
        matches!(Tx::begin(self).standing(session, operation), Ok(Standing::Applied { .. }))
    }

    /// The directory at an absolute path. Symbolic links are not followed. Errors: `ENOENT`, `ENOTDIR`, `EIO`.
    pub fn resolve(&self, path: &str) -> Result<Attr, Errno> {
        let _writer = self.write();
        self.walk(path).map_err(|failure| match failure {
            Failure::Refused(Refused::Error(errno)) => errno,
            failure => {
                tracing::error!(?failure, "mount path cannot be resolved");
                Errno::EIO
            }
        })
    }

    fn walk(&self, path: &str) -> Outcome<Attr> {
        let mut attr = self.linked(InodeId::ROOT)?.attr;
        for component in path.split('/').filter(|component| !matches!(*component, "" | ".")) {
            let name = Name::new(component.as_bytes()).map_err(|_| Errno::ENOENT)?;
            let dentry = self.find_dentry(attr.ino, &name)?.ok_or(Errno::ENOENT)?;
            if dentry.kind != FileKind::Directory {
                return Err(Errno::ENOTDIR.into());
            }
            attr = self.linked(dentry.ino)?.attr;
        }
        Ok(attr)
    }

    /// The newest commit.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence.load(Ordering::Acquire))
    }

    /// The newest commit known to be on disk.
    #[must_use]
    pub fn durable(&self) -> Sequence {
        Sequence(self.durable.load(Ordering::Acquire))
    }

    /// Puts everything committed so far on disk and returns up to where. Blocks for the disk.
    pub fn persist(&self) -> Result<Sequence, EngineError> {
        let sequence = self.sequence();
        self.kv.persist(sequence)?;
        self.durable.fetch_max(sequence.0, Ordering::AcqRel);
        Ok(sequence)
    }

    /// Size and use.
    #[must_use]
    pub fn stat(&self) -> VolumeStat {
        let limits = self.limits();
        VolumeStat {
            bytes_max: limits.bytes_max(),
            bytes_used: self.bytes_used.load(Ordering::Relaxed),
            inodes_max: limits.inodes_max,
            inodes_used: self.inodes_used.load(Ordering::Relaxed),
        }
    }

    /// Changes quotas and retention. A block size that differs from the volume's is ignored.
    pub fn set_limits(&self, limits: VolumeLimits) {
        let block_size = self.block_size;
        *self.limits.write().expect("no code under this lock panics") = VolumeLimits { block_size, ..limits };
    }

    pub(super) fn limits(&self) -> VolumeLimits {
        *self.limits.read().expect("no code under this lock panics")
    }

    /// Locks out other writers. A writer that panicked may have left half a change in memory: nothing may build on it, and
    /// a server that answers nothing any more helps nobody, so the process ends and the next one reads what was committed.
    pub(super) fn write(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(|_| {
            tracing::error!("a writer panicked: the server ends, so that it is started again from what was committed");
            std::process::abort()
        })
    }

    pub(super) fn encode_superblock(&self, counters: Counters) -> Vec<u8> {
        Superblock { block_size: self.block_size, name_key: self.name_key, counters }.encode()
    }

    /// Who holds and wants which lock. Not to be held while anything else is locked.
    pub(super) fn locks(&self) -> MutexGuard<'_, Locks> {
        self.locks.lock().expect("no code under this lock panics")
    }

    /// The writer committed these changes. Whoever waited for them is woken.
    pub(super) fn apply_locks(&self, changes: impl Iterator<Item = LockChange>) {
        let mut changes = changes.peekable();
        if changes.peek().is_none() {
            return;
        }
        let woken = self.locks().apply(changes);
        woken.into_iter().for_each(Waker::wake);
    }

    /// The writer begins, or ends, to make a commit visible. Whoever read some of it and not all finds the number changed.
    pub(super) fn note_commit(&self) {
        self.commits.fetch_add(1, Ordering::SeqCst);
    }

    /// The writer made a change visible: readers find the new value here from now on.
    pub(super) fn note_inode(&self, ino: InodeId, inode: Option<Arc<Inode>>) {
        match inode {
            Some(inode) => {
                let weight = inode.weight();
                self.inodes.put(ino, inode, weight);
            }
            None => self.inodes.remove(ino),
        }
    }

    /// As [`Self::note_inode`], for a name.
    pub(super) fn note_dentry(&self, parent: InodeId, hash: u64, name: Name, dentry: Option<Dentry>) {
        let weight = name_weight(&name);
        self.dentries.put((parent, hash), Arc::new(CachedName { name, dentry }), weight);
    }

    pub(super) fn note_counters(&self, counters: Counters) {
        self.inodes_used.store(counters.inodes_used, Ordering::Relaxed);
        self.bytes_used.store(counters.bytes_used, Ordering::Relaxed);
        self.sequence.store(counters.sequence.0, Ordering::Release);
    }
}

impl<K: MetaKv> View for Volume<K> {
    fn find_inode(&self, ino: InodeId) -> Outcome<Option<Arc<Inode>>> {
        let ticket = match self.inodes.find(ino) {
            Ok(inode) => return Ok(Some(inode)),
            Err(ticket) => ticket,
        };
        let Some(value) = self.kv.get(&keys::inode(ino))? else { return Ok(None) };
        let inode = Arc::new(Inode::decode(&value)?);
        self.inodes.fill(ino, Arc::clone(&inode), inode.weight(), ticket);
        Ok(Some(inode))
    }

    fn find_dentry(&self, parent: InodeId, name: &Name) -> Outcome<Option<Dentry>> {
        let hash = self.names.hash(name);
        let ticket = match self.dentries.find((parent, hash)) {
            Ok(cached) if cached.name == *name => return Ok(cached.dentry),
            Ok(_) => None,
            Err(ticket) => Some(ticket),
        };
        let value = self.kv.get(&keys::dentry(parent, hash, name))?;
        let dentry = value.map(|value| Dentry::decode(&value)).transpose()?;
        if let Some(ticket) = ticket {
            let cached = Arc::new(CachedName { name: name.clone(), dentry });
            self.dentries.fill((parent, hash), cached, name_weight(name), ticket);
        }
        Ok(dentry)
    }

    fn block_size(&self) -> u32 {
        self.block_size
    }

    fn holds_open(&self, session: SessionId, ino: InodeId) -> bool {
        self.opens.find(ino, session).is_some()
    }

    fn stored(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        Ok(self.kv.get(key)?)
    }

    fn scan(&self, (from, to): &Range, visit: &mut Visit<'_>) -> Outcome<()> {
        Ok(self.kv.scan(from, to, visit)?)
    }

    fn scan_back(&self, (from, to): &Range, visit: &mut Visit<'_>) -> Outcome<()> {
        Ok(self.kv.scan_back(from, to, visit)?)
    }
}

fn name_weight(name: &Name) -> usize {
    128 + name.as_bytes().len()
}

/// Visits all records of a range; the first error ends it.
pub(super) fn each<K: MetaKv>(
    kv: &K,
    (from, to): Range,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<(), EngineError>,
) -> Result<(), EngineError> {
    let mut outcome = Ok(());
    kv.scan(&from, &to, &mut |key, value| {
        outcome = visit(key, value);
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome
}
