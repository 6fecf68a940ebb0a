//! Flush: what was written becomes part of the file.

use std::sync::Arc;

use proto::{Attr, Caller, Commit, Errno, Reply, Request, Timespec};

use super::file::{File, Turn};
use super::plane::DataPlane;
use super::state::{CommitOutcome, FileState, Step};
use crate::client::MetaClient;
use crate::trace::{Stage, stage};

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
            let committed = self.commit_pending(client, file, turn, durable).await;
            self.shared.objects.give_up(file.state().take_given_up());
            committed?;
        }
        let synced = !durable || !file.state().is_undurable();
        if synced { Ok(()) } else { sync(client, file).await }
    }

    async fn commit_pending(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        turn: &Turn,
        durable: bool,
    ) -> Result<(), Errno> {
        if self.commit_inline(client, file, turn, durable).await? {
            return Ok(());
        }
        let blocks = file.state().buffered_blocks();
        for block in blocks {
            self.seal(client, file, turn, block).await?;
        }
        let newest = self.update(file, |state| {
            state.move_inline();
            state.newest_sealed()
        });
        match newest {
            Some(newest) => self.drain(client, file, turn, newest, durable).await,
            None => Ok(()),
        }
    }

    /// Seals what is in the buffer of a block, by the map of what is below.
    async fn seal(&self, client: &impl MetaClient, file: &Arc<File>, turn: &Turn, block: u64) -> Result<(), Errno> {
        for _ in 0..SEAL_ATTEMPTS {
            match self.update(file, |state| state.seal_for_commit(block, PIECES_KEPT_MAX)) {
                Ok(()) => return Ok(()),
                Err(unknown) => self.fetch_layout(client, file, unknown, Some(turn)).await?,
            }
        }
        // Others change the file all the time; the server tells if there are too many pieces.
        self.update(file, |state| state.seal_alone(block));
        Ok(())
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
        // A block that is rewritten is in memory as a whole: one at a time in the whole mount.
        let mut rewriting = None;
        loop {
            let uploaded = file.uploaded().notified();
            tokio::pin!(uploaded);
            // From here on no upload ends unnoticed.
            uploaded.as_mut().enable();
            let step = file.state().step(id, EAGER_COMMIT);
            self.start_uploads(client, file).await?;
            match step {
                Step::Done => return Ok(()),
                Step::Copy(id) => {
                    if rewriting.is_none() {
                        rewriting = Some(self.shared.rewrites.acquire().await.expect("the semaphore is never closed"));
                    }
                    self.read_copies(client, file, turn, id).await?;
                }
                Step::Commit { last } => {
                    let commit = file.state().plan_commit(file.ino(), durable && last);
                    match self.send(client, file, commit).await {
                        Err(errno) if surprises_left > 0 => {
                            surprises_left -= 1;
                            self.settle_surprise(file, errno)?;
                        }
                        Err(Errno::EAGAIN) => return Err(Errno::EIO),
                        sent => sent?,
                    }
                    rewriting = None;
                }
                Step::Wait => stage(Stage::Upload, uploaded).await,
                Step::Failed(errno) => return Err(errno),
            }
        }
    }

    /// Makes another attempt of a commit possible, where it failed because of what others did meanwhile.
    fn settle_surprise(&self, file: &Arc<File>, errno: Errno) -> Result<(), Errno> {
        match errno {
            // The ids were granted to a session that is over.
            Errno::EPERM => {
                self.shared.objects.clear();
                file.state().restore_all();
            }
            // Other mounts put many pieces into a block.
            Errno::EAGAIN => self.update(file, FileState::rewrite_refused),
            // Nobody knows whether it was carried out; it is prepared to be sent once more.
            Errno::EIO => {}
            Errno::ENOSPC if file.state().spare_holes() => {}
            other => return Err(other),
        }
        Ok(())
    }

    /// Commits what the background stored already, where that is worth a message and nobody else commits. Errors are
    /// left to the flush, which meets them again.
    pub(super) async fn commit_stored(&self, client: &impl MetaClient, file: &Arc<File>) {
        if !file.state().is_worth_commit(BACKGROUND_COMMIT) {
            return;
        }
        let Some(_turn) = file.try_turn() else { return };
        let commit = {
            let mut state = file.state();
            state.is_worth_commit(BACKGROUND_COMMIT).then(|| state.plan_commit(file.ino(), false))
        };
        if let Some(commit) = commit {
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
        for _ in 0..INLINE_ATTEMPTS {
            if !file.state().is_small() {
                return Ok(false);
            }
            if file.state().inline_len().is_none() {
                self.fetch_layout(client, file, 0, Some(turn)).await?;
            }
            let commit = self.update(file, |state| state.plan_inline(file.ino(), durable));
            let Some(commit) = commit else { return Ok(false) };
            match self.send(client, file, commit).await {
                // Somebody else changed the file, or perhaps it was us: what is there now goes into the next attempt.
                Err(Errno::EAGAIN | Errno::EIO) => self.fetch_layout(client, file, 0, Some(turn)).await?,
                sent => return sent.map(|()| true),
            }
        }
        // Pieces leave alone what was not written here, whatever others do meanwhile.
        Ok(false)
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
            // The session was lost, or the disk failed behind it.
            Err(Errno::EIO | Errno::EPROTO) => {}
            Err(_) => sent.outcome = CommitOutcome::Refused,
        }
        attr.map(drop)
    }

    pub(super) fn update<T>(&self, file: &File, change: impl FnOnce(&mut FileState) -> T) -> T {
        file.update(&self.shared.budget, change)
    }
}

/// A commit that was sent: dropped before an answer, its outcome is unknown.
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
pub(super) const PIECES_KEPT_MAX: usize = 16;
/// Times that a flush starts over because of what others did meanwhile.
const SURPRISES_MAX: u32 = 4;
/// Times that a small file's content is put together anew because somebody else changed it meanwhile.
const INLINE_ATTEMPTS: u32 = 3;
/// Times that the map is asked for to seal a block: others may change the file between the answer and the look at it.
const SEAL_ATTEMPTS: u32 = 4;
/// Stored runs that a flush commits without waiting for the rest.
const EAGER_COMMIT: usize = 16;
/// Stored runs that are committed while the writer goes on.
const BACKGROUND_COMMIT: usize = 4;
