//! Write: into memory, and back-pressure where there is no room.

use std::sync::Arc;

use proto::limits::FILE_SIZE_MAX;
use proto::{Errno, Timespec};

use super::dirty::EXTENT_OVERHEAD;
use super::file::File;
use super::plane::DataPlane;
use crate::client::MetaClient;
use crate::trace::{Stage, stage};

impl DataPlane {
    /// Writes `data` at `offset`: copies it and returns, unless too much is written already; then it waits until some
    /// of that is committed. Full blocks start on their way to the store. `now` becomes the file's time of change.
    ///
    /// # Errors
    /// `EFBIG` behind the largest offset. Where room has to be made and cannot: why it cannot (`ENOSPC`, `EIO` ...);
    /// `EINTR` where `is_given_up` says that nobody waits any more. A part of the data may then be written.
    pub(crate) async fn write(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        offset: u64,
        data: &[u8],
        now: Timespec,
        is_given_up: impl Fn() -> bool,
    ) -> Result<(), Errno> {
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > FILE_SIZE_MAX) {
            return Err(Errno::EFBIG);
        }
        let block_size = u64::from(self.shared.block_size);
        let (mut offset, mut rest) = (offset, data);
        while !rest.is_empty() {
            let start = offset % block_size;
            let (head, tail) = rest.split_at(rest.len().min((block_size - start) as usize));
            let charge = head.len() + EXTENT_OVERHEAD;
            stage(Stage::Room, self.make_room(client, file, charge)).await?;
            // By now others may have the lock under which it was to be written.
            if is_given_up() {
                self.shared.budget.release(charge);
                return Err(Errno::EINTR);
            }
            let sealed = self.update(file, |state| state.write(offset / block_size, start as u32, head, now));
            self.shared.budget.release(charge);
            if sealed {
                // Without an id the run waits for the next flush, which tells if there still is none.
                let _ = self.start_uploads(client, file).await;
                self.commit_stored(client, file).await;
            }
            offset += head.len() as u64;
            rest = tail;
        }
        Ok(())
    }

    /// Charges `bytes`, writing back until there is room for them.
    async fn make_room(&self, client: &impl MetaClient, file: &Arc<File>, bytes: usize) -> Result<(), Errno> {
        while !self.shared.budget.try_charge(bytes) {
            let oldest = file.state().oldest_sealed();
            match oldest {
                // A writer in order keeps its uploads going: it waits for the oldest only.
                Some(oldest) => {
                    let turn = file.take_turn().await;
                    self.drain(client, file, &turn, oldest, false).await?;
                }
                None => self.flush_largest(client, file).await?,
            }
        }
        Ok(())
    }

    /// Flushes the files that take most memory, until there is some room; where that fails, the next. Errors of other
    /// files stay with them.
    async fn flush_largest(&self, client: &impl MetaClient, own: &Arc<File>) -> Result<(), Errno> {
        let mut dirty = self.dirty_files();
        dirty.sort_by_key(|file| std::cmp::Reverse(file.memory()));
        let mut outcome = Ok(());
        let mut is_any_flushed = false;
        for file in dirty {
            match self.flush(client, &file, false).await {
                Ok(()) => is_any_flushed = true,
                Err(errno) if Arc::ptr_eq(&file, own) => return Err(errno),
                Err(errno) => outcome = Err(errno),
            }
            // Of many small files, one makes room for no more than one write.
            if is_any_flushed && self.shared.budget.has_slack() {
                return Ok(());
            }
        }
        if is_any_flushed {
            return Ok(());
        }
        // Where nothing is dirty any more, others made room meanwhile; where all failed, there is none.
        tokio::task::yield_now().await;
        outcome
    }
}
