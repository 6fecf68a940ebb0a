//! mkdir, mknod, symlink: new names for new files that are not opened.

use bytes::Bytes;
use proto::{Errno, Name, NewNode, Request};

use super::Cx;
use crate::adapter::Answer;
use crate::client::MetaClient;

pub(super) async fn directory<C: MetaClient>(cx: &Cx<C>, name: Name, perm: u16) -> Result<Answer, Errno> {
    make(cx, name, NewNode::Directory { perm: cx.state.masked(perm.into()) as u16 }).await
}

pub(super) async fn node<C: MetaClient>(cx: &Cx<C>, name: Name, mode: u32, rdev: u32) -> Result<Answer, Errno> {
    make(cx, name, NewNode::Node { mode: cx.state.masked(mode), rdev }).await
}

pub(super) async fn symlink<C: MetaClient>(cx: &Cx<C>, name: Name, target: Bytes) -> Result<Answer, Errno> {
    make(cx, name, NewNode::Symlink { target }).await
}

async fn make<C: MetaClient>(cx: &Cx<C>, name: Name, node: NewNode) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    cx.entry(Request::Make { parent: cx.ino, name, node }).await.map(Answer::Entry)
}
