//! Listing directories.
//!
//! Names come in the order of their hash, and the hash is the offset: a listing that goes on after names came or went
//! misses none that stayed and shows none twice. Names that share a hash come in one reply.

use std::ops::ControlFlow;

use proto::dirent::DirRecord;
use proto::limits::READDIR_BYTES_MAX;
use proto::{InodeId, Name, Reply};

use super::Ask;
use crate::engine::error::{EngineError, Outcome};
use crate::engine::inode::{Dentry, Inode};
use crate::engine::keys;
use crate::engine::names::HASH_MIN;
use crate::engine::permit::{self, EXECUTE, READ};
use crate::engine::view::View;

/// What part of a listing is asked for.
#[derive(Clone, Copy)]
pub(super) struct Page {
    /// Hash of the last name seen; 0 = from the start.
    pub(super) offset: u64,
    /// Bytes of records wanted at the most.
    pub(super) bytes_max: u32,
    /// Whether attributes are wanted.
    pub(super) attrs: bool,
}

/// Whether the caller may list the directory. The pages that follow do not ask again, unless a policy says who callers
/// are: like a descriptor, they may be read by whom it was passed to.
pub(super) fn open_dir(view: &impl View, ask: &Ask<'_>, ino: InodeId) -> Outcome<Reply> {
    permit::access(&ask.dir(view, ino)?.attr, ask.caller, READ)?;
    Ok(Reply::Done)
}

/// One page of a listing.
pub(super) fn read_dir(view: &impl View, ask: &Ask<'_>, ino: InodeId, page: Page) -> Outcome<Reply> {
    let dir = ask.dir(view, ino)?;
    let page = permitted(ask, &dir, page)?;
    let (found, mut end) = names(view, ino, page)?;
    let mut records = Vec::new();
    let mut group = 0;
    for (index, (offset, name, dentry)) in found.iter().enumerate() {
        let attr = match page.attrs {
            false => None,
            // Gone between the two reads: it is not listed.
            true => match view.find_inode(dentry.ino)? {
                Some(inode) => Some(inode.attr),
                None => continue,
            },
        };
        if index > 0 && found[index - 1].0 != *offset {
            group = records.len();
        }
        DirRecord { ino: dentry.ino, offset: *offset, kind: dentry.kind, name: name.as_bytes(), attr }
            .encode(&mut records);
        if records.len() > bytes_max(page) && group > 0 {
            records.truncate(group);
            end = false;
            break;
        }
    }
    Ok(Reply::Names { records: records.into(), end })
}

/// What the caller may have of a page. A mount whose kernel leaves decisions to the server would find by attributes what
/// may not be searched for.
fn permitted(ask: &Ask<'_>, dir: &Inode, page: Page) -> Outcome<Page> {
    if !ask.session.identity.is_policy() {
        return Ok(page);
    }
    permit::access(&dir.attr, ask.caller, READ)?;
    Ok(Page { attrs: page.attrs && permit::permits(&dir.attr, ask.caller, EXECUTE)?, ..page })
}

fn bytes_max(page: Page) -> usize {
    page.bytes_max.min(READDIR_BYTES_MAX) as usize
}

type Found = Vec<(u64, Name, Dentry)>;

/// Names behind the offset, at least as many as fit into the page, and whether they are the last ones. The scan ends
/// between two hashes.
fn names(view: &impl View, ino: InodeId, page: Page) -> Outcome<(Found, bool)> {
    let first = page.offset.saturating_add(1).max(HASH_MIN);
    let mut found: Found = Vec::new();
    let mut room = bytes_max(page);
    let mut outcome = Ok(true);
    view.scan(&keys::dentries_from(ino, first), &mut |key, value| {
        let parsed = keys::parse_dentry(key).ok_or_else(|| EngineError::corrupt("dentry key"));
        let (hash, name, dentry) = match parsed.and_then(|(_, hash, name)| Ok((hash, name, Dentry::decode(value)?))) {
            Ok(parsed) => parsed,
            Err(error) => {
                outcome = Err(error.into());
                return ControlFlow::Break(());
            }
        };
        if room == 0 && found.last().is_some_and(|(last, ..)| *last != hash) {
            outcome = Ok(false);
            return ControlFlow::Break(());
        }
        let record = DirRecord { ino: dentry.ino, offset: hash, kind: dentry.kind, name: name.as_bytes(), attr: None };
        let attr_len = if page.attrs { proto::ATTR_RECORD_LEN } else { 0 };
        room = room.saturating_sub(record.encoded_len() + attr_len);
        found.push((hash, name, dentry));
        ControlFlow::Continue(())
    })?;
    outcome.map(|end| (found, end))
}
