//! One function for each operation: resolve the handle, permit, ask the server or move bytes, answer.
//!
//! Nothing here knows the kernel's structures or how a request travels. State changes only after the last await of a
//! function, so that a dropped operation leaves nothing half done.

mod access;
mod create;
mod dir;
mod fallocate;
mod flush;
mod getattr;
mod given_up;
mod link;
mod lock;
mod lookup;
mod make;
mod open;
mod read;
mod readlink;
mod release;
mod remove;
mod rename;
mod setattr;
mod statfs;
mod write;
mod xattr;

use std::rc::Rc;
use std::sync::Arc;

use proto::{Attr, Caller, Errno, InodeId, Reply, Request, Timespec};

use crate::adapter::{Answer, Operation};
use crate::client::MetaClient;
use crate::state::State;

pub(crate) use flush::{flush_everything, write_back};
pub(crate) use given_up::GivenUp;
pub(crate) use lock::{Asking, WaitingRoom};
pub(crate) use release::settle;

/// What an operation works with.
#[derive(Debug)]
pub(crate) struct Cx<C> {
    /// What the mount remembers.
    pub(crate) state: Arc<State>,
    /// The metadata server.
    pub(crate) client: C,
    /// Who asks.
    pub(crate) caller: Caller,
    /// The file the request is about.
    pub(crate) ino: InodeId,
    /// When the request was taken up.
    pub(crate) now: Timespec,
    /// Whether anybody waits for the answer.
    pub(crate) given_up: GivenUp,
    /// Where it may wait for other programs.
    pub(crate) room: Rc<WaitingRoom>,
}

/// Carries out `operation`.
pub(crate) async fn perform<C: MetaClient>(cx: &Cx<C>, operation: Operation) -> Result<Answer, Errno> {
    match operation {
        Operation::Lookup { name } => lookup::lookup(cx, name).await,
        Operation::GetAttr => getattr::getattr(cx).await,
        Operation::Access(access) => access::access(cx, access).await,
        Operation::SetAttr(set) => setattr::setattr(cx, set).await,
        Operation::ReadLink => readlink::readlink(cx).await,
        Operation::Symlink { name, target } => make::symlink(cx, name, target).await,
        Operation::MakeNode { name, mode, rdev } => make::node(cx, name, mode, rdev).await,
        Operation::MakeDir { name, perm } => make::directory(cx, name, perm).await,
        Operation::Unlink { name } => remove::unlink(cx, name).await,
        Operation::RemoveDir { name } => remove::rmdir(cx, name).await,
        Operation::Rename(rename) => rename::rename(cx, rename).await,
        Operation::Link { ino, name } => link::link(cx, ino, name).await,
        Operation::Open(open) => open::open(cx, open).await,
        Operation::Create(create) => create::create(cx, create).await,
        Operation::Read(read) => read::read(cx, read).await,
        Operation::Write(write) => write::write(cx, write).await,
        Operation::Fallocate(range) => fallocate::fallocate(cx, range).await,
        Operation::Flush { handle, owner } => flush::flush(cx, handle, owner).await,
        Operation::Fsync { handle } => flush::fsync(cx, handle).await,
        Operation::FsyncDir => flush::sync(cx).await,
        Operation::SyncFs => flush::syncfs(cx).await,
        Operation::Release { handle } => release::release(cx, handle).await,
        Operation::StatFs => statfs::statfs(cx).await,
        Operation::SetXattr(set) => xattr::set(cx, set).await,
        Operation::GetXattr { name, size_max } => xattr::get(cx, name, size_max).await,
        Operation::ListXattr { size_max } => xattr::list(cx, size_max).await,
        Operation::RemoveXattr { name } => xattr::remove(cx, name).await,
        Operation::OpenDir => dir::opendir(cx).await,
        Operation::ReadDir(read) => dir::readdir(cx, read).await,
        Operation::ReleaseDir { handle } => dir::releasedir(cx, handle),
        Operation::Lock(lock) => Box::pin(lock::lock(cx, lock)).await,
        Operation::Unlock(lock) => lock::unlock(cx, lock).await,
        Operation::TestLock(lock) => lock::test(cx, lock).await,
        Operation::Forget | Operation::Interrupt { .. } | Operation::Destroy => Ok(Answer::Done),
        Operation::Unsupported => Err(Errno::ENOSYS),
    }
}

/// Takes back what `answer` gave, where nobody received it. Takes its turn when it is polled first.
pub(crate) async fn undo<C: MetaClient>(cx: &Cx<C>, answer: Answer) {
    match answer {
        Answer::Opened { handle, .. } | Answer::Created { handle, .. } => {
            // The handle is the kernel's no more, whatever the server says to it.
            let _ = release::release(cx, handle).await;
        }
        Answer::OpenedDir { handle } => {
            let _ = dir::releasedir(cx, handle);
        }
        Answer::Locked(locked) => Box::pin(lock::take_back(cx, &locked)).await,
        _ => {}
    }
}

impl<C: MetaClient> Cx<C> {
    async fn call(&self, request: Request) -> Result<Reply, Errno> {
        self.client.call(&self.caller, request).await
    }

    /// A request that is answered with a file.
    async fn entry(&self, request: Request) -> Result<Attr, Errno> {
        let name = request.name();
        match self.call(request).await? {
            Reply::Entry(attr) => Ok(self.state.show(attr)),
            other => Err(unexpected(name, &other)),
        }
    }

    /// A request that is answered with nothing but success.
    async fn done(&self, request: Request) -> Result<Answer, Errno> {
        let name = request.name();
        match self.call(request).await? {
            Reply::Done => Ok(Answer::Done),
            other => Err(unexpected(name, &other)),
        }
    }
}

/// The server answered something else than was asked.
fn unexpected(request: &'static str, reply: &Reply) -> Errno {
    tracing::error!(request, ?reply, "answer of another kind");
    Errno::EIO
}

#[cfg(test)]
mod tests;
