//! `DataPlane`: the files of a mount and what they share.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use block::{BlockReader, BlockStore};
use dashmap::DashMap;
use proto::{Attr, BLOCK_SIZE_MAX, BLOCK_SIZE_MIN, Compression, Errno, InodeId, Layout, VolumeSettings};
use tokio::sync::Semaphore;

use super::budget::Budget;
use super::file::{File, Turn};
use super::objects::ObjectPool;
use super::readahead;
use super::state::FileState;
use crate::trace::TimedStore;

/// Limits of the data path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataSettings {
    /// Memory for cached frames, written bytes and uploads, together; at least eight blocks are taken.
    pub(crate) memory_max: u64,
}

/// The data path of a mount.
#[derive(Clone)]
pub(crate) struct DataPlane {
    pub(super) shared: Arc<Shared>,
}

/// What all files share.
pub(super) struct Shared {
    pub(super) store: Arc<dyn BlockStore>,
    pub(super) reader: Arc<BlockReader>,
    pub(super) block_size: u32,
    /// Bytes in a page of the kernel.
    pub(super) page_size: u64,
    pub(super) compression: Compression,
    /// Half of the memory is the reader's cache, three eighths are for written bytes, the rest is for what uploads make
    /// of them.
    pub(super) budget: Budget,
    pub(super) objects: ObjectPool,
    pub(super) uploads: Arc<Semaphore>,
    /// A block that is rewritten is in memory as a whole.
    pub(super) rewrites: Semaphore,
    pub(super) window_max: u64,
    files: DashMap<InodeId, Arc<File>>,
    idle: Mutex<Idle>,
}

/// Files nobody has open, next to be forgotten first.
#[derive(Default)]
struct Idle {
    /// Each with the number of its close: a file that was closed again later has another one.
    queue: VecDeque<(InodeId, u64)>,
    closes: u64,
}

/// A file that was opened.
#[derive(Debug)]
pub(crate) struct OpenedFile {
    /// Its content.
    pub(crate) file: Arc<File>,
    /// Whether pages that the kernel has of the file are still right.
    pub(crate) keep_cache: bool,
}

/// What a data path takes and saved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DataUse {
    /// Frames that reads found in memory.
    pub(crate) hits: u64,
    /// Frames that they did not.
    pub(crate) misses: u64,
    /// Bytes of cached frames.
    pub(crate) cached: u64,
    /// Bytes written and not committed.
    pub(crate) dirty: u64,
}

/// As long as this lives, no commit of the file is sent. Knows what was written before.
#[derive(Debug)]
pub(crate) struct Quiet {
    file: Arc<File>,
    /// The newest of what was written before.
    written: Option<u64>,
    _turn: Turn,
}

impl DataPlane {
    /// The data path of a volume whose objects are in `store`.
    ///
    /// # Errors
    /// `EPROTO` where the volume's block size is none that this build knows.
    pub(crate) fn new(
        store: Arc<dyn BlockStore>,
        volume: &VolumeSettings,
        settings: DataSettings,
    ) -> Result<Self, Errno> {
        let block_size = volume.block_size;
        if !block_size.is_power_of_two() || !(BLOCK_SIZE_MIN..=BLOCK_SIZE_MAX).contains(&block_size) {
            tracing::error!(block_size, "block size: a power of two from 256 KiB to 8 MiB is needed");
            return Err(Errno::EPROTO);
        }
        let memory = usize::try_from(settings.memory_max).unwrap_or(usize::MAX).max(8 * block_size as usize);
        let uploads = (memory / 8 / block_size as usize).clamp(1, UPLOADS_MAX);
        let cache = memory / 2;
        let shared = Shared {
            reader: Arc::new(BlockReader::new(Arc::new(TimedStore(Arc::clone(&store))), cache)),
            store,
            block_size,
            page_size: rustix::param::page_size() as u64,
            compression: volume.compression,
            budget: Budget::new(memory / 8 * 3),
            objects: ObjectPool::new(),
            uploads: Arc::new(Semaphore::new(uploads)),
            rewrites: Semaphore::new(1),
            window_max: readahead::WINDOW_MAX.min(cache as u64 / 4),
            files: DashMap::new(),
            idle: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Takes in the reply of an open or a create. Each call is matched by one of [`Self::close`].
    pub(crate) fn open(&self, attr: &Attr, layout: Layout) -> OpenedFile {
        let new = || Arc::new(File::new(attr.ino, FileState::new(attr, self.shared.block_size)));
        // Counted under the entry's lock: a close that forgets idle files does not see the file between the two.
        let entry = self.shared.files.entry(attr.ino).or_insert_with(new);
        let file = Arc::clone(&entry);
        let keep_cache = file.state().settle_open(attr, layout);
        drop(entry);
        OpenedFile { file, keep_cache }
    }

    /// Stops commits of a file until the result is dropped: for an open that empties it. `None` where the file is not
    /// known here, and nothing has to be stopped.
    pub(crate) async fn quiet(&self, ino: InodeId) -> Option<Quiet> {
        let file = self.find(ino)?;
        let turn = file.take_turn().await;
        let written = self.update(&file, FileState::seal_all);
        Some(Quiet { file, written, _turn: turn })
    }

    /// Takes in that an open emptied the file: bytes written before are dropped. Call it before [`Self::open`].
    pub(crate) fn settle_truncating_open(&self, quiet: Quiet) {
        self.settle_emptied(&quiet.file, quiet.written);
    }

    /// Drops what was written to a file up to the sealed run `written`. What was written later stays.
    pub(super) fn settle_emptied(&self, file: &File, written: Option<u64>) {
        let given_up = self.update(file, |state| {
            state.settle_emptied(written);
            state.take_given_up()
        });
        self.shared.objects.give_up(given_up);
    }

    /// Drops what was written to files that `is_gone` and not committed: it must not be from here on.
    pub(crate) fn forsake(&self, is_gone: impl Fn(InodeId) -> bool) {
        for file in self.dirty_files().into_iter().filter(|file| is_gone(file.ino())) {
            let (bytes, given_up) = self.update(&file, |state| {
                let bytes = state.memory();
                state.discard();
                (bytes, state.take_given_up())
            });
            self.shared.objects.give_up(given_up);
            tracing::error!(ino = file.ino().0, bytes, "the file is gone: what was written to it is lost");
        }
    }

    /// Takes in attributes that came with a lock: whoever gets one sees what was committed before. Returns the version of
    /// the file where the kernel's pages of it may be older; [`Self::settle_dropped`] follows when it has none any more.
    pub(crate) fn settle_lock(&self, attr: &Attr) -> Option<u64> {
        self.find(attr.ino)?.state().settle_lock(attr)
    }

    /// Takes in that the kernel has no pages of the file that are older than `version`.
    pub(crate) fn settle_dropped(&self, ino: InodeId, version: u64) {
        if let Some(file) = self.find(ino) {
            file.state().settle_dropped(version);
        }
    }

    /// Counts a close. The file must have been flushed; what is not committed by then is lost, as the flush said.
    /// Returns whether it was the last close.
    pub(crate) fn close(&self, ino: InodeId) -> bool {
        let Some(file) = self.find(ino) else { return false };
        let lost = file.update(&self.shared.budget, |state| {
            let is_last = state.settle_close();
            let lost = if is_last { state.memory() } else { 0 };
            if is_last {
                state.discard();
            }
            is_last.then(|| (lost, state.take_given_up()))
        });
        let Some((lost, given_up)) = lost else { return false };
        self.shared.objects.give_up(given_up);
        if lost > 0 {
            tracing::error!(ino = ino.0, bytes = lost, "closed with bytes that could not be stored: they are lost");
        }
        self.forget_idle(&file);
        true
    }

    /// Puts over attributes of a reply what is known better here, and takes notice of what is new in them.
    pub(crate) fn overlay(&self, attr: &mut Attr) {
        if let Some(file) = self.find(attr.ino) {
            let mut state = file.state();
            state.observe(attr);
            state.overlay(attr);
        }
    }

    /// What it takes and what it saved, for whoever scrapes the mount.
    pub(crate) fn usage(&self) -> DataUse {
        let Shared { reader, budget, .. } = &*self.shared;
        let (hits, misses) = reader.hits_and_misses();
        DataUse { hits, misses, cached: reader.memory_used() as u64, dirty: budget.used() as u64 }
    }

    /// Memory of cached frames and of written bytes.
    pub(crate) fn memory_used(&self) -> u64 {
        (self.shared.reader.memory_used() + self.shared.budget.used()) as u64
    }

    /// Files with bytes that the server was not told of.
    pub(super) fn dirty_files(&self) -> Vec<Arc<File>> {
        let files = self.shared.files.iter();
        files.filter(|entry| entry.memory() > 0).map(|entry| Arc::clone(entry.value())).collect()
    }

    /// Every file with work for a flush, undurable commits included.
    pub(super) fn unsynced_files(&self) -> Vec<Arc<File>> {
        let files: Vec<Arc<File>> = self.shared.files.iter().map(|entry| Arc::clone(entry.value())).collect();
        files.into_iter().filter(|file| file.is_dirty()).collect()
    }

    pub(super) fn find(&self, ino: InodeId) -> Option<Arc<File>> {
        self.shared.files.get(&ino).map(|entry| Arc::clone(entry.value()))
    }

    /// Puts a file that was closed behind the others, and forgets those that waited longest.
    fn forget_idle(&self, file: &File) {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.closes += 1;
        let close = idle.closes;
        file.note_close(close);
        idle.queue.push_back((file.ino(), close));
        let surplus = idle.queue.len().saturating_sub(IDLE_FILES_MAX);
        let forgotten: Vec<_> = idle.queue.drain(..surplus).collect();
        drop(idle);
        for (ino, close) in forgotten {
            self.shared.files.remove_if(&ino, |_, file| file.was_closed_at(close) && !file.state().is_open());
        }
    }
}

impl std::fmt::Debug for DataPlane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataPlane")
            .field("files", &self.shared.files.len())
            .field("memory_used", &self.memory_used())
            .finish_non_exhaustive()
    }
}

/// Uploads at once in the whole mount.
const UPLOADS_MAX: usize = 8;
/// Closed files whose state is kept, so that an open that finds them unchanged keeps the kernel's pages.
const IDLE_FILES_MAX: usize = 2048;
