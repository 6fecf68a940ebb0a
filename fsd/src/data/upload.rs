//! Uploads: sealed runs become objects, in background tasks.

use std::sync::Arc;
use std::time::Duration;

use block::{StoreError, StoreErrorKind};
use proto::{Errno, ObjectId, Piece};

use super::file::File;
use super::plane::{DataPlane, Shared};
use super::state::Upload;
use crate::client::MetaClient;

impl DataPlane {
    /// Starts uploads of sealed runs, as many as a file may have at once. The rest is started by whoever calls next.
    pub(super) async fn start_uploads(&self, client: &impl MetaClient, file: &Arc<File>) -> Result<(), Errno> {
        let planned = file.state().plan_uploads(FILE_UPLOADS_MAX);
        for (id, known) in planned {
            let object = match known {
                Some(object) => object,
                None => self.shared.objects.take(client).await?,
            };
            let upload = file.state().begin_upload(id, object);
            match upload {
                Some(upload) => {
                    let running = Running::new(&self.shared, file, &upload);
                    drop(tokio::spawn(run(running, upload)));
                }
                // Somebody else began it while the id was asked for.
                None if known.is_none() => self.shared.objects.put_back(object),
                None => {}
            }
        }
        Ok(())
    }
}

/// An upload under way. Should its task end early, the upload counts as failed and nobody waits for ever.
struct Running {
    shared: Arc<Shared>,
    file: Arc<File>,
    id: u64,
    object: ObjectId,
    result: Option<Result<Piece, Errno>>,
}

impl Running {
    fn new(shared: &Arc<Shared>, file: &Arc<File>, upload: &Upload) -> Self {
        Self { shared: Arc::clone(shared), file: Arc::clone(file), id: upload.id, object: upload.object, result: None }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let result = self.result.take().unwrap_or(Err(Errno::EIO));
        let is_settled = self.file.state().settle_upload(self.id, self.object, result);
        if !is_settled {
            self.shared.objects.give_up(vec![self.object]);
        }
        self.file.uploaded().notify_waiters();
    }
}

async fn run(mut running: Running, upload: Upload) {
    let result = running.shared.put(upload).await;
    running.result = Some(result.map_err(|error| {
        tracing::error!(ino = running.file.ino().0, %error, "cannot store written data");
        errno_of(&error)
    }));
}

impl Shared {
    /// Makes an object of a sealed run.
    async fn put(&self, upload: Upload) -> Result<Piece, StoreError> {
        let _slot = self.uploads.acquire().await.expect("the semaphore is never closed");
        let (object, compression) = (upload.object, self.compression);
        let mut again = upload.again;
        let encode = move || block::frame::encode(object, upload.start, &upload.chunks, compression);
        let (piece, body) = tokio::task::spawn_blocking(encode)
            .await
            .map_err(|error| StoreError::new(StoreErrorKind::Internal, format!("frame encoder: {error}")))?;
        let mut delay = RETRY_DELAY;
        let mut attempts_left = PUT_ATTEMPTS;
        loop {
            attempts_left -= 1;
            match self.store.put(object, body.clone()).await {
                // An attempt that seemed to fail did store it: the id is ours alone, so the object is this one.
                Err(error) if again && error.kind == StoreErrorKind::Exists => return Ok(piece),
                Err(error) if error.kind == StoreErrorKind::Unavailable && attempts_left > 0 => {
                    tracing::warn!(object = object.0, %error, "block store not available, trying again");
                }
                result => return result.map(|()| piece),
            }
            again = true;
            tokio::time::sleep(delay).await;
            delay *= 2;
        }
    }
}

/// What an application is told of a failure of the store.
pub(super) fn errno_of(error: &StoreError) -> Errno {
    match error.kind {
        StoreErrorKind::NoSpace => Errno::ENOSPC,
        StoreErrorKind::Denied => Errno::EACCES,
        _ => Errno::EIO,
    }
}

/// Uploads of one file at once.
const FILE_UPLOADS_MAX: usize = 4;
/// Times a put is tried while the store is not available.
const PUT_ATTEMPTS: u32 = 5;
/// First pause between two attempts; doubles each time.
const RETRY_DELAY: Duration = Duration::from_millis(100);
