//! Giving opens back, and claiming them after a restart.

use proto::{Claim, Close, InodeId, Refused, Reply, Timespec};

use super::{Ask, remove};
use crate::engine::error::{Failure, Outcome};
use crate::engine::inode::{Inode, decode_holders};
use crate::engine::keys;
use crate::engine::opens::{Holder, OPEN_FILES_MAX};
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::engine::volume::Volume;
use crate::store::MetaKv;

/// Takes opens back. A file without a name whose last open this was goes. What was not open is ignored.
pub(in super::super) fn release<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, closes: &[Close]) -> Outcome<Reply> {
    set_access_times(volume, ask, closes)?;
    let session = ask.session.id;
    for close in closes {
        let was_last = volume.opens.shard(close.ino).remove(close.ino, session, close.count);
        if !was_last {
            continue;
        }
        if let Some(live) = volume.live(session) {
            live.note_closed();
        }
        if volume.find_inode(close.ino)?.is_some_and(|inode| inode.is_orphan()) {
            let mut tx = Tx::begin(volume);
            remove::drop_holder(&mut tx, ask.now, close.ino, session)?;
            tx.commit()?;
        }
    }
    Ok(Reply::Done)
}

/// Keeps the times of last access that are newer than the known ones, of files that the session has open.
fn set_access_times<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, closes: &[Close]) -> Outcome<()> {
    let newer = |inode: &Inode, atime: Timespec| atime > inode.attr.atime;
    let times = closes.iter().filter_map(|close| Some((close.ino, close.atime?.min(ask.now))));
    let times: Vec<_> = times.filter(|(ino, _)| volume.holds_open(ask.session.id, *ino)).collect();
    if ask.session.read_only || times.is_empty() {
        return Ok(());
    }
    let mut tx = Tx::begin(volume);
    for (ino, atime) in times {
        if let Some(inode) = tx.find_inode(ino)?.filter(|inode| newer(inode, atime)) {
            let mut inode = Inode::clone(&inode);
            inode.attr.atime = atime;
            tx.put_inode(inode);
        }
    }
    Ok(tx.commit()?)
}

/// Sets what the session holds open. Claiming again what is open already changes nothing, so a claim may be repeated.
pub(in super::super) fn reclaim<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, claims: &[Claim]) -> Outcome<Reply> {
    let mut gone = Vec::new();
    for claim in claims.iter().filter(|claim| claim.count > 0) {
        if !reclaim_one(volume, ask, claim)? {
            gone.push(claim.ino);
        }
    }
    Ok(Reply::Claimed { gone })
}

fn reclaim_one<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, claim: &Claim) -> Outcome<bool> {
    // Under the writer lock, so that no unlink comes between the look and the entry in the table.
    let _writer = volume.write();
    let may_be_claimed = match volume.find_inode(claim.ino)? {
        None => false,
        Some(inode) if inode.is_dir() => false,
        Some(inode) if inode.is_orphan() => is_holder(volume, ask, claim.ino)?,
        Some(inode) => match crate::engine::scope::check(volume, ask.session, &inode) {
            Ok(()) => true,
            Err(Failure::Refused(_)) => false,
            Err(failure) => return Err(failure),
        },
    };
    let mut shard = volume.opens.shard(claim.ino);
    let live = volume.live(ask.session.id).ok_or(Refused::SessionEnded)?;
    let is_allowed = !(claim.write && ask.session.read_only) && live.open_files() < OPEN_FILES_MAX;
    if !may_be_claimed || !is_allowed {
        return Ok(false);
    }
    let holder = Holder { session: ask.session.id, count: claim.count, write: claim.write };
    live.note_opened(shard.set(claim.ino, holder));
    Ok(true)
}

/// Whether the session held the file open when its last name went.
fn is_holder<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, ino: InodeId) -> Outcome<bool> {
    match volume.kv.get(&keys::orphan(ino))? {
        Some(value) => Ok(decode_holders(&value)?.contains(&ask.session.id)),
        None => Ok(false),
    }
}
