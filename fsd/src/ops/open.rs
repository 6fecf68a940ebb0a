//! open: what the file is now, and a handle. Close-to-open: whoever opens sees what was closed before.

use proto::{Access, Attr, AttrChanges, Errno, Layout, Reply, Request};

use super::{Cx, undo, unexpected};
use crate::adapter::{Answer, Open, OpenHints};
use crate::client::MetaClient;
use crate::data::OpenedFile;
use crate::state::{FileHandle, HandleId};

pub(super) async fn open<C: MetaClient>(cx: &Cx<C>, open: Open) -> Result<Answer, Errno> {
    cx.state.flags.permit_open(&open)?;
    // Only where the kernel does not see to it: it leaves the emptying to us before it looks.
    if open.truncate && !open.write && cx.state.files.is_executed(cx.ino) {
        return Err(Errno::ETXTBSY);
    }
    // No commit of bytes that are about to go may overtake the open that empties the file.
    let quiet = if open.truncate { cx.state.data.quiet(cx.ino).await } else { None };
    let request = Request::Open { ino: cx.ino, access: access(&open), truncate: open.truncate };
    let opening = cx.state.files.opening(cx.ino).await;
    let (attr, layout) = match cx.call(request).await {
        Ok(Reply::Opened(attr, layout)) => (attr, layout),
        Ok(other) => return Err(unexpected("open", &other)),
        // What became of it may be unknown.
        Err(Errno::EIO) => return Err(Errno::EIO),
        Err(errno) => {
            opening.answered();
            return Err(errno);
        }
    };
    if let Some(quiet) = quiet {
        cx.state.data.settle_truncating_open(quiet);
    }
    let Admitted { handle, hints, attr_changed, .. } = admit(cx, attr, layout, &open);
    opening.answered();
    let answer = Answer::Opened { handle, hints, attr_changed: attr_changed || open.truncate };
    if open.truncate
        && open.kill_privileges
        && cx.state.files.has_set_id(cx.ino)
        && let Err(errno) = drop_privileges(cx).await
    {
        undo(cx, answer).await;
        return Err(errno);
    }
    Ok(answer)
}

/// Drops set-id bits, as a change by somebody without the right to keep them does.
pub(super) async fn drop_privileges<C: MetaClient>(cx: &Cx<C>) -> Result<(), Errno> {
    let changes = AttrChanges { kill_privileges: true, ..Default::default() };
    cx.entry(Request::SetAttr { ino: cx.ino, changes, by_handle: true }).await?;
    Ok(())
}

/// A file that has a handle now.
pub(super) struct Admitted {
    pub(super) attr: Attr,
    pub(super) handle: HandleId,
    pub(super) hints: OpenHints,
    /// The kernel believes older attributes.
    pub(super) attr_changed: bool,
}

/// Enters a file into the tables that the server opened.
pub(super) fn admit<C>(cx: &Cx<C>, attr: Attr, layout: Layout, open: &Open) -> Admitted {
    let state = &cx.state;
    let OpenedFile { file, keep_cache } = state.data.open(&attr, layout);
    state.files.opened(&attr, open);
    let handle = state.handles.insert(FileHandle::new(&attr, file, open));
    let (attr, attr_changed) = state.show_opened(attr);
    // Whoever can change nothing through the handle has nothing to wait for when it is closed.
    let hints = OpenHints { keep_cache, no_flush: !open.write && !open.truncate, backing: None };
    Admitted { attr, handle, hints, attr_changed }
}

/// How the server is asked to open.
pub(super) fn access(open: &Open) -> Access {
    Access { read: open.read, write: open.write, execute: open.execute }
}
