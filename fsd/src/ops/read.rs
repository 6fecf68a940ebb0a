//! read: bytes written here, then the page of memory or the frame of an object that holds them.

use proto::Errno;

use super::Cx;
use crate::adapter::{Answer, Read};
use crate::client::MetaClient;

pub(super) async fn read<C: MetaClient>(cx: &Cx<C>, read: Read) -> Result<Answer, Errno> {
    let handle = cx.state.handles.find(read.handle)?;
    cx.state.files.permit_use(handle.ino)?;
    let data = cx.state.data.read(&cx.client, &handle.file, read.offset, read.size, !read.direct).await?;
    handle.note_read(cx.now);
    Ok(Answer::Data(data))
}
