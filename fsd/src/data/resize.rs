//! Attributes that touch the content, and fallocate(2).

use std::sync::Arc;

use proto::limits::{COMMIT_BLOCKS_MAX, FILE_SIZE_MAX};
use proto::{Attr, AttrChanges, BlockChange, BlockIndex, Caller, Commit, Errno, Request, Timespec};

use super::file::{File, Turn};
use super::flush::entry;
use super::plane::DataPlane;
use super::state::FileState;
use crate::client::MetaClient;

/// What fallocate(2) is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallocate {
    /// Make room: the file becomes long enough, unless its size is to be kept. Room is not reserved.
    Allocate {
        /// Leave the size as it is.
        keep_size: bool,
    },
    /// Make a hole; the size stays.
    PunchHole,
    /// Make zeroes.
    ZeroRange {
        /// Leave the size as it is.
        keep_size: bool,
    },
}

impl DataPlane {
    /// Sets attributes of a regular file and returns the new ones. Where the size or the time of change is among them,
    /// what was written before is committed first; where the file is emptied, it is dropped.
    ///
    /// # Errors
    /// The flush's or the server's; the attributes are then as they were.
    pub(crate) async fn set_attr(
        &self,
        client: &impl MetaClient,
        caller: &Caller,
        ino: proto::InodeId,
        changes: AttrChanges,
        by_handle: bool,
    ) -> Result<Attr, Errno> {
        let (size, touches_content) = (changes.size, changes.size.is_some() || changes.mtime.is_some());
        let request = Request::SetAttr { ino, changes, by_handle };
        let mut attr = match self.find(ino) {
            Some(file) if touches_content => {
                let turn = file.take_turn().await;
                let written = match size {
                    Some(0) => self.update(&file, FileState::seal_all),
                    _ => {
                        self.flush_in_turn(client, &file, &turn, false).await?;
                        None
                    }
                };
                let attr = entry(client.call(caller, request).await?)?;
                self.settle_emptied(&file, written);
                match size {
                    Some(_) => file.state().settle_resize(&attr),
                    None => file.state().observe(&attr),
                }
                attr
            }
            _ => entry(client.call(caller, request).await?)?,
        };
        self.overlay(&mut attr);
        Ok(attr)
    }

    /// Makes room, a hole or zeroes at `offset..offset + len` of a file that is open for writing.
    ///
    /// # Errors
    /// `EINVAL` for no bytes, `EFBIG` behind the largest offset, `EOPNOTSUPP` for a hole of more than a million blocks,
    /// else the flush's or the server's; a part of the range may then be changed.
    pub(crate) async fn fallocate(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        mode: Fallocate,
        offset: u64,
        len: u64,
        now: Timespec,
    ) -> Result<(), Errno> {
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        let end = offset.checked_add(len).filter(|end| *end <= FILE_SIZE_MAX).ok_or(Errno::EFBIG)?;
        let keep_size = match mode {
            Fallocate::PunchHole => true,
            Fallocate::Allocate { keep_size } | Fallocate::ZeroRange { keep_size } => keep_size,
        };
        let turn = file.take_turn().await;
        if !matches!(mode, Fallocate::Allocate { .. }) {
            self.punch(client, file, &turn, offset, end, now).await?;
        }
        if !keep_size && end > file.size() {
            self.grow(client, file, end, now).await?;
        }
        Ok(())
    }

    /// Makes the file at least `end` bytes long. It may be longer by now than is known here: then it stays so.
    async fn grow(&self, client: &impl MetaClient, file: &Arc<File>, end: u64, now: Timespec) -> Result<(), Errno> {
        let commit = Commit { size_min: end, ..file.state().empty_commit(file.ino(), now) };
        let attr = entry(client.call(&Caller::ROOT, Request::Commit(commit)).await?)?;
        file.state().settle_growth(&attr);
        Ok(())
    }

    /// Makes the bytes of a range that lie in the file zero.
    async fn punch(
        &self,
        client: &impl MetaClient,
        file: &Arc<File>,
        turn: &Turn,
        offset: u64,
        end: u64,
        now: Timespec,
    ) -> Result<(), Errno> {
        self.flush_in_turn(client, file, turn, false).await?;
        let end = end.min(file.size());
        if offset >= end {
            return Ok(());
        }
        let block_size = u64::from(self.shared.block_size);
        let blocks = offset / block_size..end.div_ceil(block_size);
        if blocks.end - blocks.start > PUNCH_BLOCKS_MAX {
            return Err(Errno::EOPNOTSUPP);
        }
        let change = |block: u64| {
            let start = offset.saturating_sub(block * block_size) as u32;
            let end = (end - block * block_size).min(block_size) as u32;
            BlockChange::Punch(BlockIndex(block), start, end)
        };
        let mut next = blocks.start;
        while next < blocks.end {
            let behind = blocks.end.min(next + COMMIT_BLOCKS_MAX as u64);
            let changes = (next..behind).map(change).collect();
            let commit = Commit { changes, ..file.state().empty_commit(file.ino(), now) };
            // Should nobody wait for the answer, the map is asked for anew.
            file.state().forget_map();
            let attr = entry(client.call(&Caller::ROOT, Request::Commit(commit)).await?)?;
            file.state().settle_punch(&attr);
            next = behind;
        }
        Ok(())
    }
}

/// Blocks of one hole.
const PUNCH_BLOCKS_MAX: u64 = 1 << 20;
