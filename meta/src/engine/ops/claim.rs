//! Claiming open files: a mount says what it holds open, because the server may not know.
//!
//! A server that was restarted knows nothing of open files. Until a session has claimed all of its own, files that lose
//! their last name are kept for it. One that was not restarted may count too much: opens whose reply was lost.

use proto::limits::HANDLES_MAX;
use proto::{Claim, FileKind, InodeId, Refused, Reply};

use super::{Ask, close};
use crate::engine::error::Outcome;
use crate::engine::inode::{Inode, decode_holders};
use crate::engine::keys;
use crate::engine::opens::{Holder, OPEN_FILES_MAX};
use crate::engine::scope;
use crate::engine::view::View;
use crate::engine::volume::Volume;
use crate::store::MetaKv;

/// Notes what the session holds open: at least `count` opens of a file, or none where `count` is 0. A number that is
/// known is never lowered but to none, because opens that the mount has not heard of yet are in it; so a claim may be
/// repeated. A list that is not full is the last one.
pub(in super::super) fn reclaim<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, claims: &[Claim]) -> Outcome<Reply> {
    volume.live(ask.session.id).ok_or(Refused::SessionEnded)?;
    let mut gone = Vec::new();
    for claim in claims {
        if claim.count == 0 {
            close::take_back(volume, ask.session.id, claim.ino, u32::MAX);
            close::leave(volume, ask, claim.ino)?;
        } else if !claim_one(volume, ask, claim)? {
            gone.push(claim.ino);
        }
    }
    if claims.len() < HANDLES_MAX {
        volume.end_claims(ask.session.id, ask.now)?;
    }
    Ok(Reply::Claimed { gone })
}

fn claim_one<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, claim: &Claim) -> Outcome<bool> {
    // Under the writer lock, so that no unlink comes between the look and the entry in the table.
    let _writer = volume.write();
    let Some(inode) = volume.find_inode(claim.ino)? else { return Ok(false) };
    let may_be_claimed = may_hold(volume, ask, &inode)?;
    let mut shard = volume.opens.shard(claim.ino);
    let session = ask.session.id;
    let live = volume.live(session).ok_or(Refused::SessionEnded)?;
    let is_allowed = !(claim.write && ask.session.read_only) && live.open_files() < OPEN_FILES_MAX;
    let known = shard.find(claim.ino, session);
    if !may_be_claimed || !is_allowed || !is_believable(ask, &inode, claim, known) {
        return Ok(false);
    }
    let count = known.map_or(claim.count, |known| known.count.max(claim.count));
    let write = known.map_or(claim.write, |known| known.write || claim.write);
    live.note_opened(shard.set(claim.ino, Holder { session, count, write }));
    Ok(true)
}

/// Whether somebody whom the session can be may have opened the file like this. What is known to be open needs no belief.
fn is_believable(ask: &Ask<'_>, inode: &Inode, claim: &Claim, known: Option<Holder>) -> bool {
    let may_have = |write| ask.session.identity.may_have_opened(&inode.attr, write);
    match known {
        Some(known) => known.write || !claim.write || may_have(true),
        None => may_have(claim.write),
    }
}

/// Whether the session may have the file open.
fn may_hold<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, inode: &Inode) -> Outcome<bool> {
    if inode.attr.kind != FileKind::Regular {
        return Ok(false);
    }
    if inode.is_orphan() {
        return is_holder(volume, ask, inode.ino());
    }
    scope::admits(volume, ask.session, inode)
}

/// Whether a file without a name is kept for the session.
pub(super) fn is_holder<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, ino: InodeId) -> Outcome<bool> {
    match volume.kv.get(&keys::orphan(ino))? {
        Some(value) => Ok(decode_holders(&value)?.contains(&ask.session.id)),
        None => Ok(false),
    }
}
