//! flush (each close), fsync, fsyncdir, syncfs: how far written data has come.

use proto::{Errno, LockOwner, Request, Timespec};

use super::{Cx, lock};
use crate::adapter::Answer;
use crate::client::MetaClient;
use crate::state::HandleId;

/// close(2): what was written is durable and others see it, or the close says why not. Then the locks of the process that
/// closes, `owner`, are given up.
pub(super) async fn flush<C: MetaClient>(cx: &Cx<C>, handle: HandleId, owner: LockOwner) -> Result<Answer, Errno> {
    let handle = cx.state.handles.find(handle)?;
    let closing = lock::closing(cx, handle.ino, owner).await;
    let flushed = match cx.state.files.permit_use(handle.ino) {
        Ok(()) => cx.state.data.flush(&cx.client, &handle.file, true).await,
        gone => gone,
    };
    // It may have become so meanwhile, and what was written is given up.
    let flushed = flushed.and(cx.state.files.permit_use(handle.ino));
    if let Some(turn) = closing {
        let let_go = Box::pin(lock::closed_by(cx, turn, handle.ino, owner)).await;
        return flushed.and(let_go).map(|()| Answer::Done);
    }
    flushed.map(|()| Answer::Done)
}

/// fsync(2): content and every earlier change of attributes and names.
pub(super) async fn fsync<C: MetaClient>(cx: &Cx<C>, handle: HandleId) -> Result<Answer, Errno> {
    let handle = cx.state.handles.find(handle)?;
    cx.state.files.permit_use(handle.ino)?;
    cx.state.data.fsync(&cx.client, &handle.file).await?;
    // As a flush.
    cx.state.files.permit_use(handle.ino)?;
    Ok(Answer::Done)
}

/// fsync(2) of a directory: every change acknowledged so far.
pub(super) async fn sync<C: MetaClient>(cx: &Cx<C>) -> Result<Answer, Errno> {
    cx.done(Request::Sync).await
}

/// syncfs(2).
pub(super) async fn syncfs<C: MetaClient>(cx: &Cx<C>) -> Result<Answer, Errno> {
    forsake_gone(cx);
    cx.state.data.flush_all(&cx.client).await?;
    sync(cx).await
}

/// A step of a mount that goes on: what was written before `since` is committed, close or no close.
pub(crate) async fn write_back<C: MetaClient>(cx: &Cx<C>, since: Timespec) {
    forsake_gone(cx);
    cx.state.data.write_back(&cx.client, since).await;
}

/// The last step of a mount: nothing written is left behind.
pub(crate) async fn flush_everything<C: MetaClient>(cx: &Cx<C>) -> Result<(), Errno> {
    forsake_gone(cx);
    cx.state.data.flush_all(&cx.client).await
}

/// What was written to files that are gone is committed no more: others may have their locks by now.
fn forsake_gone<C>(cx: &Cx<C>) {
    cx.state.data.forsake(|ino| cx.state.files.permit_use(ino).is_err());
}
