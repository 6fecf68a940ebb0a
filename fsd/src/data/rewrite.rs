//! Rewrite: reading what a block that becomes one piece takes along.

use std::sync::Arc;

use block::StoreErrorKind;
use proto::Errno;

use super::file::{File, Turn};
use super::flush::PIECES_KEPT_MAX;
use super::plane::DataPlane;
use super::state::CopyPlan;
use crate::client::MetaClient;

impl DataPlane {
    /// Reads what the rewritten block `id` takes along. What cannot be read stays where it is, and keeps nobody from
    /// writing beside it.
    pub(super) async fn read_copies(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        turn: &Turn,
        id: u64,
    ) -> Result<(), Errno> {
        let mut attempts_left = COPY_ATTEMPTS;
        'plan: loop {
            let plan = self.update(file, |state| state.plan_copies(id, PIECES_KEPT_MAX));
            let mut read = match plan {
                CopyPlan::Done => return Ok(()),
                CopyPlan::NeedLayout(block) if attempts_left > 0 => {
                    attempts_left -= 1;
                    self.fetch_layout(client, file, block, Some(turn)).await?;
                    continue;
                }
                CopyPlan::NeedLayout(_) => return Err(Errno::EIO),
                CopyPlan::Read(read) => read,
            };
            // Many at once. What fails is met again below.
            let stored = &read.stored;
            let _ = self.shared.reader.warm(&stored.pieces, stored.start, stored.end).await;
            let mut bytes = Vec::with_capacity(read.parts.len());
            for (_, segment) in &mut read.parts {
                match self.collect(vec![segment.take()]).await {
                    // Replaced and deleted since the map was read.
                    Err(error) if error.kind == StoreErrorKind::NotFound && attempts_left > 0 => {
                        attempts_left -= 1;
                        file.state().forget_map();
                        continue 'plan;
                    }
                    Err(error) => {
                        tracing::warn!(ino = file.ino().0, %error, "bytes of a rewritten block cannot be read: they stay");
                        bytes.push(None);
                    }
                    Ok(slices) => bytes.push(Some(slices)),
                }
            }
            self.update(file, |state| state.settle_copies(read, bytes));
            return Ok(());
        }
    }
}

/// Times that the bytes of a rewritten block are looked for anew because others replaced them meanwhile.
const COPY_ATTEMPTS: u32 = 16;
