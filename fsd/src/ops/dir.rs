//! opendir, readdir, readdirplus, releasedir: pages of the server's listing, handed on in the kernel's bits.

use proto::dirent::DirRecord;
use proto::limits::READDIR_BYTES_MAX;
use proto::{Errno, FileKind, InodeId, Reply, Request};

use super::{Cx, unexpected};
use crate::adapter::{Answer, DirentBuffer, ReadDir};
use crate::client::MetaClient;
use crate::state::{DOTS, DirHandle, Filled, HandleId, Page};

pub(super) async fn opendir<C: MetaClient>(cx: &Cx<C>) -> Result<Answer, Errno> {
    cx.done(Request::OpenDir { ino: cx.ino }).await?;
    Ok(Answer::OpenedDir { handle: cx.state.dirs.insert(DirHandle::new(cx.ino)) })
}

pub(super) fn releasedir<C>(cx: &Cx<C>, handle: HandleId) -> Result<Answer, Errno> {
    cx.state.dirs.remove(handle).ok_or(Errno::EBADF)?;
    Ok(Answer::Done)
}

pub(super) async fn readdir<C: MetaClient>(cx: &Cx<C>, read: ReadDir) -> Result<Answer, Errno> {
    let dir = cx.state.dirs.find(read.handle)?;
    let mut buffer = DirentBuffer::new(read.size, read.plus);
    if !push_dots(cx, &mut buffer, dir.ino, read.offset) {
        return finish(buffer);
    }
    let offset = if read.offset <= DOTS { 0 } else { read.offset };
    let mut page = match dir.take_page(offset) {
        Some(page) => page,
        None => fetch(cx, dir.ino, offset, read.plus).await?,
    };
    loop {
        let presentation = &cx.state.presentation;
        let filled = page.fill(|attr| cx.state.show_in_place(attr), |record| buffer.push(record, presentation))?;
        if filled != Filled::Exhausted || !buffer.is_empty() {
            let is_stuck = filled == Filled::Full && buffer.is_empty();
            dir.keep_page(page);
            return if is_stuck { Err(Errno::EINVAL) } else { finish(buffer) };
        }
        page = fetch(cx, dir.ino, page.offset(), read.plus).await?;
    }
}

/// Adds what is left of `.` and `..` behind `offset`; false where the kernel has no room for them.
/// The parent's inode is not known here and nobody relies on it: both show the directory itself.
fn push_dots<C>(cx: &Cx<C>, buffer: &mut DirentBuffer, ino: InodeId, offset: u64) -> bool {
    let dots: [&[u8]; DOTS as usize] = [b".", b".."];
    (1..).zip(dots).skip_while(|(behind, _)| *behind <= offset).all(|(behind, name)| {
        let record = DirRecord { ino, offset: behind, kind: FileKind::Directory, name, attr: None };
        buffer.push(&record, &cx.state.presentation)
    })
}

async fn fetch<C: MetaClient>(cx: &Cx<C>, ino: InodeId, offset: u64, attrs: bool) -> Result<Page, Errno> {
    match cx.call(Request::ReadDir { ino, offset, bytes_max: READDIR_BYTES_MAX, attrs }).await? {
        Reply::Names { records, end } if end || !records.is_empty() => Ok(Page::new(offset, records, end)),
        other => Err(unexpected("readdir", &other)),
    }
}

fn finish(buffer: DirentBuffer) -> Result<Answer, Errno> {
    Ok(Answer::Bytes(buffer.into_bytes().into()))
}
