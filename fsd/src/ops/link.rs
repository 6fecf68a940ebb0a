//! link: another name for a file.

use proto::{Errno, InodeId, Name, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn link<C: MetaClient>(cx: &Cx<C>, ino: InodeId, name: Name) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    cx.entry(Request::Link { ino, parent: cx.ino, name }).await.map(Answer::Entry)
}
