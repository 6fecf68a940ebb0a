//! write: bytes into the file's buffer; they reach the server at close, fsync or when there are many.

use proto::Errno;

use super::Cx;
use super::open::drop_privileges;
use crate::adapter::{Answer, Write};
use crate::client::MetaClient;

pub(super) async fn write<C: MetaClient>(cx: &Cx<C>, write: Write) -> Result<Answer, Errno> {
    let handle = cx.state.handles.find(write.handle)?;
    cx.state.flags.permit_change()?;
    cx.state.files.permit_use(handle.ino)?;
    if write.kill_privileges && cx.state.files.has_set_id(handle.ino) {
        drop_privileges(cx).await?;
    }
    let size = write.data.len() as u32;
    // The kernel asks nobody for the length of a file that others changed. Its pages of it are wrong until it asks, which
    // it does before it reads: it does not know the time of this write.
    let offset = if write.append { handle.file.size() } else { write.offset };
    let is_given_up = || cx.given_up.is_set();
    cx.state.data.write(&cx.client, &handle.file, offset, &write.data, cx.now, is_given_up).await?;
    Ok(Answer::Written(size))
}
