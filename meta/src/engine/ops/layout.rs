//! Block maps: where the bytes of a file are.
//!
//! A map is of one version, all of it. A reader takes no lock, so a commit may come between its look at the inode record
//! and its look at the blocks; it sees that by the record, which it reads again.

use std::ops::ControlFlow;

use proto::limits::{BLOCKS_MAX, SHORT_MAP_BLOCKS};
use proto::{BlockIndex, Errno, FileKind, InodeId, Layout, Piece, Reply};

use super::Ask;
use crate::engine::error::{Failure, Outcome};
use crate::engine::inode::{Content, Inode};
use crate::engine::keys;
use crate::engine::permit::{self, READ};
use crate::engine::view::{self, View};
use crate::engine::volume::Volume;
use crate::store::MetaKv;

/// Encoded bytes of blocks in the answer to an open, which tells of [`SHORT_MAP_BLOCKS`]: so many blocks of 4 MiB, each in
/// one piece. With all else the answer stays a short one.
const HEAD_BYTES_MAX: usize = 6 << 10;
/// Encoded bytes of blocks after which a map goes on in the next reply.
const MAP_BYTES_MAX: usize = 1 << 20;

/// Up to `count` blocks from `first` on. The file must be open, or the caller may read it.
pub(super) fn layout<K: MetaKv>(
    volume: &Volume<K>,
    ask: &Ask<'_>,
    ino: InodeId,
    first: BlockIndex,
    count: u32,
) -> Outcome<Reply> {
    let inode = ask.inode(volume, ino)?;
    if inode.attr.kind != FileKind::Regular {
        return Err(Errno::EINVAL.into());
    }
    if !volume.holds_open(ask.session.id, ino) {
        permit::access(&inode.attr, ask.caller, READ)?;
    }
    let bytes_max = if count <= SHORT_MAP_BLOCKS { HEAD_BYTES_MAX } else { MAP_BYTES_MAX };
    let part = Part { first, count: count.min(BLOCKS_MAX), bytes_max, is_asked_for: true };
    let layout = map(volume, &inode, part)?;
    Ok(Reply::Layout(inode.attr, layout))
}

/// The first blocks of a file that is opened, as far as they are short to tell. None of them where the file is changing
/// meanwhile: the mount asks again.
pub(super) fn head(view: &impl View, inode: &Inode) -> Outcome<Layout> {
    let part = Part { first: BlockIndex(0), count: SHORT_MAP_BLOCKS, bytes_max: HEAD_BYTES_MAX, is_asked_for: false };
    match map(view, inode, part) {
        Err(Failure::Torn(_)) => Ok(Layout { behind: BlockIndex(0), ..empty(inode) }),
        layout => layout,
    }
}

/// The map of a file without blocks.
pub(super) fn empty(inode: &Inode) -> Layout {
    Layout {
        version: inode.attr.version,
        inline: None,
        first: BlockIndex(0),
        behind: BlockIndex(SHORT_MAP_BLOCKS.into()),
        blocks: Vec::new(),
    }
}

/// What a map is to tell.
#[derive(Clone, Copy)]
struct Part {
    first: BlockIndex,
    count: u32,
    /// Encoded bytes of blocks.
    bytes_max: usize,
    /// Whether it tells of one block at least, however long that is.
    is_asked_for: bool,
}

fn map(view: &impl View, inode: &Inode, part: Part) -> Outcome<Layout> {
    let Part { first, count, bytes_max, is_asked_for } = part;
    let all = inode.attr.size.div_ceil(u64::from(view.block_size())).max(first.0.saturating_add(count.into()));
    let mut layout =
        Layout { version: inode.attr.version, inline: None, first, behind: BlockIndex(all), blocks: Vec::new() };
    if let Content::Inline(bytes) = &inode.content {
        layout.inline = Some(bytes.clone());
    }
    if !inode.has_blocks() {
        return Ok(layout);
    }
    let mut room = bytes_max;
    view::each_block(view, &keys::blocks_from(inode.map, first), |index, pieces| {
        let len = encoded_len(&pieces);
        if layout.blocks.len() == count as usize || len > room && !(is_asked_for && layout.blocks.is_empty()) {
            layout.behind = index;
            return ControlFlow::Break(());
        }
        room = room.saturating_sub(len);
        layout.blocks.push((index, pieces));
        ControlFlow::Continue(())
    })?;
    // Not from the cache, which a commit renews only after the blocks can be seen.
    let record = view.stored(&keys::inode(inode.ino()))?.map(|value| Inode::decode(&value)).transpose()?;
    match record {
        Some(record) if record.attr.version == inode.attr.version => Ok(layout),
        _ => Err(Failure::Torn("block map")),
    }
}

/// Upper bound of what pieces take in a message.
fn encoded_len(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| 48 + 5 * piece.frames.len()).sum()
}
