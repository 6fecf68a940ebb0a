//! chmod, chown, truncate, utimensat.

use std::time::Duration;

use proto::Errno;

use super::Cx;
use crate::adapter::{Answer, SetAttr};
use crate::client::MetaClient;

pub(super) async fn setattr<C: MetaClient>(cx: &Cx<C>, set: SetAttr) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    cx.state.files.permit_use(cx.ino)?;
    let handle = set.handle.and_then(|handle| cx.state.handles.find(handle).ok());
    let by_handle = handle.is_some_and(|handle| handle.write);
    // The data path sees to it that bytes written before neither outlive a truncation nor overtake a time that is set.
    let attr = cx.state.data.set_attr(&cx.client, &cx.caller, cx.ino, set.changes, by_handle).await?;
    Ok(Answer::Attr { attr: cx.state.show(attr), age: Duration::ZERO })
}
