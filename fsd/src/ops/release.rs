//! release: the last copy of a handle is closed. The kernel was answered before this runs: nobody waits.

use std::time::Duration;

use proto::limits::HANDLES_MAX;
use proto::{Caller, Claim, Errno, InodeId, Reply, Request};

use super::{Cx, lock, unexpected};
use crate::adapter::Answer;
use crate::client::MetaClient;
use crate::state::{HandleId, Turn};

pub(super) async fn release<C: MetaClient>(cx: &Cx<C>, handle: HandleId) -> Result<Answer, Errno> {
    let (id, handle) = (handle, cx.state.handles.remove(handle).ok_or(Errno::EBADF)?);
    let leaving = lock::leaving(cx, handle.ino, id).await;
    // Writes through a mapping arrive after the last close. Under a lock others write through other handles.
    if (handle.write || leaving.is_some())
        && cx.state.files.permit_use(handle.ino).is_ok()
        && let Err(errno) = cx.state.data.flush(&cx.client, &handle.file, false).await
    {
        tracing::error!(ino = %handle.ino, %errno, "data written after the file was closed is lost");
    }
    if let Some(turn) = leaving {
        Box::pin(lock::leave(cx, turn, handle.ino, id)).await;
    }
    cx.state.data.close(handle.ino);
    cx.state.files.closed(handle.ino, handle.write, handle.execute);
    let keep_atime = !cx.state.flags.current().no_atime;
    if cx.state.closes.push(handle.close(keep_atime)) == Turn::Mine {
        let _ = tokio::time::timeout(GATHER, cx.state.closes.full()).await;
        send_closes(cx).await;
        settle(cx).await;
    }
    Ok(Answer::Done)
}

/// A close is sent once: a second one could take back an open that was made since.
async fn send_closes<C: MetaClient>(cx: &Cx<C>) {
    for closes in cx.state.closes.take().chunks(HANDLES_MAX) {
        let sent = cx.client.call(&Caller::ROOT, Request::Release { closes: closes.to_vec() }).await;
        cx.state.files.released(closes, sent.is_ok());
    }
}

/// Tells the server which files are not open, where a lost reply left that open. What fails is tried again next time.
pub(crate) async fn settle<C: MetaClient>(cx: &Cx<C>) {
    let Some(settling) = cx.state.files.settle().await else { return };
    loop {
        let claims = settling.next();
        if claims.is_empty() {
            return;
        }
        let told = claim(cx, &claims).await;
        let opened = settling.told(&claims, told.is_ok());
        if !opened.is_empty()
            && let Ok(gone) = claim(cx, &opened).await
        {
            cx.state.files.mark_gone(&gone);
        }
        if told.is_err() {
            return;
        }
    }
}

async fn claim<C: MetaClient>(cx: &Cx<C>, claims: &[Claim]) -> Result<Vec<InodeId>, Errno> {
    match cx.client.call(&Caller::ROOT, Request::Reclaim { claims: claims.to_vec() }).await? {
        Reply::Claimed { gone } => Ok(gone),
        other => Err(unexpected("reclaim", &other)),
    }
}

/// How long the first close waits for others.
const GATHER: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
