//! Read: from memory, from the store, and ahead of the reader.

use std::sync::Arc;

use block::{StoreError, StoreErrorKind};
use bytes::Bytes;
use proto::limits::BLOCKS_MAX;
use proto::{BlockIndex, Caller, Errno, Reply, Request};

use super::file::{File, Turn};
use super::map::is_sound;
use super::plane::DataPlane;
use super::state::{ReadPlan, Segment, StoredRange};
use super::upload::errno_of;
use crate::client::MetaClient;
use crate::trace::{Stage, stage};

impl DataPlane {
    /// Up to `len` bytes at `offset`, in slices; fewer where the file ends. With `into_pages` the kernel keeps them in
    /// pages, and asks for none behind the end of the file as it knows it: where the file is shorter, it gets what was
    /// there before. What will probably be read next is fetched in the background.
    ///
    /// # Errors
    /// `EIO` where bytes cannot be had or are not those that were written, else the server's.
    pub(crate) async fn read(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        offset: u64,
        len: u32,
        into_pages: bool,
    ) -> Result<Vec<Bytes>, Errno> {
        let page = into_pages.then_some(self.shared.page_size);
        let slices = self.read_bytes(client, file, offset, u64::from(len), page).await?;
        self.read_ahead(client, file, offset, u64::from(len)).await;
        Ok(slices)
    }

    async fn read_bytes(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        offset: u64,
        len: u64,
        page: Option<u64>,
    ) -> Result<Vec<Bytes>, Errno> {
        let (mut layouts_left, mut attempts_left) = (READ_LAYOUTS_MAX, READ_ATTEMPTS);
        loop {
            let plan = file.state().plan_read(offset, len, page);
            let segments = match plan {
                ReadPlan::Ready(segments) => segments,
                ReadPlan::NeedLayout(block) if layouts_left > 0 => {
                    layouts_left -= 1;
                    self.fetch_layout(client, file, block, None).await?;
                    continue;
                }
                ReadPlan::NeedLayout(_) => return Err(too_restless(file)),
                ReadPlan::Gone => return Err(Errno::EIO),
            };
            match self.collect(segments).await {
                // Replaced by somebody else since the map was read, and deleted: the new map tells where to look.
                Err(error) if error.kind == StoreErrorKind::NotFound && attempts_left > 0 => {
                    attempts_left -= 1;
                    file.state().forget_map();
                }
                Err(error) => {
                    tracing::error!(ino = file.ino().0, offset, %error, "cannot read");
                    return Err(errno_of(&error));
                }
                Ok(slices) => return Ok(slices),
            }
        }
    }

    /// Asks the server where block `block` and its neighbours are.
    pub(super) async fn fetch_layout(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        block: u64,
        turn: Option<&Turn>,
    ) -> Result<(), Errno> {
        for attempt in 0..LAYOUT_ATTEMPTS {
            // Commits of our own make the answer old; after a few tries they have to wait.
            let _own_turn = match turn {
                None if attempt >= 2 => Some(file.take_turn().await),
                _ => None,
            };
            let known = file.state().version();
            let request = Request::GetLayout { ino: file.ino(), first: BlockIndex(block), count: LAYOUT_BLOCKS };
            let (attr, layout) = match client.call(&Caller::ROOT, request).await? {
                Reply::Layout(attr, layout)
                    if (layout.first..layout.behind).contains(&BlockIndex(block))
                        && is_sound(&layout, self.shared.block_size) =>
                {
                    (attr, layout)
                }
                other => {
                    tracing::error!(?other, ino = file.ino().0, block, "a block map was expected");
                    return Err(Errno::EPROTO);
                }
            };
            if file.state().settle_layout(&attr, layout, known) {
                return Ok(());
            }
        }
        Err(too_restless(file))
    }

    pub(super) async fn collect(&self, segments: Vec<Segment>) -> Result<Vec<Bytes>, StoreError> {
        let mut slices = Vec::with_capacity(segments.len());
        for segment in segments {
            match segment {
                Segment::Bytes(bytes) => slices.push(bytes),
                Segment::Zeroes(len) => slices.extend(block::zeroes(len)),
                Segment::Pieces(stored) => {
                    let reading = self.shared.reader.read(&stored.pieces, stored.start, stored.end);
                    slices.extend(stage(Stage::Blocks, reading).await?);
                }
            }
        }
        Ok(slices)
    }

    /// Starts fetching what an in-order reader will want. The reader waits for a page of the map at the most, which it
    /// would need soon. A failure is left for the reader to meet.
    async fn read_ahead(&self, client: &impl MetaClient, file: &Arc<File>, offset: u64, len: u64) {
        let range = file.state().note_read(offset, len, self.shared.window_max);
        let Some(range) = range else { return };
        let mut planned = file.state().plan_ahead(range.clone());
        if let Err(block) = planned
            && self.fetch_layout(client, file, block, None).await.is_ok()
        {
            planned = file.state().plan_ahead(range);
        }
        let Ok(ahead) = planned else { return };
        if ahead.is_empty() {
            return;
        }
        let reader = Arc::clone(&self.shared.reader);
        drop(tokio::spawn(async move {
            for StoredRange { pieces, start, end } in ahead {
                if reader.warm(&pieces, start, end).await.is_err() {
                    return;
                }
            }
        }));
    }
}

fn too_restless(file: &File) -> Errno {
    tracing::error!(ino = file.ino().0, "the file changes faster than its block map can be read");
    Errno::EIO
}

/// Blocks asked for at once.
const LAYOUT_BLOCKS: u32 = if BLOCKS_MAX < 128 { BLOCKS_MAX } else { 128 };
/// Times a map is asked for: answers may be older than what is learned meanwhile.
const LAYOUT_ATTEMPTS: u32 = 16;
/// Times that a read asks for maps: one page holds all that a read is about, unless others keep changing the file.
const READ_LAYOUTS_MAX: u32 = 32;
/// Times a read looks for objects that were deleted under it.
const READ_ATTEMPTS: u32 = 3;
