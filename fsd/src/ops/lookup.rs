//! lookup: a name to a file. Absent names are not cached: another mount may make them at any time.

use proto::{Errno, Name, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn lookup<C: MetaClient>(cx: &Cx<C>, name: Name) -> Result<Answer, Errno> {
    cx.entry(Request::Lookup { parent: cx.ino, name }).await.map(Answer::Entry)
}
