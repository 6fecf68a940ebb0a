//! Opening files.

use std::sync::Arc;

use proto::{Access, Errno, FileKind, InodeId, Refused, Reply};

use super::{Ask, content, layout, xattr};
use crate::engine::error::{Breach, Outcome};
use crate::engine::inode::Inode;
use crate::engine::opens::OPEN_FILES_MAX;
use crate::engine::permit::{self, READ, WRITE};
use crate::engine::tx::Tx;
use crate::engine::view::View;
use crate::engine::volume::Volume;
use crate::store::MetaKv;

/// Opens a file as it is.
pub(super) fn open<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, ino: InodeId, access: Access) -> Outcome<Reply> {
    check(ask, &*ask.inode(volume, ino)?, access)?;
    let inode = register(volume, ask, ino, access.write)?;
    Ok(Reply::Opened(inode.attr, layout::head(volume, &inode)?))
}

/// Notes the open. Looks once more whether the file is there: an unlink that comes now waits, one that was before shows.
fn register<K: MetaKv>(volume: &Volume<K>, ask: &Ask<'_>, ino: InodeId, write: bool) -> Outcome<Arc<Inode>> {
    let mut shard = volume.opens.shard(ino);
    let inode = volume.inode(ino)?;
    let session = ask.session.id;
    let live = volume.live(session).ok_or(Refused::SessionEnded)?;
    if inode.is_orphan() && shard.find(ino, session).is_none() {
        return Err(Errno::ESTALE.into());
    }
    if live.open_files() >= OPEN_FILES_MAX {
        return Err(Errno::ENFILE.into());
    }
    live.note_opened(shard.add(ino, session, write));
    Ok(inode)
}

/// Opens a file and empties it, which needs permission to write even where the handle will only read.
pub(super) fn truncate<K: MetaKv>(tx: &mut Tx<'_, K>, ask: &Ask<'_>, ino: InodeId, access: Access) -> Outcome<Reply> {
    let mut inode = Inode::clone(&*ask.inode(tx, ino)?);
    check(ask, &inode, Access { write: true, ..access })?;
    content::resize(tx, &mut inode, 0, ask.now)?;
    xattr::drop_privileges(tx, ask, &mut inode)?;
    inode.attr.mtime = ask.now;
    inode.attr.ctime = ask.now;
    tx.open_file(ino, ask.session.id, access.write)?;
    let reply = Reply::Opened(inode.attr, layout::empty(&inode));
    tx.put_inode(inode);
    Ok(reply)
}

/// Whether the caller may open the file like this.
pub(super) fn check(ask: &Ask<'_>, inode: &Inode, access: Access) -> Outcome<()> {
    match inode.attr.kind {
        FileKind::Regular => {}
        FileKind::Directory => return Err(Errno::EISDIR.into()),
        _ => return Err(Errno::ENXIO.into()),
    }
    if access.write && ask.session.read_only {
        return Err(Breach::ReadOnly.into());
    }
    let want = match permit::wanted(access) {
        // A handle for neither is for those who may do both, as Linux has it: the answer tells where the bytes are.
        0 => READ | WRITE,
        want => want,
    };
    permit::access(&inode.attr, ask.caller, want)
}
