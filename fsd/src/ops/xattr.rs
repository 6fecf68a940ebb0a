//! Extended attributes: all at the server.

use bytes::Bytes;
use proto::{Errno, Reply, Request};

use super::{Cx, unexpected};
use crate::adapter::{Answer, SetXattr};
use crate::client::MetaClient;
use crate::trace::SLOW_XATTR;

pub(super) async fn set<C: MetaClient>(cx: &Cx<C>, set: SetXattr) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    let SetXattr { name, value, mode } = set;
    // It would never show.
    if name == SLOW_XATTR.as_bytes() {
        return Err(Errno::EPERM);
    }
    cx.done(Request::SetXattr { ino: cx.ino, name, value, mode }).await
}

pub(super) async fn remove<C: MetaClient>(cx: &Cx<C>, name: Bytes) -> Result<Answer, Errno> {
    cx.state.flags.permit_change()?;
    cx.done(Request::RemoveXattr { ino: cx.ino, name }).await
}

pub(super) async fn get<C: MetaClient>(cx: &Cx<C>, name: Bytes, size_max: u32) -> Result<Answer, Errno> {
    if name == SLOW_XATTR.as_bytes() {
        return slow(cx, size_max);
    }
    value(cx.call(Request::GetXattr { ino: cx.ino, name }).await?, size_max)
}

pub(super) async fn list<C: MetaClient>(cx: &Cx<C>, size_max: u32) -> Result<Answer, Errno> {
    value(cx.call(Request::ListXattr { ino: cx.ino }).await?, size_max)
}

/// The slowest operations, which this mount knows without asking anybody.
fn slow<C>(cx: &Cx<C>, size_max: u32) -> Result<Answer, Errno> {
    // They tell what others do: they are for who runs the mount.
    if cx.caller.uid != 0 && cx.caller.uid != rustix::process::geteuid().as_raw() {
        return Err(Errno::ENODATA);
    }
    let inode = (cx.ino != cx.state.presentation.root).then_some(cx.ino.0);
    let json = serde_json::to_vec(&cx.state.slow.slowest(inode, SLOW_COUNT)).map_err(|_| Errno::EIO)?;
    value(Reply::Value(json.into()), size_max)
}

/// Operations told at once: their JSON is well below the 64 KiB that an attribute may have.
const SLOW_COUNT: usize = 16;

/// The value, or only its length where the caller gave no room.
fn value(reply: Reply, size_max: u32) -> Result<Answer, Errno> {
    match reply {
        Reply::Value(value) if size_max == 0 => Ok(Answer::Size(value.len() as u32)),
        Reply::Value(value) if value.len() > size_max as usize => Err(Errno::ERANGE),
        Reply::Value(value) => Ok(Answer::Bytes(value)),
        other => Err(unexpected("xattr", &other)),
    }
}
