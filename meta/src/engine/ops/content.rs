//! The content of files: blocks and inline bytes, and what becomes of the objects behind them.

use std::collections::BTreeSet;

use bytes::Bytes;
use proto::{BlockIndex, ObjectId, Piece, Timespec, allocated, punch};

use crate::engine::error::Outcome;
use crate::engine::inode::{Content, Inode};
use crate::engine::keys::{self, MapId};
use crate::engine::tx::Tx;
use crate::engine::view;
use crate::store::MetaKv;

/// Blocks that one batch cuts off a file; a longer cut takes several batches, from the end of the file on.
const CUT_BLOCKS_MAX: usize = 1024;

/// Sets the length of a regular file: truncates, or extends with zeroes. Leaves the transaction unfinished where more is
/// to be cut off than one batch takes.
pub(super) fn resize<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, size: u64, now: Timespec) -> Outcome<()> {
    if size == inode.attr.size {
        return Ok(());
    }
    inode.attr.version += 1;
    if size == 0 {
        empty(tx, inode, now)?;
    } else if size < inode.attr.size && inode.has_blocks() {
        return cut(tx, inode, size, now);
    } else if let Content::Inline(bytes) = &inode.content {
        let kept = bytes.slice(..bytes.len().min(size as usize));
        set_inline(tx, inode, kept)?;
    }
    inode.attr.size = size;
    Ok(())
}

/// Drops all content. The size is the caller's to set.
pub(super) fn empty<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, now: Timespec) -> Outcome<()> {
    if inode.has_blocks() && !tx.drop_map(inode.map, now)? {
        inode.map = MapId(tx.new_id());
    }
    inode.content = Content::None;
    tx.charge_bytes(inode, 0)
}

/// Sets the inline content of a file without blocks.
pub(super) fn set_inline<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, bytes: Bytes) -> Outcome<()> {
    tx.charge_bytes(inode, bytes.len() as u64)?;
    inode.content = if bytes.is_empty() { Content::None } else { Content::Inline(bytes) };
    Ok(())
}

fn cut<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, size: u64, now: Timespec) -> Outcome<()> {
    let block_size = u64::from(tx.volume.block_size);
    let (first, all) = (size.div_ceil(block_size), inode.attr.size.div_ceil(block_size));
    let behind = keys::blocks_between(inode.map, first, all);
    let mut gone = view::last_blocks(tx, &behind, CUT_BLOCKS_MAX + 1)?;
    let more = gone.len() > CUT_BLOCKS_MAX;
    gone.truncate(CUT_BLOCKS_MAX);
    let mut freed: u64 = gone.iter().map(|(_, pieces)| allocated(pieces)).sum();
    inode.attr.size = size;
    if more {
        // What is left ends with the lowest block that went, so nobody reads a hole where data was.
        inode.attr.size = gone.last().map_or(size, |(index, _)| index.0 * block_size);
        tx.leave_unfinished();
    } else if !size.is_multiple_of(block_size) {
        let index = BlockIndex(size / block_size);
        let before = tx.block(inode.map, index)?;
        let mut after = before.clone();
        punch(&mut after, (size % block_size) as u32, tx.volume.block_size);
        freed += allocated(&before) - allocated(&after);
        replace_block(tx, inode.map, index, objects(&before), &after, now);
    }
    tx.drop_blocks(inode.map, gone, now);
    tx.charge_bytes(inode, inode.attr.allocated.saturating_sub(freed))
}

/// Writes a block's new pieces. Of the objects that it may have referred to so far, those that it does not any more are
/// dead.
pub(super) fn replace_block<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    map: MapId,
    index: BlockIndex,
    former: impl IntoIterator<Item = ObjectId>,
    pieces: &[Piece],
    now: Timespec,
) {
    let kept: BTreeSet<ObjectId> = objects(pieces).collect();
    let dead = former.into_iter().filter(|object| !kept.contains(object)).collect();
    tx.set_block(map, index, pieces);
    tx.bury(dead, now);
}

/// Objects that pieces refer to.
pub(super) fn objects(pieces: &[Piece]) -> impl Iterator<Item = ObjectId> {
    pieces.iter().map(|piece| piece.object)
}
