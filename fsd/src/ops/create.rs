//! create: a name, a file and a handle in one message.

use proto::{Errno, Reply, Request};

use super::open::{access, admit};
use super::{Cx, unexpected};
use crate::adapter::{Answer, Create};
use crate::client::MetaClient;

pub(super) async fn create<C: MetaClient>(cx: &Cx<C>, create: Create) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    cx.state.flags.permit_open(&create.open)?;
    let request = Request::Create {
        parent: cx.ino,
        name: create.name,
        perm: cx.state.masked(create.perm.into()) as u16,
        access: access(&create.open),
        exclusive: create.exclusive,
        truncate: create.open.truncate,
    };
    match cx.call(request).await? {
        Reply::Opened(attr, layout) => {
            let opened = admit(cx, attr, layout, &create.open);
            cx.state.files.settled(attr.ino).await;
            Ok(Answer::Created { attr: opened.attr, handle: opened.handle, hints: opened.hints })
        }
        other => Err(unexpected("create", &other)),
    }
}
