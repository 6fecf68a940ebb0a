//! The seam between those who move blocks and the places that keep them.

use std::future::Future;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use proto::{BlockStoreSettings, ObjectId, VolumeId};

use crate::{LocalStore, StoreError, StoreErrorKind};

/// A future of a store: stores are chosen at run time, so their futures have no name.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A place that keeps the immutable objects of one volume.
///
/// A dropped future may still take effect: a put can complete, a delete can go on.
pub trait BlockStore: Send + Sync + 'static {
    /// Stores a new object made of `chunks`, one behind the other. When this is answered, the object survives a crash.
    /// An object that exists is left alone and is an error of kind [`StoreErrorKind::Exists`].
    fn put(&self, object: ObjectId, chunks: Vec<Bytes>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Exactly the bytes `range` of an object. An object that ends before is [`StoreErrorKind::Corrupt`].
    fn get(&self, object: ObjectId, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, StoreError>>;

    /// Removes objects. One that is not there is fine: it was removed before.
    fn delete<'a>(&'a self, objects: &'a [ObjectId]) -> BoxFuture<'a, Result<(), StoreError>>;

    /// The next page of all objects, in no order that means anything. `None` starts; go on with [`Listing::next`].
    /// Objects put or removed meanwhile may be listed or not.
    fn list(&self, from: Option<ListCursor>) -> BoxFuture<'_, Result<Listing, StoreError>>;
}

/// Where a listing goes on. Means something to the store that made it only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListCursor(pub(crate) u64);

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The objects.
    pub objects: Vec<ObjectInfo>,
    /// Where to go on; `None` where the listing ends.
    pub next: Option<ListCursor>,
}

/// An object in a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its id.
    pub object: ObjectId,
    /// Its length in bytes.
    pub len: u64,
}

/// Opens the store that holds the blocks of `volume`, and makes its place where there is none yet: for the server, which
/// is there before any mount. Blocks the thread.
///
/// # Errors
/// [`StoreErrorKind::Invalid`] where the settings make no sense, else what the store's place answers.
pub fn open_or_make(settings: &BlockStoreSettings, volume: VolumeId) -> Result<Arc<dyn BlockStore>, StoreError> {
    Ok(Arc::new(LocalStore::open(&local_folder(settings, volume)?)?))
}

/// Opens the store that holds the blocks of `volume`, with at most `bops_max` operations at once (`None`: as many as
/// suit the store). A place that is not there is an error: made here, it would be another one than the server's.
/// Blocks the thread.
///
/// # Errors
/// As [`open_or_make`].
pub fn open(
    settings: &BlockStoreSettings,
    volume: VolumeId,
    bops_max: Option<NonZeroUsize>,
) -> Result<Arc<dyn BlockStore>, StoreError> {
    let folder = local_folder(settings, volume)?;
    crate::local::must_be_here(&folder)?;
    let store = LocalStore::open(&folder)?;
    Ok(Arc::new(match bops_max {
        Some(bops_max) => store.bounded(bops_max),
        None => store,
    }))
}

fn local_folder(settings: &BlockStoreSettings, volume: VolumeId) -> Result<PathBuf, StoreError> {
    match settings.api_code.as_str() {
        "local" => crate::local::folder(settings, volume),
        other => Err(StoreError::new(
            StoreErrorKind::Invalid,
            format!("block store API {other:?} is not known: this build has \"local\""),
        )),
    }
}
