//! `View`: the state that an operation reads. A reader sees the volume, a mutation the volume under its own changes.

use std::ops::ControlFlow;
use std::sync::Arc;

use proto::{BlockIndex, Errno, InodeId, Name, Piece, SessionId};

use super::error::{EngineError, Failure, Outcome};
use super::inode::{Dentry, Inode, decode_block};
use super::keys::{self, Range};
use crate::store::Visit;

/// Reads of the newest state.
pub(super) trait View {
    /// The record of a file; `None` where there is none of that id.
    fn find_inode(&self, ino: InodeId) -> Outcome<Option<Arc<Inode>>>;

    /// What a name stands for.
    fn find_dentry(&self, parent: InodeId, name: &Name) -> Outcome<Option<Dentry>>;

    /// Bytes in a block.
    fn block_size(&self) -> u32;

    /// Whether a session holds a file open.
    fn holds_open(&self, session: SessionId, ino: InodeId) -> bool;

    /// The newest value of a committed record, past all caches. A transaction's own changes are not in it.
    fn stored(&self, key: &[u8]) -> Outcome<Option<Vec<u8>>>;

    /// Visits committed records. A transaction's own changes are not among them.
    fn scan(&self, range: &Range, visit: &mut Visit<'_>) -> Outcome<()>;

    /// As `scan`, from the last record to the first.
    fn scan_back(&self, range: &Range, visit: &mut Visit<'_>) -> Outcome<()>;

    /// The record of a file that a mount names: `ESTALE` where it is gone.
    fn inode(&self, ino: InodeId) -> Outcome<Arc<Inode>> {
        Ok(self.find_inode(ino)?.ok_or(Errno::ESTALE)?)
    }

    /// The record of a file that another record names.
    fn linked(&self, ino: InodeId) -> Outcome<Arc<Inode>> {
        self.find_inode(ino)?.ok_or(Failure::Torn("inode"))
    }
}

/// Visits the blocks in a range of keys.
pub(super) fn each_block(
    view: &impl View,
    range: &Range,
    mut visit: impl FnMut(BlockIndex, Vec<Piece>) -> ControlFlow<()>,
) -> Outcome<()> {
    let mut outcome = Ok(());
    view.scan(range, &mut |key, value| match parse_block(key, value) {
        Ok((index, pieces)) => visit(index, pieces),
        Err(error) => {
            outcome = Err(error.into());
            ControlFlow::Break(())
        }
    })?;
    outcome
}

/// The last `limit` blocks in a range of keys, from the last one on.
pub(super) fn last_blocks(view: &impl View, range: &Range, limit: usize) -> Outcome<Vec<(BlockIndex, Vec<Piece>)>> {
    let mut blocks = Vec::new();
    view.scan_back(range, &mut |key, value| {
        blocks.push(parse_block(key, value));
        if blocks.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    blocks.into_iter().map(|block| Ok(block?)).collect()
}

fn parse_block(key: &[u8], value: &[u8]) -> Result<(BlockIndex, Vec<Piece>), EngineError> {
    let (_, index) = keys::parse_block(key).ok_or_else(|| EngineError::corrupt("block key"))?;
    Ok((index, decode_block(value)?))
}
