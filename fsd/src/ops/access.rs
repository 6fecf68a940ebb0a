//! access: asked only where the kernel does not judge by attributes itself, because callers are not whom it takes them for.

use proto::{Access, Errno, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn access<C: MetaClient>(cx: &Cx<C>, access: Access) -> Result<Answer, Errno> {
    if access.write {
        cx.state.flags.permit_change()?;
    }
    // Whether it is there, the kernel knows.
    if access == Access::default() {
        return Ok(Answer::Done);
    }
    cx.done(Request::Check { ino: cx.ino, access }).await
}
