//! Flush: what was written becomes part of the file.

use std::sync::Arc;

use proto::{Attr, Caller, Commit, Errno, Reply, Request, Timespec};

use super::file::{File, Turn};
use super::plane::DataPlane;
use super::state::{CommitOutcome, CompactionPlan, FileState, Step};
use crate::client::MetaClient;

impl DataPlane {
    /// Stores and commits what was written before the call. With `durable` the server has it all on disk when this is
    /// answered, earlier commits of the file included. Data that could not be stored stays and is tried again by the
    /// next flush; the error says that it was not stored.
    ///
    /// # Errors
    /// The store's or the server's: `ENOSPC`, `EIO`, `EACCES`, `ESTALE` ...
    pub(crate) async fn flush(&self, client: &impl MetaClient, file: &Arc<File>, durable: bool) -> Result<(), Errno> {
        if !file.is_dirty() {
            return Ok(());
        }
        let turn = file.take_turn().await;
        self.flush_in_turn(client, file, &turn, durable).await
    }

    /// As a durable flush, and everything else the server acknowledged so far is on its disk too.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub(crate) async fn fsync(&self, client: &impl MetaClient, file: &Arc<File>) -> Result<(), Errno> {
        let turn = file.take_turn().await;
        if file.state().has_pending() {
            // A durable commit stands for all that was acknowledged before it.
            return self.flush_in_turn(client, file, &turn, true).await;
        }
        sync(client, file).await
    }

    /// Flushes every file durably. All are tried; the first error is returned.
    ///
    /// # Errors
    /// As [`Self::flush`].
    pub(crate) async fn flush_all(&self, client: &impl MetaClient) -> Result<(), Errno> {
        let mut result = Ok(());
        for file in self.unsynced_files() {
            result = result.and(self.flush(client, &file, true).await);
        }
        result
    }

    /// Commits files that have been dirty since before `since`, so that other mounts see them and a crash takes little.
    /// Called every few seconds. Failures are logged; the data stays for the next flush, which tells.
    pub(crate) async fn write_back(&self, client: &impl MetaClient, since: Timespec) {
        for file in self.dirty_files() {
            let due = file.state().pending_since().is_some_and(|dirty| dirty < since);
            if due && let Err(errno) = self.flush(client, &file, false).await {
                tracing::warn!(ino = file.ino().0, %errno, "writing back failed");
            }
        }
    }

    /// See [`Self::flush`]; the caller has the turn.
    pub(super) async fn flush_in_turn(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        turn: &Turn,
        durable: bool,
    ) -> Result<(), Errno> {
        if file.state().has_pending() {
            self.compact(client, file, turn).await?;
            if !self.commit_inline(client, file, turn, durable).await? {
                let newest = self.update(file, FileState::seal_all);
                if let Some(newest) = newest {
                    self.drain(client, file, turn, newest, durable).await?;
                }
            }
        }
        let synced = !durable || !file.state().is_undurable();
        if synced { Ok(()) } else { sync(client, file).await }
    }

    /// Uploads and commits sealed runs up to the run `id`. What failed before is tried again.
    pub(super) async fn drain(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        turn: &Turn,
        id: u64,
        durable: bool,
    ) -> Result<(), Errno> {
        file.state().retry_failed();
        let mut surprises_left = SURPRISES_MAX;
        loop {
            let uploaded = file.uploaded().notified();
            tokio::pin!(uploaded);
            // From here on no upload ends unnoticed.
            uploaded.as_mut().enable();
            let step = self.update(file, |state| state.step(id, EAGER_COMMIT));
            self.start_uploads(client, file).await?;
            match step {
                Step::Done => return Ok(()),
                Step::NeedForm => self.fetch_layout(client, file, 0, Some(turn)).await?,
                Step::Commit { last } => {
                    let commit = file.state().plan_commit(file.ino(), durable && last);
                    match self.send(client, file, commit).await {
                        // The ids were granted to a session that is over.
                        Err(Errno::EPERM) if surprises_left > 0 => {
                            surprises_left -= 1;
                            self.shared.objects.clear();
                            file.state().restore_all();
                        }
                        // Somebody else gave the file another form.
                        Err(Errno::EAGAIN) if surprises_left > 0 => {
                            surprises_left -= 1;
                            file.state().forget_map();
                        }
                        sent => sent?,
                    }
                }
                Step::Wait => uploaded.await,
                Step::Failed(errno) => return Err(errno),
            }
        }
    }

    /// Commits what the background stored already, where that is worth a message and nobody else commits. Errors are
    /// left to the flush, which meets them again.
    pub(super) async fn commit_stored(&self, client: &impl MetaClient, file: &Arc<File>) {
        if !file.state().is_worth_commit(BACKGROUND_COMMIT) {
            return;
        }
        let Some(_turn) = file.try_turn() else { return };
        let newest = file.state().newest_sealed();
        let Some(newest) = newest else { return };
        let step = self.update(file, |state| state.step(newest, BACKGROUND_COMMIT));
        if matches!(step, Step::Commit { .. }) {
            let commit = file.state().plan_commit(file.ino(), false);
            let _ = self.send(client, file, commit).await;
        }
    }

    /// Commits a small file as a whole into its inode record. `false` where it has to go into blocks.
    async fn commit_inline(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        turn: &Turn,
        durable: bool,
    ) -> Result<bool, Errno> {
        if !file.state().knows_form() {
            self.fetch_layout(client, file, 0, Some(turn)).await?;
        }
        let commit = self.update(file, |state| state.plan_inline(file.ino(), durable));
        let Some(commit) = commit else { return Ok(false) };
        match self.send(client, file, commit).await {
            // Somebody else changed the file: pieces leave alone what was not written here.
            Err(Errno::EAGAIN) => {
                file.state().forget_map();
                Ok(false)
            }
            sent => sent.map(|()| true),
        }
    }

    /// Sends a commit that was planned, and settles it whatever happens.
    async fn send(&self, client: &impl MetaClient, file: &Arc<File>, commit: Commit) -> Result<(), Errno> {
        let durable = commit.durable;
        let mut sent = Sent { plane: self, file, outcome: CommitOutcome::Unknown };
        let attr = match client.call(&Caller::ROOT, Request::Commit(commit)).await {
            Ok(reply) => entry(reply),
            Err(errno) => Err(errno),
        };
        match attr {
            Ok(attr) => sent.outcome = CommitOutcome::Applied { attr, durable },
            Err(_) => sent.outcome = CommitOutcome::Refused,
        }
        attr.map(drop)
    }

    /// Rewrites blocks that would consist of too many pieces. Bytes of the block that another mount writes between the
    /// reading and the commit are lost to it; the map is asked for anew just before, which keeps that time short.
    async fn compact(&self, client: &impl MetaClient, file: &Arc<File>, turn: &Turn) -> Result<(), Errno> {
        let mut from = 0;
        loop {
            let plan = file.state().plan_compaction(from, PIECES_KEPT_MAX);
            match plan {
                CompactionPlan::Done => return Ok(()),
                CompactionPlan::NeedLayout(block) => {
                    self.fetch_layout(client, file, block, Some(turn)).await?;
                    from = block;
                }
                CompactionPlan::Compact(planned) => {
                    let _slot = self.shared.compactions.acquire().await.expect("the semaphore is never closed");
                    self.fetch_layout(client, file, planned.block, Some(turn)).await?;
                    let offset = planned.block * u64::from(self.shared.block_size) + u64::from(planned.range.start);
                    let slices = self.read_bytes(client, file, offset, planned.range.len() as u64, Some(turn)).await?;
                    let newest = self.update(file, |state| {
                        state.settle_compaction(&planned, &slices);
                        state.newest_sealed()
                    });
                    if let Some(newest) = newest {
                        self.drain(client, file, turn, newest, false).await?;
                    }
                    from = planned.block + 1;
                }
            }
        }
    }

    pub(super) fn update<T>(&self, file: &File, change: impl FnOnce(&mut FileState) -> T) -> T {
        file.update(&self.shared.budget, change)
    }
}

/// A commit that was sent: dropped before the answer, its outcome is unknown.
struct Sent<'a> {
    plane: &'a DataPlane,
    file: &'a Arc<File>,
    outcome: CommitOutcome,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, CommitOutcome::Unknown);
        self.plane.update(self.file, |state| state.settle_commit(outcome));
    }
}

/// The attributes that a reply must carry.
pub(super) fn entry(reply: Reply) -> Result<Attr, Errno> {
    match reply {
        Reply::Entry(attr) => Ok(attr),
        other => {
            tracing::error!(?other, "a reply with attributes was expected");
            Err(Errno::EPROTO)
        }
    }
}

async fn sync(client: &impl MetaClient, file: &File) -> Result<(), Errno> {
    client.call(&Caller::ROOT, Request::Sync).await?;
    file.state().settle_durable();
    Ok(())
}

/// Pieces at which a block is rewritten as one.
const PIECES_KEPT_MAX: usize = 16;
/// Times that a flush starts over because of what others did meanwhile.
const SURPRISES_MAX: u32 = 4;
/// Stored runs that a flush commits without waiting for the rest.
const EAGER_COMMIT: usize = 16;
/// Stored runs that are committed while the writer goes on.
const BACKGROUND_COMMIT: usize = 4;
