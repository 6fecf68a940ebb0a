//! statfs: size and use of the volume.

use proto::{Errno, Reply, Request};

use super::{Cx, unexpected};
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn statfs<C: MetaClient>(cx: &Cx<C>) -> Result<Answer, Errno> {
    match cx.call(Request::StatFs).await? {
        Reply::StatFs(stat) => Ok(Answer::StatFs(stat)),
        other => Err(unexpected("statfs", &other)),
    }
}
