//! Commit: written data becomes part of a file.
//!
//! Whoever holds the file open for writing may commit; permission was asked for when it was opened. The commit of several
//! mounts to one file mix block by block, the later one winning byte by byte.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use proto::limits::PIECES_MAX;
use proto::{BlockChange, BlockIndex, Commit, Errno, FileKind, ObjectId, Piece, Reply, allocated, insert_piece, punch};

use super::{Ask, bounds, content};
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
    match &commit.inline {
        Some(bytes) => commit_inline(tx, ask, &mut inode, bytes, commit.base_version)?,
        None => commit_blocks(tx, ask, &mut inode, &commit.changes)?,
    }
    inode.attr.size = inode.attr.size.max(commit.size_min).max(written_end(tx, commit));
    if !commit.changes.is_empty() || commit.inline.is_some() || inode.attr.size != before.attr.size {
        inode.attr.version += 1;
    }
    inode.attr.mtime = commit.mtime;
    if inode == before {
        return Ok(Reply::Entry(inode.attr));
    }
    inode.attr.ctime = ask.now;
    let attr = inode.attr;
    tx.put_inode(inode);
    Ok(Reply::Entry(attr))
}

/// No piece reaches behind the end of the file, whatever the mount says its length is.
fn written_end<K: MetaKv>(tx: &Tx<'_, K>, commit: &Commit) -> u64 {
    let ends = commit.changes.iter().filter_map(|change| match change {
        BlockChange::Write(index, piece) => bounds::position(tx.volume.block_size, *index, piece.end),
        BlockChange::Punch(..) => None,
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

fn commit_blocks<K: MetaKv>(
    tx: &mut Tx<'_, K>,
    ask: &Ask<'_>,
    inode: &mut Inode,
    changes: &[BlockChange],
) -> Outcome<()> {
    if changes.is_empty() {
        return Ok(());
    }
    if let Content::Inline(bytes) = &inode.content {
        match without_inline(bytes, tx.volume.block_size, changes)? {
            Some(bytes) => return content::set_inline(tx, inode, bytes),
            None => content::set_inline(tx, inode, Bytes::new())?,
        }
    }
    tx.take_objects(ask.session.id, written(changes).collect())?;
    let mut blocks: BTreeMap<BlockIndex, Vec<&BlockChange>> = BTreeMap::new();
    for change in changes {
        let (BlockChange::Write(index, _) | BlockChange::Punch(index, ..)) = change;
        blocks.entry(*index).or_default().push(change);
    }
    let mut used = inode.attr.allocated;
    for (index, changes) in blocks {
        let before = tx.block(inode.map, index)?;
        let mut after = before.clone();
        // A piece of this commit counts as former too: a later one may have covered it already.
        let mut former: Vec<ObjectId> = content::objects(&before).collect();
        for change in changes {
            match change {
                BlockChange::Write(_, piece) => {
                    insert_piece(&mut after, piece.clone());
                    former.push(piece.object);
                }
                BlockChange::Punch(_, start, end) => punch(&mut after, *start, *end),
            }
        }
        if after.len() > PIECES_MAX {
            return Err(Errno::EAGAIN.into());
        }
        used = used.saturating_sub(allocated(&before)) + allocated(&after);
        content::replace_block(tx, inode.map, index, former, &after, ask.now);
    }
    tx.charge_bytes(inode, used)
}

fn written(changes: &[BlockChange]) -> impl Iterator<Item = ObjectId> {
    changes.iter().filter_map(|change| match change {
        BlockChange::Write(_, piece) => Some(piece.object),
        BlockChange::Punch(..) => None,
    })
}

/// What becomes of inline content under changes of blocks: holes are punched into it, and pieces that cover all of it
/// take its place (`None`). Pieces that cover it in part are refused with `EAGAIN`: the mount did not know of it, and
/// must write it as a piece too.
fn without_inline(bytes: &Bytes, block_size: u32, changes: &[BlockChange]) -> Outcome<Option<Bytes>> {
    let len = bytes.len() as u32;
    let ranges = changes.iter().map(|change| inline_range(block_size, change, len));
    if written(changes).next().is_none() {
        let mut kept = BytesMut::from(bytes.as_ref());
        for (start, end) in ranges {
            kept[start as usize..end as usize].fill(0);
        }
        return Ok(Some(kept.freeze()));
    }
    let all = Piece { start: 0, end: len, origin: 0, len, object: ObjectId(0), object_offset: 0, frames: Vec::new() };
    let mut uncovered = vec![all];
    for (start, end) in ranges {
        punch(&mut uncovered, start, end);
    }
    if uncovered.is_empty() { Ok(None) } else { Err(Errno::EAGAIN.into()) }
}

/// The bytes of inline content that a change covers.
fn inline_range(block_size: u32, change: &BlockChange, len: u32) -> (u32, u32) {
    let (index, start, end) = match change {
        BlockChange::Write(index, piece) => (*index, piece.start, piece.end),
        BlockChange::Punch(index, start, end) => (*index, *start, *end),
    };
    let clip = |at: u32| bounds::position(block_size, index, at).map_or(len, |at| at.min(len.into()) as u32);
    (clip(start), clip(end))
}
