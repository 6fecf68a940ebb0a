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
/// to be cut off than one batch takes. The version grows in any case, so that the mount that asked can tell by it whether
/// somebody else changed the file too.
pub(super) fn resize<K: MetaKv>(tx: &mut Tx<'_, K>, inode: &mut Inode, size: u64, now: Timespec) -> Outcome<()> {
    inode.attr.version += 1;
    if size == 0 {
        empty(tx, inode, now)?;
    } else if size < inode.attr.size {
        return cut(tx, inode, size, now);
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
    let mut freed = 0;
    if inode.has_blocks() {
        let more = cut_blocks(tx, inode, size, &mut freed, now)?;
        if let Some(intermediate) = more {
            inode.attr.size = intermediate;
            tx.leave_unfinished();
            return tx.charge_bytes(inode, inode.attr.allocated.saturating_sub(freed));
        }
    }
    inode.attr.size = size;
    if let Content::Inline(bytes) = &inode.content {
        let kept = bytes.slice(..bytes.len().min(usize::try_from(size).unwrap_or(usize::MAX)));
        freed += (bytes.len() - kept.len()) as u64;
        inode.content = Content::Inline(kept);
    }
    tx.charge_bytes(inode, inode.attr.allocated.saturating_sub(freed))
}

/// Cuts off what blocks hold behind `size`, and adds it to `freed`. Where that is more than one batch takes, the last of
/// it goes, and the size that is left is returned: nobody reads a hole where data was.
fn cut_blocks<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    inode: &Inode,
    size: u64,
    freed: &mut u64,
    now: Timespec,
) -> Outcome<Option<u64>> {
    let block_size = u64::from(tx.volume.block_size);
    let (first, all) = (size.div_ceil(block_size), inode.attr.size.div_ceil(block_size));
    let behind = keys::blocks_between(inode.map, first, all);
    let mut gone = view::last_blocks(tx, &behind, CUT_BLOCKS_MAX + 1)?;
    let more = gone.len() > CUT_BLOCKS_MAX;
    gone.truncate(CUT_BLOCKS_MAX);
    *freed += gone.iter().map(|(_, pieces)| allocated(pieces)).sum::<u64>();
    let intermediate = gone.last().filter(|_| more).map(|(index, _)| index.0 * block_size);
    if intermediate.is_none() && !size.is_multiple_of(block_size) {
        let index = BlockIndex(size / block_size);
        let before = tx.block(inode.map, index)?;
        let mut after = before.clone();
        punch(&mut after, (size % block_size) as u32, tx.volume.block_size);
        *freed += allocated(&before) - allocated(&after);
        replace_block(tx, inode.map, index, objects(&before), &after, now);
    }
    tx.drop_blocks(inode.map, gone, now);
    Ok(intermediate)
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
