//! Commit: written data becomes part of a file.
//!
//! Whoever holds the file open for writing may commit; permission was asked for when it was opened. The commits of several
//! mounts to one file mix byte by byte, the later one winning. No commit of pieces depends on what the mount knew: what it
//! copied counts only where it is still right, and content in the inode record stays below the pieces until they cover it.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proto::limits::PIECES_MAX;
use proto::{
    Below, BlockChange, BlockIndex, Commit, Errno, FileKind, ObjectId, Piece, Reply, allocated, gaps, insert_piece,
    punch,
};

use super::{Ask, bounds, content, xattr};
use crate::engine::error::Outcome;
use crate::engine::inode::{Content, Inode};
use crate::engine::tx::Tx;
use crate::store::MetaKv;

/// Applies a commit.
pub(super) fn commit<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, commit: &Commit) -> Outcome<Reply> {
    let mut inode = Inode::clone(&*ask.inode(tx, commit.ino)?);
    let is_writer = tx.volume.opens.find(commit.ino, ask.session.id).is_some_and(|holder| holder.write);
    if !is_writer || inode.attr.kind != FileKind::Regular {
        return Err(Errno::EBADF.into());
    }
    let before = inode.clone();
    if let Some(bytes) = &commit.inline {
        commit_inline(tx, ask, &mut inode, bytes, commit.base_version)?;
    }
    inode.attr.size = inode.attr.size.max(commit.size_min).max(written_end(tx, commit));
    commit_blocks(tx, ask, &mut inode, &commit.changes)?;
    if !commit.changes.is_empty() || commit.inline.is_some() || inode.attr.size != before.attr.size {
        inode.attr.version += 1;
    }
    let is_newest = commit.base_version == before.attr.version;
    inode.attr.mtime = if is_newest { commit.mtime } else { commit.mtime.max(before.attr.mtime) };
    if inode == before {
        return Ok(Reply::Entry(inode.attr));
    }
    xattr::drop_privileges(tx, ask, &mut inode)?;
    inode.attr.ctime = ask.now;
    let attr = inode.attr;
    tx.put_inode(inode);
    Ok(Reply::Entry(attr))
}

/// No piece reaches behind the end of the file, whatever the mount says its length is.
fn written_end<K: MetaKv>(tx: &Tx<'_, K>, commit: &Commit) -> u64 {
    let ends = commit.changes.iter().filter_map(|change| {
        let end = change.written_end()?;
        bounds::position(tx.volume.block_size, change.block(), end)
    });
    ends.max().unwrap_or(0)
}

fn commit_inline<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    inode: &mut Inode,
    bytes: &Bytes,
    base_version: u64,
) -> Outcome<()> {
    if inode.attr.version != base_version {
        return Err(Errno::EAGAIN.into());
    }
    if inode.has_blocks() {
        content::empty(tx, inode, ask.now)?;
    }
    inode.attr.size = bytes.len() as u64;
    content::set_inline(tx, inode, bytes.clone())
}

/// Puts pieces and holes into the blocks of a file that has its new size already, and its old version still.
fn commit_blocks<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    inode: &mut Inode,
    changes: &[BlockChange],
) -> Outcome<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let objects = changes.iter().filter_map(BlockChange::piece).map(|piece| piece.object);
    tx.take_objects(ask.session.id, objects.collect())?;
    let mut used = inode.attr.allocated;
    let mut changed: BTreeMap<BlockIndex, Vec<Piece>> = BTreeMap::new();
    for (index, changes) in by_block(changes) {
        let before = tx.block(inode.map, index)?;
        let mut after = before.clone();
        let below = below(inode, tx.volume.block_size, index);
        for change in &changes {
            apply(&mut after, change, below);
        }
        if after.len() > PIECES_MAX {
            return Err(Errno::EAGAIN.into());
        }
        used = used.saturating_sub(allocated(&before)) + allocated(&after);
        // A piece of this commit counts as former too: a later one may have covered it already.
        let written = changes.iter().filter_map(|change| change.piece()).map(|piece| piece.object);
        let former: Vec<ObjectId> = content::objects(&before).chain(written).collect();
        content::replace_block(tx, inode.map, index, former, &after, ask.now);
        changed.insert(index, after);
    }
    let inline_len = inode.inline().len();
    change_inline(tx, inode, changes, &changed)?;
    used = used.saturating_sub((inline_len - inode.inline().len()) as u64);
    tx.charge_bytes(inode, used)
}

fn by_block(changes: &[BlockChange]) -> BTreeMap<BlockIndex, Vec<&BlockChange>> {
    let mut blocks: BTreeMap<BlockIndex, Vec<&BlockChange>> = BTreeMap::new();
    for change in changes {
        blocks.entry(change.block()).or_default().push(change);
    }
    blocks
}

fn apply(pieces: &mut Vec<Piece>, change: &BlockChange, below: Below) {
    match change {
        BlockChange::Write(_, piece) => insert_piece(pieces, piece.clone()),
        BlockChange::Rewrite(_, rewrite) => rewrite.apply(pieces, below),
        BlockChange::Punch(_, start, end) => punch(pieces, *start, *end),
    }
}

/// What block `index` shows where it has no piece.
fn below(inode: &Inode, block_size: u32, index: BlockIndex) -> Below {
    let start = index.0.saturating_mul(block_size.into());
    let within = |end: u64| end.saturating_sub(start).min(block_size.into()) as u32;
    Below { inline_end: within(inode.inline().len() as u64), version: inode.attr.version, end: within(inode.attr.size) }
}

/// What becomes of inline content under changes of blocks: holes are punched into it, and when pieces cover all of it, it
/// goes.
fn change_inline<K: MetaKv>(
    tx: &Tx<'_, K>,
    inode: &mut Inode,
    changes: &[BlockChange],
    changed: &BTreeMap<BlockIndex, Vec<Piece>>,
) -> Outcome<()> {
    let Content::Inline(bytes) = &inode.content else { return Ok(()) };
    let block_size = tx.volume.block_size;
    if is_covered(tx, inode, bytes.len() as u64, changed)? {
        inode.content = Content::None;
        return Ok(());
    }
    let mut kept = BytesMut::new();
    for change in changes {
        if let BlockChange::Punch(index, start, end) = change {
            let place = |at: u32| bounds::position(block_size, *index, at).unwrap_or(u64::MAX).min(bytes.len() as u64);
            if kept.is_empty() {
                kept.extend_from_slice(bytes);
            }
            kept[place(*start) as usize..place(*end) as usize].fill(0);
        }
    }
    if !kept.is_empty() {
        inode.content = Content::Inline(kept.freeze());
    }
    Ok(())
}

/// Whether pieces hold the first `len` bytes of the file, which are the inline ones.
fn is_covered<K: MetaKv>(
    tx: &Tx<'_, K>,
    inode: &Inode,
    len: u64,
    changed: &BTreeMap<BlockIndex, Vec<Piece>>,
) -> Outcome<bool> {
    let block_size = tx.volume.block_size;
    for index in (0..len.div_ceil(block_size.into())).map(BlockIndex) {
        let inline_end = below(inode, block_size, index).inline_end;
        let is_covered = match changed.get(&index) {
            Some(pieces) => gaps(pieces, 0, inline_end).is_empty(),
            None => gaps(&tx.block(inode.map, index)?, 0, inline_end).is_empty(),
        };
        if !is_covered {
            return Ok(false);
        }
    }
    Ok(true)
}
