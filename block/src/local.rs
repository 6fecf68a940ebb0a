//! A block store in a local folder.
//!
//! Owns `<address>/<bucket>/<prefix>/<volume>`: objects lie two folders deep, new ones are written in `incoming` and
//! get their name by a hard link, which never replaces anything. Refuses a place that is no folder.
//! Invariant: a name in an object folder always stands for the whole object.

mod direct;
mod ring;

use std::fs::{self, File};
use std::io::{ErrorKind, IoSlice, Write};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use direct::DirectBuffers;
use proto::{BlockStoreSettings, ObjectId, VolumeId};
use ring::Ring;
pub use ring::with_ring;
use rustix::fs::OFlags;
use rustix::io::Errno as OsError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::{BlockStore, BoxFuture, ListCursor, Listing, ObjectInfo};
use crate::{StoreError, StoreErrorKind};

/// Objects in a folder of the local file system.
pub struct LocalStore {
    place: Arc<Place>,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
}

impl LocalStore {
    /// Opens the store in `root`, which is made (mode 0700) where nothing is there. Blocks the thread.
    ///
    /// # Errors
    /// The path exists and is no folder, or the file system refuses.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let incoming = root.join(INCOMING);
        make_folder(&incoming)?;
        remove_leftovers(&incoming, LEFTOVER_AGE)?;
        let place = Place {
            root: root.to_owned(),
            incoming,
            next_name: AtomicU64::new(0),
            buffers: DirectBuffers::default(),
            takes_direct: AtomicBool::new(true),
        };
        Ok(Self {
            place: Arc::new(place),
            reads: Arc::new(Semaphore::new(READS_MAX)),
            writes: Arc::new(Semaphore::new(WRITES_MAX)),
        })
    }

    /// The same store with at most `bops_max` operations at once, whichever they are.
    #[must_use]
    pub fn bounded(self, bops_max: NonZeroUsize) -> Self {
        let slots = Arc::new(Semaphore::new(bops_max.get().min(Semaphore::MAX_PERMITS)));
        Self { reads: Arc::clone(&slots), writes: slots, ..self }
    }

    /// Runs `work` on the blocking pool as soon as one of `slots` is free; the slot is kept until the work is done,
    /// also where the caller went away, so that the bound holds.
    async fn run<T: Send + 'static>(
        &self,
        slots: &Arc<Semaphore>,
        work: impl FnOnce(&Place) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let slot = take_slot(slots).await;
        let place = Arc::clone(&self.place);
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&place);
            drop(slot);
            result
        });
        done.await.map_err(|error| StoreError::new(StoreErrorKind::Internal, format!("block store worker: {error}")))?
    }

    /// Reads through the thread's ring where it has one, else on the blocking pool. The slot is kept as in `run`.
    async fn read(&self, object: ObjectId, range: Range<u64>) -> Result<Bytes, StoreError> {
        if !Ring::is_here() {
            return self.run(&self.reads, move |place| place.get(object, range)).await;
        }
        let len = len_of(object, &range)?;
        let slot = take_slot(&self.reads).await;
        let reading = Ring::start(self.place.object_path(object), range.start, len, slot);
        let bytes = reading.await.map_err(|error| StoreError::from_io(format_args!("object {object}"), &error))?;
        if bytes.len() < len {
            return Err(ends_early(object, range.start + bytes.len() as u64, range.end));
        }
        Ok(bytes.into())
    }
}

async fn take_slot(slots: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed")
}

impl BlockStore for LocalStore {
    fn put(&self, object: ObjectId, chunks: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.run(&self.writes, move |place| place.put(object, &chunks)))
    }

    fn get(&self, object: ObjectId, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>> {
        Box::pin(self.read(object, range))
    }

    fn delete<'a>(&'a self, objects: &'a [ObjectId]) -> BoxFuture<'a, Result<(), StoreError>> {
        let objects = objects.to_vec();
        Box::pin(self.run(&self.writes, move |place| place.delete(&objects)))
    }

    fn list(&self, from: Option<ListCursor>) -> BoxFuture<'_, Result<Listing, StoreError>> {
        Box::pin(self.run(&self.reads, move |place| place.list(from)))
    }
}

impl std::fmt::Debug for LocalStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalStore").field("root", &self.place.root).finish_non_exhaustive()
    }
}

/// The folder of a `local` store's volume.
pub(crate) fn folder(settings: &BlockStoreSettings, volume: VolumeId) -> Result<PathBuf, StoreError> {
    let address = Path::new(&settings.address);
    if !address.is_absolute() {
        let message = format!("block store address {:?}: an absolute path is needed", settings.address);
        return Err(StoreError::new(StoreErrorKind::Invalid, message));
    }
    let mut folder = address.to_owned();
    for (what, part) in [("bucket", &settings.bucket), ("prefix", &settings.prefix)] {
        let part = Path::new(part.trim_matches('/'));
        if !part.components().all(|component| matches!(component, Component::Normal(_))) {
            let message = format!("block store {what} {part:?}: a folder name below the address is needed");
            return Err(StoreError::new(StoreErrorKind::Invalid, message));
        }
        folder.push(part);
    }
    folder.push(volume.to_string());
    Ok(folder)
}

/// What the blocking pool works on.
struct Place {
    root: PathBuf,
    incoming: PathBuf,
    /// Makes the names in `incoming` differ within this process.
    next_name: AtomicU64,
    buffers: DirectBuffers,
    /// Whether the file system takes direct writes, as far as was seen.
    takes_direct: AtomicBool,
}

impl Place {
    fn put(&self, object: ObjectId, chunks: &[Bytes]) -> Result<(), StoreError> {
        let leaf = leaf_of(object);
        let path = self.object_path(object);
        let number = self.next_name.fetch_add(1, Ordering::Relaxed);
        let incoming = self.incoming.join(format!("{}-{number}-{object}", std::process::id()));
        let result = self.write_synced(&incoming, chunks).and_then(|()| self.publish(&incoming, leaf, &path));
        // Gone or not, the temporary name has no use any more; a failure to remove it is mended at the next open.
        let _ = fs::remove_file(&incoming);
        result.map_err(|error| StoreError::from_io(format_args!("object {object}"), &error))
    }

    /// Writes a new file; its bytes and its length survive a crash.
    fn write_synced(&self, path: &Path, chunks: &[Bytes]) -> std::io::Result<()> {
        let len: usize = chunks.iter().map(Bytes::len).sum();
        let mut new = File::options();
        new.write(true).create_new(true).mode(0o600);
        if len >= DIRECT_MIN && self.takes_direct.load(Ordering::Relaxed) {
            let written = new.clone().custom_flags(OFlags::DIRECT.bits() as i32).open(path).and_then(|mut file| {
                self.buffers.write(&mut file, chunks)?;
                file.sync_data()
            });
            match written {
                Err(error) if error.raw_os_error() == Some(OsError::INVAL.raw_os_error()) => {
                    tracing::debug!(folder = %self.root.display(), "no direct writes here: through the page cache");
                    self.takes_direct.store(false, Ordering::Relaxed);
                    fs::remove_file(path).or_else(|error| match error.kind() {
                        ErrorKind::NotFound => Ok(()),
                        _ => Err(error),
                    })?;
                }
                written => return written,
            }
        }
        let mut file = new.open(path)?;
        write_buffered(&mut file, chunks)?;
        file.sync_data()
    }

    /// Gives a written file its name and makes the name survive a crash.
    fn publish(&self, incoming: &Path, leaf: u16, path: &Path) -> std::io::Result<()> {
        match fs::hard_link(incoming, path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_leaf(leaf)?;
                fs::hard_link(incoming, path)?;
            }
            // Perhaps from an attempt that failed only behind this, and whose caller takes it for stored now.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                sync_folder(&self.leaf_path(leaf))?;
                return Err(error);
            }
            linked => linked?,
        }
        sync_folder(&self.leaf_path(leaf))
    }

    fn get(&self, object: ObjectId, range: Range<u64>) -> Result<Bytes, StoreError> {
        let failed = |error: &std::io::Error| StoreError::from_io(format_args!("object {object}"), error);
        let file = File::open(self.object_path(object)).map_err(|error| failed(&error))?;
        let len = len_of(object, &range)?;
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let place = range.start + bytes.len() as u64;
            match rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut bytes), place) {
                Ok(0) => return Err(ends_early(object, place, range.end)),
                Ok(_) | Err(OsError::INTR) => {}
                Err(errno) => return Err(failed(&errno.into())),
            }
        }
        // The allocator may have given more than was asked for, and the read then fills that too.
        bytes.truncate(len);
        Ok(bytes.into())
    }

    fn delete(&self, objects: &[ObjectId]) -> Result<(), StoreError> {
        for object in objects {
            match fs::remove_file(self.object_path(*object)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(StoreError::from_io(format_args!("object {object}"), &error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Object folders from the cursor on, until [`LIST_PAGE`] objects are found.
    fn list(&self, from: Option<ListCursor>) -> Result<Listing, StoreError> {
        let mut objects = Vec::new();
        let mut leaf = from.map_or(0, |cursor| cursor.0);
        while leaf < LEAVES && objects.len() < LIST_PAGE {
            let failed = |error: std::io::Error| StoreError::from_io(self.root.display(), &error);
            let upper = self.root.join(format!("{:02x}", leaf >> 8));
            if leaf & 0xff == 0 && !upper.try_exists().map_err(failed)? {
                leaf += 0x100;
                continue;
            }
            list_leaf(&self.leaf_path(leaf as u16), &mut objects).map_err(failed)?;
            leaf += 1;
        }
        Ok(Listing { objects, next: (leaf < LEAVES).then_some(ListCursor(leaf)) })
    }

    fn leaf_path(&self, leaf: u16) -> PathBuf {
        let [upper, lower] = leaf.to_be_bytes();
        self.root.join(format!("{upper:02x}/{lower:02x}"))
    }

    fn object_path(&self, object: ObjectId) -> PathBuf {
        self.leaf_path(leaf_of(object)).join(format!("{:016x}", object.0))
    }

    fn make_leaf(&self, leaf: u16) -> std::io::Result<()> {
        let path = self.leaf_path(leaf);
        fs::DirBuilder::new().mode(0o700).recursive(true).create(&path)?;
        let upper = path.parent().expect("an object folder has a folder above it");
        sync_folder(upper)?;
        sync_folder(&self.root)
    }
}

/// The object folder of an object. Runs of 256 ids share one, so that a stream of new objects makes few folders; the
/// runs are spread over all folders by hash.
fn leaf_of(object: ObjectId) -> u16 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = (object.0 >> 8).wrapping_add(1).wrapping_mul(GOLDEN);
    ((mixed ^ mixed >> 32).wrapping_mul(GOLDEN) >> 48) as u16
}

fn len_of(object: ObjectId, range: &Range<u64>) -> Result<usize, StoreError> {
    range
        .end
        .checked_sub(range.start)
        .and_then(|len| usize::try_from(len).ok())
        .ok_or_else(|| StoreError::new(StoreErrorKind::Internal, format!("object {object}: no such range {range:?}")))
}

fn ends_early(object: ObjectId, place: u64, needed: u64) -> StoreError {
    let message = format!("object {object}: ends at byte {place}, {needed} are needed");
    StoreError::new(StoreErrorKind::Corrupt, message)
}

fn write_buffered(file: &mut File, chunks: &[Bytes]) -> std::io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = chunks.iter().map(|chunk| IoSlice::new(chunk)).collect();
    let mut rest = slices.as_mut_slice();
    // `advance_slices` also skips empty chunks in front.
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match file.write_vectored(&rest[..rest.len().min(IOV_MAX)]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn list_leaf(path: &Path, objects: &mut Vec<ObjectInfo>) -> std::io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        // A name that is no object's is somebody else's file: left alone and not listed.
        let Some(id) = name.to_str().filter(|name| name.len() == 16).and_then(|n| u64::from_str_radix(n, 16).ok())
        else {
            continue;
        };
        match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            metadata => objects.push(ObjectInfo { object: ObjectId(id), len: metadata?.len() }),
        }
    }
    Ok(())
}

/// Refuses a store whose folder is not on this host, or not for this user.
pub(crate) fn must_be_here(folder: &Path) -> Result<(), StoreError> {
    let Err(error) = fs::read_dir(folder) else { return Ok(()) };
    let failed = StoreError::from_io(format_args!("block store folder {}", folder.display()), &error);
    let hint = match failed.kind {
        StoreErrorKind::NotFound => "a `local` store serves mounts on the host of its metadata server",
        StoreErrorKind::Denied => "a `local` store is used with the rights of whoever mounts: mount as its owner",
        _ => return Err(failed),
    };
    Err(StoreError::new(failed.kind, format!("{}; {hint}", failed.message)))
}

fn make_folder(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new().mode(0o700).recursive(true).create(path).map_err(|error| {
        let blocking = path.ancestors().find(|above| above.symlink_metadata().is_ok_and(|found| !found.is_dir()));
        match blocking {
            Some(blocking) if blocking.metadata().map_or(true, |found| !found.is_dir()) => StoreError::new(
                StoreErrorKind::Invalid,
                format!("block store folder {}: exists and is no folder", blocking.display()),
            ),
            _ => StoreError::from_io(format_args!("block store folder {}", path.display()), &error),
        }
    })
}

/// Removes what a crash left in `incoming`. Another process may be writing there, hence the age.
fn remove_leftovers(incoming: &Path, age: Duration) -> Result<(), StoreError> {
    let failed = |error: std::io::Error| StoreError::from_io(incoming.display(), &error);
    for entry in fs::read_dir(incoming).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let old = entry.metadata().and_then(|found| found.modified()).is_ok_and(|modified| {
            // A time in the future is a clock that was set back: not old.
            modified.elapsed().is_ok_and(|elapsed| elapsed > age)
        });
        if old {
            tracing::info!(file = %entry.path().display(), "removing what an interrupted write left");
            match fs::remove_file(entry.path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
    }
    Ok(())
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// Folder of objects that are being written.
const INCOMING: &str = "incoming";
/// Age from which a file in `incoming` counts as left behind.
const LEFTOVER_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Object folders: two levels of 256.
const LEAVES: u64 = 1 << 16;
/// Objects from which a page of a listing is full.
const LIST_PAGE: usize = 4096;
/// Reads at once: each holds a thread of the blocking pool and its result.
const READS_MAX: usize = 32;
/// Puts and deletes at once.
const WRITES_MAX: usize = 16;
/// Bytes from which an object is written past the page cache: below, the copy into a buffer of its own is not worth it.
const DIRECT_MIN: usize = 64 << 10;
/// Slices in one writev(2).
const IOV_MAX: usize = 1024;

#[cfg(test)]
mod tests;
