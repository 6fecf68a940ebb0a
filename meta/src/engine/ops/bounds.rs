//! What any request must keep to, whoever sends it: a hostile mount speaks this protocol by hand.

use bytes::Bytes;
use proto::limits::{
    BLOCKS_MAX, COMMIT_BLOCKS_MAX, COPIES_MAX, FILE_SIZE_MAX, GRANT_MAX, GROUPS_MAX, HANDLES_MAX, INLINE_MAX,
    SYMLINK_MAX, XATTR_NAME_MAX, XATTR_VALUE_MAX,
};
use proto::{
    AttrChanges, BlockChange, BlockIndex, Commit, Errno, FRAME_SIZE, LockKind, LockSpan, NewNode, Piece, Refused,
    Request, RequestFrame, SetTime, Timespec,
};

/// What a stored frame may take beyond its bytes: checksum or seal.
const FRAME_OVERHEAD_MAX: u32 = 64;
/// Longest object in bytes.
const OBJECT_SIZE_MAX: u64 = 1 << 40;

/// Refuses a request that exceeds a limit or contradicts itself.
pub(in super::super) fn check(block_size: u32, frame: &RequestFrame) -> Result<(), Refused> {
    if frame.caller.groups.as_ref().is_some_and(|groups| groups.len() > GROUPS_MAX) {
        return Err(Errno::EINVAL.into());
    }
    match &frame.request {
        Request::SetAttr { changes, .. } => attr_changes(changes),
        Request::Make { node: NewNode::Symlink { target }, .. } => symlink(target),
        Request::Release { closes } => {
            well_formed(closes.len() <= HANDLES_MAX && closes.iter().filter_map(|close| close.atime).all(is_time))
        }
        Request::Reclaim { claims } => well_formed(claims.len() <= HANDLES_MAX),
        Request::GetLayout { count, .. } => well_formed((1..=BLOCKS_MAX).contains(count)),
        Request::GrantObjects { count, given_back } => {
            well_formed((1..=GRANT_MAX).contains(count) && given_back.len() <= GRANT_MAX as usize)
        }
        Request::Commit(request) => commit(block_size, request),
        Request::SetXattr { name, value, .. } => {
            xattr_name(name)?;
            if value.len() > XATTR_VALUE_MAX { Err(Errno::E2BIG.into()) } else { Ok(()) }
        }
        Request::GetXattr { name, .. } | Request::RemoveXattr { name, .. } => xattr_name(name),
        Request::Lock { kind, span, .. }
        | Request::TestLock { kind, span, .. }
        | Request::AwaitLock { kind, span, .. } => lock_span(*kind, span),
        Request::Unlock { start, end, .. } => well_formed(start <= end && *end <= LockSpan::END),
        _ => Ok(()),
    }
}

/// Whether a read-only session must not ask it.
pub(in super::super) fn needs_write(request: &Request) -> bool {
    match request {
        Request::Open { access, truncate, .. } => access.write || *truncate,
        // A shared lock keeps nobody from reading, and whoever writes from nothing that it does not respect itself.
        Request::Lock { span, .. } | Request::AwaitLock { span, .. } => span.exclusive,
        Request::Unlock { .. } => false,
        request => request.is_mutation(),
    }
}

fn well_formed(holds: bool) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(Refused::Malformed) }
}

fn is_time(time: Timespec) -> bool {
    time.nanos < 1_000_000_000
}

fn lock_span(kind: LockKind, span: &LockSpan) -> Result<(), Refused> {
    let is_whole = span.start == 0 && span.end == LockSpan::END;
    well_formed(span.is_valid() && (kind == LockKind::Range || is_whole))
}

fn attr_changes(changes: &AttrChanges) -> Result<(), Refused> {
    for time in [changes.atime, changes.mtime].into_iter().flatten() {
        if let SetTime::At(time) = time {
            well_formed(is_time(time))?;
        }
    }
    // -1 is "leave it" in chown(2); as an owner it could not be given away again.
    if changes.uid == Some(u32::MAX) || changes.gid == Some(u32::MAX) {
        return Err(Errno::EINVAL.into());
    }
    if changes.size.is_some_and(|size| size > FILE_SIZE_MAX) {
        return Err(Errno::EFBIG.into());
    }
    Ok(())
}

fn symlink(target: &Bytes) -> Result<(), Refused> {
    if target.len() > SYMLINK_MAX {
        return Err(Errno::ENAMETOOLONG.into());
    }
    well_formed(!target.is_empty() && !target.contains(&0))
}

fn xattr_name(name: &Bytes) -> Result<(), Refused> {
    if name.is_empty() || name.len() > XATTR_NAME_MAX {
        return Err(Errno::ERANGE.into());
    }
    if name.contains(&0) { Err(Errno::EINVAL.into()) } else { Ok(()) }
}

fn commit(block_size: u32, commit: &Commit) -> Result<(), Refused> {
    well_formed(commit.changes.len() <= COMMIT_BLOCKS_MAX && is_time(commit.mtime))?;
    if let Some(inline) = &commit.inline {
        well_formed(commit.changes.is_empty() && inline.len() <= INLINE_MAX as usize)?;
    }
    if commit.size_min > FILE_SIZE_MAX {
        return Err(Errno::EFBIG.into());
    }
    for change in &commit.changes {
        let end = match change {
            BlockChange::Write(_, piece) => {
                well_formed(piece.is_valid(block_size) && is_storable(piece))?;
                piece.end
            }
            BlockChange::Rewrite(_, rewrite) => {
                well_formed(rewrite.is_valid(block_size) && is_storable(&rewrite.piece))?;
                rewrite.piece.end
            }
            BlockChange::Punch(_, start, end) => {
                well_formed(start < end && *end <= block_size)?;
                *end
            }
        };
        if position(block_size, change.block(), end).is_none() {
            return Err(Errno::EFBIG.into());
        }
    }
    copies(&commit.changes)
}

/// Copies are judged by what was there before the commit, so no hole of the same commit may have changed it.
fn copies(changes: &[BlockChange]) -> Result<(), Refused> {
    let copies = changes.iter().filter_map(|change| match change {
        BlockChange::Rewrite(_, rewrite) => Some(rewrite.copied.len()),
        BlockChange::Write(..) | BlockChange::Punch(..) => None,
    });
    let (count, rewrites) = copies.fold((0, 0), |(count, rewrites), copies| (count + copies, rewrites + 1));
    let has_hole = changes.iter().any(|change| matches!(change, BlockChange::Punch(..)));
    well_formed(count <= COPIES_MAX && !(rewrites > 0 && has_hole))
}

/// Offset in the file of byte `end` of a block, where it is within the length limit.
pub(in super::super) fn position(block_size: u32, index: BlockIndex, end: u32) -> Option<u64> {
    let position = index.0.checked_mul(u64::from(block_size))?.checked_add(u64::from(end))?;
    (position <= FILE_SIZE_MAX).then_some(position)
}

fn is_storable(piece: &Piece) -> bool {
    let lens = || piece.frames.iter().map(|frame| frame.stored_len());
    lens().all(|len| (1..=FRAME_SIZE + FRAME_OVERHEAD_MAX).contains(&len))
        && piece.object_offset.saturating_add(lens().map(u64::from).sum()) <= OBJECT_SIZE_MAX
}
