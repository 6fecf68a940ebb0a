//! unlink and rmdir. A file that is still open goes on without a name; the server knows who holds it.

use proto::{Errno, Name, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn unlink<C: MetaClient>(cx: &Cx<C>, name: Name) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    cx.done(Request::Unlink { parent: cx.ino, name }).await
}

pub(super) async fn rmdir<C: MetaClient>(cx: &Cx<C>, name: Name) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    cx.done(Request::RemoveDir { parent: cx.ino, name }).await
}
