//! readlink.

use proto::{Errno, Reply, Request};

use super::{Cx, unexpected};
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn readlink<C: MetaClient>(cx: &Cx<C>) -> Result<Answer, Errno> {
    match cx.call(Request::ReadLink { ino: cx.ino }).await? {
        Reply::Target(target) => Ok(Answer::Bytes(target)),
        other => Err(unexpected("readlink", &other)),
    }
}
