//! stat: the server's attributes with what was written here and not committed yet.

use std::time::Duration;

use proto::{Errno, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn getattr<C: MetaClient>(cx: &Cx<C>) -> Result<Answer, Errno> {
    let state = &cx.state;
    if let Some((attr, age)) = state.known_dirs.find(cx.ino, cx.now, state.presentation.attr_valid) {
        return Ok(Answer::Attr { attr: state.show(attr), age });
    }
    let attr = cx.entry(Request::GetAttr { ino: cx.ino }).await?;
    Ok(Answer::Attr { attr, age: Duration::ZERO })
}
