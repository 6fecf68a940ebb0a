//! release: the last copy of a handle is closed. The kernel was answered before this runs: nobody waits.

use proto::limits::HANDLES_MAX;
use proto::{Caller, Errno, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;
use crate::state::{HandleId, Turn};

pub(super) async fn release<C: MetaClient>(cx: &Cx<C>, handle: HandleId) -> Result<Answer, Errno> {
    let handle = cx.state.handles.remove(handle).ok_or(Errno::EBADF)?;
    // Writes through a mapping arrive after the last close.
    if handle.write
        && let Err(errno) = cx.state.data.flush(&cx.client, &handle.file, false).await
    {
        tracing::error!(ino = %handle.ino, %errno, "data written after the file was closed is lost");
    }
    cx.state.data.close(handle.ino);
    cx.state.files.closed(handle.ino, handle.write, handle.execute);
    let keep_atime = !cx.state.flags.current().no_atime;
    if cx.state.closes.push(handle.close(keep_atime)) == Turn::Mine {
        cx.state.closes.gathered().await;
        send_closes(cx).await?;
    }
    Ok(Answer::Done)
}

async fn send_closes<C: MetaClient>(cx: &Cx<C>) -> Result<(), Errno> {
    for closes in cx.state.closes.take().chunks(HANDLES_MAX) {
        cx.client.call(&Caller::ROOT, Request::Release { closes: closes.to_vec() }).await?;
    }
    Ok(())
}
