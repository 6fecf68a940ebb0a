//! rename: one atomic step at the server.

use proto::{Errno, Request};

use super::Cx;
use crate::adapter::{Answer, Rename};
use crate::client::MetaClient;

pub(super) async fn rename<C: MetaClient>(cx: &Cx<C>, rename: Rename) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    let Rename { name, new_parent, new_name, mode } = rename;
    cx.done(Request::Rename { parent: cx.ino, name, new_parent, new_name, mode }).await
}
