//! `FjallKv`: a volume's key space in a fjall database, one database per data folder and one keyspace per volume.
//!
//! A commit is in the operating system's buffers when it returns: killing the process loses nothing. Waiting for the
//! disk is [`MetaKv::persist`], which flushes the journal files through descriptors of its own: fjall's own `persist`
//! holds the journal lock while the disk works, so that every commit would wait for every flush.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fjall::{Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};
use proto::{Sequence, VolumeId};

use super::folder::Folder;
use super::watermark::Watermark;
use super::{Batch, MetaKv, StoreError, Visit};

/// Unflushed changes of one volume kept in memory before they become a table, in bytes. Bounds the memory of a busy
/// volume (about twice this) and the time to recover it. When a table is due, commits wait once for the disk, and when
/// four are, until one is written: that must be rare.
const MEMTABLE_BYTES_MAX: u64 = 64 << 20;
/// Journal on disk before volumes that wrote little are made to flush, in bytes.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// Threads that write tables and compact.
const WORKERS: usize = 2;

/// What a database takes at the moment.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseUse {
    /// Bytes on disk, journals included.
    pub disk: u64,
    /// Bytes of the cache of table blocks.
    pub cache: u64,
    /// Merges of tables under way.
    pub compactions: u64,
    /// Full tables in memory that are to be written.
    pub flushes: u64,
}

/// The database of a data folder. Clones share it.
#[derive(Clone)]
pub struct FjallDatabase {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    database: Database,
    /// Set when a write or a flush failed: what is on disk is unknown from then on.
    broken: AtomicBool,
}

impl FjallDatabase {
    /// Opens the database in `folder`, making both if need be. `cache_max` bounds the cache of table blocks, in bytes;
    /// it fills as tables are read.
    pub fn open(folder: &Path, cache_max: u64) -> Result<Self, StoreError> {
        Self::open_folder(Folder::open(folder)?, cache_max)
    }

    /// As [`FjallDatabase::open`], but makes nothing where there is none.
    pub fn open_existing(folder: &Path, cache_max: u64) -> Result<Self, StoreError> {
        Self::open_folder(Folder::open_existing(folder)?, cache_max)
    }

    fn open_folder(folder: Folder, cache_max: u64) -> Result<Self, StoreError> {
        let database = Database::builder(folder.database())
            .cache_size(cache_max)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKERS)
            .open()
            .map_err(|error| match error {
                fjall::Error::Locked => StoreError::Locked { path: folder.path().to_owned() },
                other => StoreError::Database(other),
            })?;
        Ok(Self { inner: Arc::new(Inner { folder, database, broken: AtomicBool::new(false) }) })
    }

    /// The key space of a volume, empty if the volume is new.
    pub fn volume(&self, id: VolumeId) -> Result<FjallKv, StoreError> {
        let name = id.to_string();
        let watermark = Watermark::open(self.inner.folder.watermark(&name))?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES_MAX);
        let keyspace = self.inner.database.keyspace(&name, options)?;
        Ok(FjallKv { database: self.clone(), keyspace, watermark })
    }

    /// Ids of the volumes in the folder.
    #[must_use]
    pub fn volumes(&self) -> Vec<VolumeId> {
        let names = self.inner.database.list_keyspace_names();
        names.iter().filter_map(|name| uuid::Uuid::parse_str(name).ok().map(VolumeId)).collect()
    }

    /// What it takes at the moment.
    #[must_use]
    pub fn usage(&self) -> DatabaseUse {
        let database = &self.inner.database;
        let disk = database.disk_space().unwrap_or_else(|error| {
            tracing::warn!(%error, "size of the database is unknown");
            0
        });
        DatabaseUse {
            disk,
            cache: database.cache_size(),
            compactions: database.active_compactions() as u64,
            flushes: database.outstanding_flushes() as u64,
        }
    }

    /// Whether a write failed: the database takes no more of them until it is opened anew.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.inner.broken.load(Ordering::Acquire)
    }

    /// Flushes every journal file. The active one may be sealed meanwhile: fjall flushes a journal before it seals it,
    /// and removes it only when its changes are in tables on disk, so what was listed is on disk either way.
    fn flush_journals(&self) -> Result<(), StoreError> {
        let folder = self.inner.folder.database();
        let listing = fs::read_dir(&folder).map_err(|source| flush_error(&folder, source))?;
        for entry in listing {
            let path = entry.map_err(|source| flush_error(&folder, source))?.path();
            if path.extension() != Some(OsStr::new("jnl")) {
                continue;
            }
            match File::open(&path) {
                Ok(journal) => self.flush_journal(&path, &journal)?,
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // No descriptor left, say: nothing was tried yet, so the next flush may well succeed.
                Err(error) => return Err(flush_error(&path, error)),
            }
        }
        Ok(())
    }

    fn flush_journal(&self, path: &Path, journal: &File) -> Result<(), StoreError> {
        journal.sync_data().map_err(|source| {
            // The kernel reports a failed write-back once and then calls the pages clean: a second try would lie.
            self.inner.broken.store(true, Ordering::Release);
            flush_error(path, source)
        })
    }
}

fn flush_error(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { what: "cannot flush", path: path.to_owned(), source }
}

/// The key space of one volume.
pub struct FjallKv {
    database: FjallDatabase,
    keyspace: Keyspace,
    watermark: Watermark,
}

impl MetaKv for FjallKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.keyspace.get(key)?.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        // A snapshot, because a plain range read shows half of a batch that is just being applied.
        let snapshot = self.database.inner.database.snapshot();
        walk(snapshot.range(&self.keyspace, from..to), visit)
    }

    fn scan_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let snapshot = self.database.inner.database.snapshot();
        walk(snapshot.range(&self.keyspace, from..to).rev(), visit)
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        if self.database.inner.broken.load(Ordering::Acquire) {
            return Err(StoreError::Database(fjall::Error::Poisoned));
        }
        let mut write = self.database.inner.database.batch().durability(Some(PersistMode::Buffer));
        for (key, value) in batch.into_changes() {
            match value {
                Some(value) => write.insert(&self.keyspace, key, value),
                None => write.remove(&self.keyspace, key),
            }
        }
        write.commit().map_err(|error| {
            self.database.inner.broken.store(true, Ordering::Release);
            StoreError::Database(error)
        })
    }

    fn persist(&self, sequence: Sequence) -> Result<(), StoreError> {
        if self.database.inner.broken.load(Ordering::Acquire) {
            return Err(StoreError::Database(fjall::Error::Poisoned));
        }
        self.database.flush_journals()?;
        self.watermark.raise(sequence)
    }

    fn persisted(&self) -> Sequence {
        self.watermark.highest()
    }
}

fn walk(records: impl Iterator<Item = Guard>, visit: &mut Visit<'_>) -> Result<(), StoreError> {
    for record in records {
        let (key, value) = record.into_inner()?;
        if let ControlFlow::Break(()) = visit(&key, &value) {
            break;
        }
    }
    Ok(())
}
