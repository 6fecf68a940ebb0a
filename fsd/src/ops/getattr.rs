//! stat: the server's attributes with what was written here and not committed yet.

use proto::{Errno, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn getattr<C: MetaClient>(cx: &Cx<C>) -> Result<Answer, Errno> {
    cx.entry(Request::GetAttr { ino: cx.ino }).await.map(Answer::Attr)
}
