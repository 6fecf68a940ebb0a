//! `Tx`: one mutation under the writer lock: reads, changes, one batch.
//!
//! Changes become visible together when the batch is committed; a transaction that is dropped before leaves no trace.
//! Inodes, names and counters read back as changed. Blocks, attributes, links and the like do not: an operation touches
//! each of those records once.

use std::ops::ControlFlow;
use std::sync::{Arc, MutexGuard};

use proto::{
    Attr, BlockIndex, Errno, InodeId, Name, ObjectId, OperationId, Piece, Reply, Sequence, SessionId, Timespec,
};

use super::error::{Breach, EngineError, Failure, Outcome};
use super::grants::{Grant, GrantChange};
use super::inode::{Dentry, Inode, decode_block, encode_record};
use super::keys::{self, MapId, Range};
use super::ledger::{self, Standing, Window};
use super::locks::LockChange;
use super::opens::{OPEN_FILES_MAX, OpenShard};
use super::superblock::Counters;
use super::view::View;
use super::volume::{Volume, Writer};
use crate::store::{Batch, MetaKv, Visit};

/// Blocks that are removed with their file at once; more are left to the sweep.
const DROPPED_BLOCKS_MAX: usize = 64;

/// A mutation in the making.
pub(super) struct Tx<'v, K> {
    pub(super) volume: &'v Volume<K>,
    writer: MutexGuard<'v, Writer>,
    pub(super) batch: Batch,
    pub(super) counters: Counters,
    inodes: Vec<(InodeId, Option<Arc<Inode>>)>,
    /// Directories that were removed, without links.
    gone_dirs: Vec<Attr>,
    dentries: Vec<DentryChange>,
    grants: Vec<GrantChange>,
    locks: Vec<LockChange>,
    applied: Option<(SessionId, OperationId)>,
    opened: Option<(InodeId, SessionId, bool)>,
    /// Held from the decision that nobody has a file open until everybody can see that it is gone.
    opens: Option<OpenShard<'v>>,
    unfinished: bool,
    dead_since: u64,
}

/// What a transaction left behind.
pub(super) struct Committed {
    /// The volume's newest commit: the transaction's own, where it changed anything.
    pub(super) sequence: Sequence,
    /// The directories it changed, as it left them; those that are gone without links.
    pub(super) dirs: Vec<Attr>,
}

struct DentryChange {
    parent: InodeId,
    hash: u64,
    name: Name,
    dentry: Option<Dentry>,
}

impl<'v, K: MetaKv> Tx<'v, K> {
    pub(super) fn begin(volume: &'v Volume<K>) -> Self {
        let writer = volume.write();
        Self {
            volume,
            batch: Batch::default(),
            counters: writer.counters,
            inodes: Vec::new(),
            gone_dirs: Vec::new(),
            dentries: Vec::new(),
            grants: Vec::new(),
            locks: Vec::new(),
            applied: None,
            opened: None,
            opens: None,
            unfinished: false,
            dead_since: writer.dead_since,
            writer,
        }
    }

    /// What is known of an operation of a session.
    pub(super) fn standing(&mut self, session: SessionId, operation: OperationId) -> Outcome<Standing> {
        if let Some(window) = self.writer.windows.get(&session) {
            return Ok(window.standing(operation));
        }
        let mut operations = Vec::new();
        super::volume::each(&self.volume.kv, keys::ledger_of(session), |_, value| {
            operations.push(ledger::decode(value)?.0);
            Ok(())
        })?;
        let window = Window::inherit(&operations);
        let standing = window.standing(operation);
        self.writer.windows.insert(session, window);
        Ok(standing)
    }

    /// The reply to an operation that was applied.
    pub(super) fn recall(&self, session: SessionId, operation: OperationId) -> Outcome<Reply> {
        let value = self.volume.kv.get(&keys::ledger(session, ledger::slot(operation)))?;
        match value.as_deref().map(ledger::decode).transpose()? {
            Some((found, reply)) if found == operation => Ok(reply),
            _ => Err(Failure::Torn("ledger entry")),
        }
    }

    /// Has the reply kept. What changes nothing may be carried out again, unless it opens a file.
    pub(super) fn remember(&mut self, session: SessionId, operation: OperationId, reply: &Reply) {
        if self.is_empty() && self.opened.is_none() {
            return;
        }
        self.batch.put(keys::ledger(session, ledger::slot(operation)), ledger::encode(operation, reply));
        self.applied = Some((session, operation));
    }

    /// Notes that an inherited operation was answered and its effects in memory are restored.
    pub(super) fn adopt(&mut self, session: SessionId, operation: OperationId) {
        self.applied = Some((session, operation));
    }

    /// Commits now and carries the operation out again: it is too big for one batch.
    pub(super) fn leave_unfinished(&mut self) {
        self.unfinished = true;
    }

    pub(super) fn is_unfinished(&self) -> bool {
        self.unfinished
    }

    fn is_empty(&self) -> bool {
        let has_records = !self.inodes.is_empty() || !self.dentries.is_empty();
        self.batch.is_empty() && !has_records && self.grants.is_empty() && self.locks.is_empty()
    }

    /// Writes the batch, then lets everybody see it.
    pub(super) fn commit(mut self) -> Result<Committed, EngineError> {
        let dirs = if self.is_empty() { Vec::new() } else { self.write()? };
        if let Some((session, operation)) = self.applied
            && let Some(window) = self.writer.windows.get_mut(&session)
        {
            window.note(operation);
        }
        if let Some((ino, session, write)) = self.opened {
            let mut shard = self.volume.opens.shard(ino);
            // Asked under the shard's lock: a session that ends has it purged behind us or is seen here.
            if let Some(live) = self.volume.live(session) {
                live.note_opened(shard.add(ino, session, write));
            }
        }
        Ok(Committed { sequence: self.counters.sequence, dirs })
    }

    /// Returns [`Committed::dirs`].
    fn write(&mut self) -> Result<Vec<Attr>, EngineError> {
        self.counters.sequence.0 += 1;
        for (ino, inode) in &self.inodes {
            match inode {
                Some(inode) => self.batch.put(keys::inode(*ino), inode.encode()),
                None => self.batch.remove(keys::inode(*ino)),
            }
        }
        for DentryChange { parent, hash, name, dentry } in &self.dentries {
            let key = keys::dentry(*parent, *hash, name);
            match dentry {
                Some(dentry) => self.batch.put(key, dentry.encode()),
                None => self.batch.remove(key),
            }
        }
        for (first, grant) in &self.grants {
            match grant {
                Some(grant) => self.batch.put(keys::grant(*first), encode_record(grant)),
                None => self.batch.remove(keys::grant(*first)),
            }
        }
        for (ino, locker, spans) in &self.locks {
            let key = keys::lock(*ino, locker);
            if spans.is_empty() { self.batch.remove(key) } else { self.batch.put(key, encode_record(spans)) }
        }
        self.batch.put(keys::superblock(), self.volume.encode_superblock(self.counters));
        self.volume.note_commit();
        let written = self.volume.kv.commit(std::mem::take(&mut self.batch));
        if written.is_err() {
            self.volume.note_commit();
        }
        written?;
        self.writer.counters = self.counters;
        self.writer.dead_since = self.dead_since;
        for change in self.grants.drain(..) {
            self.writer.grants.apply(change);
        }
        self.volume.apply_locks(self.locks.drain(..));
        let changed = self.inodes.iter().filter_map(|(_, inode)| inode.as_ref()).filter(|inode| inode.is_dir());
        let dirs = changed.map(|inode| inode.attr).chain(self.gone_dirs.drain(..)).collect();
        for (ino, inode) in self.inodes.drain(..) {
            self.volume.note_inode(ino, inode);
        }
        for DentryChange { parent, hash, name, dentry } in self.dentries.drain(..) {
            self.volume.note_dentry(parent, hash, name, dentry);
        }
        self.volume.note_counters(self.counters);
        self.volume.note_commit();
        Ok(dirs)
    }

    pub(super) fn put_inode(&mut self, inode: Inode) {
        self.set_inode(inode.ino(), Some(Arc::new(inode)));
    }

    fn set_inode(&mut self, ino: InodeId, inode: Option<Arc<Inode>>) {
        match self.inodes.iter_mut().find(|(other, _)| *other == ino) {
            Some((_, known)) => *known = inode,
            None => self.inodes.push((ino, inode)),
        }
    }

    pub(super) fn set_dentry(&mut self, parent: InodeId, name: &Name, dentry: Option<Dentry>) {
        match self.dentries.iter_mut().find(|change| change.parent == parent && change.name == *name) {
            Some(change) => change.dentry = dentry,
            None => {
                let hash = self.volume.names.hash(name);
                self.dentries.push(DentryChange { parent, hash, name: name.clone(), dentry });
            }
        }
    }

    /// An id that no inode or map ever had.
    pub(super) fn new_id(&mut self) -> u64 {
        let id = self.counters.next_id;
        self.counters.next_id += 1;
        id
    }

    /// Counts a new inode. `ENOSPC` where the volume has all it may hold.
    pub(super) fn charge_inode(&mut self) -> Outcome<()> {
        let inodes_max = self.volume.limits().inodes_max;
        if inodes_max != 0 && self.counters.inodes_used >= inodes_max {
            return Err(Errno::ENOSPC.into());
        }
        self.counters.inodes_used += 1;
        Ok(())
    }

    /// Sets the bytes a file occupies. `ENOSPC` where it grows beyond what the volume may hold.
    pub(super) fn charge_bytes(&mut self, inode: &mut Inode, allocated: u64) -> Outcome<()> {
        let used = self.counters.bytes_used.saturating_sub(inode.attr.allocated).saturating_add(allocated);
        let bytes_max = self.volume.limits().bytes_max();
        if allocated > inode.attr.allocated && bytes_max != 0 && used > bytes_max {
            return Err(Errno::ENOSPC.into());
        }
        self.counters.bytes_used = used;
        inode.attr.allocated = allocated;
        Ok(())
    }

    /// Locks the part of the table of open files that `ino` is in, until the end of the transaction.
    pub(super) fn lock_opens(&mut self, ino: InodeId) -> &mut OpenShard<'v> {
        let volume = self.volume;
        self.opens.insert(volume.opens.shard(ino))
    }

    /// Sessions that hold a file open, or may do so, as of the end of the transaction.
    pub(super) fn holders(&mut self, ino: InodeId, now: Timespec) -> Vec<SessionId> {
        let mut holders = self.lock_opens(ino).holders(ino);
        let unclaimed = self.writer.unclaimed.at(now).filter(|session| !holders.contains(session));
        let unclaimed: Vec<_> = unclaimed.collect();
        holders.extend(unclaimed);
        holders
    }

    /// Notes that a session has claimed all that it holds open, or is over. Tells whether that was awaited.
    pub(super) fn note_claimed(&mut self, session: SessionId) -> bool {
        self.writer.unclaimed.remove(session)
    }

    /// Has the file open for the session once the transaction is committed. `ENFILE` where it holds too many.
    pub(super) fn open_file(&mut self, ino: InodeId, session: SessionId, write: bool) -> Outcome<()> {
        if self.volume.live(session).is_some_and(|live| live.open_files() >= OPEN_FILES_MAX) {
            return Err(Errno::ENFILE.into());
        }
        self.opened = Some((ino, session, write));
        Ok(())
    }

    /// Removes a file that has no name and is not open, with all that belongs to it.
    pub(super) fn destroy(&mut self, inode: &Inode, now: Timespec) -> Outcome<()> {
        let ino = inode.ino();
        self.set_inode(ino, None);
        if inode.is_dir() {
            self.gone_dirs.push(Attr { nlink: 0, ..inode.attr });
        }
        self.counters.inodes_used = self.counters.inodes_used.saturating_sub(1);
        self.counters.bytes_used = self.counters.bytes_used.saturating_sub(inode.attr.allocated);
        if inode.xattr_list_len > 0 {
            for key in self.keys_in(&keys::xattrs(ino), usize::MAX)? {
                self.batch.remove(key);
            }
        }
        if inode.has_blocks() {
            self.drop_map(inode.map, now)?;
        }
        Ok(())
    }

    /// Removes the block list of a file: at once if it is short, else step by step. Tells whether the map is empty now.
    pub(super) fn drop_map(&mut self, map: MapId, now: Timespec) -> Outcome<bool> {
        let blocks = self.blocks_from(map, BlockIndex(0), DROPPED_BLOCKS_MAX + 1)?;
        if blocks.len() > DROPPED_BLOCKS_MAX {
            self.batch.put(keys::trim(map), encode_record(&BlockIndex(0)));
            return Ok(false);
        }
        self.drop_blocks(map, blocks, now);
        Ok(true)
    }

    /// Removes blocks whose pieces are known.
    pub(super) fn drop_blocks(&mut self, map: MapId, blocks: Vec<(BlockIndex, Vec<Piece>)>, now: Timespec) {
        let mut objects = Vec::new();
        for (index, pieces) in blocks {
            self.batch.remove(keys::block(map, index));
            objects.extend(pieces.iter().map(|piece| piece.object));
        }
        self.bury(objects, now);
    }

    /// Pieces of one block.
    pub(super) fn block(&self, map: MapId, index: BlockIndex) -> Outcome<Vec<Piece>> {
        let value = self.volume.kv.get(&keys::block(map, index))?;
        Ok(value.map(|value| decode_block(&value)).transpose()?.unwrap_or_default())
    }

    /// Sets the pieces of a block.
    pub(super) fn set_block(&mut self, map: MapId, index: BlockIndex, pieces: &[Piece]) {
        let key = keys::block(map, index);
        if pieces.is_empty() { self.batch.remove(key) } else { self.batch.put(key, encode_record(&pieces)) }
    }

    /// Up to `limit` blocks of a map, from `first` on.
    pub(super) fn blocks_from(
        &self,
        map: MapId,
        first: BlockIndex,
        limit: usize,
    ) -> Outcome<Vec<(BlockIndex, Vec<Piece>)>> {
        let mut blocks = Vec::new();
        super::view::each_block(self, &keys::blocks_from(map, first), |index, pieces| {
            blocks.push((index, pieces));
            if blocks.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(blocks)
    }

    /// Notes that nothing refers to these objects any more.
    pub(super) fn bury(&mut self, mut objects: Vec<ObjectId>, now: Timespec) {
        objects.sort_unstable();
        objects.dedup();
        for range in objects.chunk_by(|left, right| left.0 + 1 == right.0) {
            self.bury_range(range[0], range.len() as u32, now);
        }
    }

    /// As [`Self::bury`], for ids in a row.
    pub(super) fn bury_range(&mut self, first: ObjectId, count: u32, now: Timespec) {
        let second = now.secs.max(0) as u64;
        self.dead_since = self.dead_since.min(second);
        self.batch.put(keys::dead(second, first), encode_record(&count));
    }

    /// No object died before this second.
    pub(super) fn dead_since(&self) -> u64 {
        self.dead_since
    }

    /// Notes the second before which no dead object is left, so that the next scan does not pass those that were.
    pub(super) fn note_dead_since(&mut self, second: u64) {
        self.dead_since = second;
        self.writer.dead_since = second;
    }

    /// Takes ids that a session commits out of its grants. `EPERM` where one is not its to write.
    pub(super) fn take_objects(&mut self, session: SessionId, objects: Vec<ObjectId>) -> Outcome<()> {
        let changes = self.writer.grants.take(session, objects).ok_or(Breach::Objects)?;
        self.grants.extend(changes);
        Ok(())
    }

    /// Those of `objects` that the session may still commit, each once.
    pub(super) fn granted(&self, session: SessionId, objects: &[ObjectId]) -> Vec<ObjectId> {
        self.writer.grants.granted(session, objects)
    }

    /// Adds or removes a grant.
    pub(super) fn set_grant(&mut self, change: GrantChange) {
        self.grants.push(change);
    }

    /// Sets what a locker holds of a file. Reads do not see it before the commit.
    pub(super) fn set_locks(&mut self, change: LockChange) {
        self.locks.push(change);
    }

    /// Up to `limit` grants of a session.
    pub(super) fn grants_of(&self, session: SessionId, limit: usize) -> Vec<(ObjectId, Grant)> {
        self.writer.grants.of(session, limit)
    }

    /// Ids a session holds uncommitted.
    pub(super) fn outstanding(&self, session: SessionId) -> u64 {
        self.writer.grants.outstanding(session)
    }

    /// Forgets what is in memory of a session's ledger.
    pub(super) fn forget_window(&mut self, session: SessionId) {
        self.writer.windows.remove(&session);
    }

    /// Up to `limit` keys of a range.
    pub(super) fn keys_in(&self, range: &Range, limit: usize) -> Outcome<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        self.scan(range, &mut |key, _| {
            keys.push(key.to_vec());
            if keys.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(keys)
    }
}

impl<K: MetaKv> View for Tx<'_, K> {
    fn find_inode(&self, ino: InodeId) -> Outcome<Option<Arc<Inode>>> {
        match self.inodes.iter().find(|(other, _)| *other == ino) {
            Some((_, inode)) => Ok(inode.clone()),
            None => self.volume.find_inode(ino),
        }
    }

    fn find_dentry(&self, parent: InodeId, name: &Name) -> Outcome<Option<Dentry>> {
        match self.dentries.iter().find(|change| change.parent == parent && change.name == *name) {
            Some(change) => Ok(change.dentry),
            None => self.volume.find_dentry(parent, name),
        }
    }

    fn block_size(&self) -> u32 {
        self.volume.block_size
    }

    fn holds_open(&self, session: SessionId, ino: InodeId) -> bool {
        self.volume.holds_open(session, ino)
    }

    fn stored(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>> {
        self.volume.stored(key)
    }

    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Outcome<()> {
        self.volume.scan(range, visit)
    }

    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Outcome<()> {
        self.volume.scan_back(range, visit)
    }
}
