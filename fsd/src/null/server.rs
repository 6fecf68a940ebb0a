//! `Server`: every request of the null file system, answered on the spot.

use std::sync::{LazyLock, RwLock};
use std::time::Duration;

use bytes::Bytes;
use proto::dirent::DirRecord;
use proto::{Attr, Errno, InodeId, Timespec, VolumeStat};

use super::backings::Backings;
use super::tree::{Maker, Tree};
use crate::adapter::{
    Answer, Create, DirentBuffer, Encoded, Incoming, Open, OpenHints, Operation, Presentation, Read, ReadDir, Write,
    encode, parse,
};
use crate::session::MESSAGE_LEN;
use crate::state::HandleId;

/// What the threads share.
#[derive(Debug)]
pub(super) struct Server {
    tree: RwLock<Tree>,
    presentation: Presentation,
    /// Files that the kernel reads and writes by itself.
    backings: Option<Backings>,
}

impl Server {
    /// An empty file system, with the times of a real mount's defaults.
    pub(super) fn new(backings: Option<Backings>) -> Self {
        let presentation = Presentation::usual();
        Self { tree: RwLock::new(Tree::new(now())), presentation, backings }
    }

    /// The reply to a message of the kernel; `None` where it wants none, or sent no message.
    pub(super) fn answer(&self, message: &[u8]) -> Option<Encoded> {
        // Written bytes are only counted, so zeroes stand for them.
        let incoming = parse(message, InodeId::ROOT, |place| ZEROES.slice(..place.len()))?;
        let Incoming { unique, ino, uid, gid, operation, .. } = incoming;
        if matches!(operation, Ok(Operation::Forget | Operation::Interrupt { .. })) {
            return None;
        }
        let outcome = operation.and_then(|operation| self.perform(ino, Maker { uid, gid, now: now() }, operation));
        Some(encode(unique, outcome, &self.presentation))
    }

    fn perform(&self, ino: InodeId, maker: Maker, operation: Operation) -> Result<Answer, Errno> {
        match operation {
            Operation::Lookup { name } => {
                self.look(|tree| tree.lookup(ino, &name)).map(|attr| Answer::Entry(self.measured(attr)))
            }
            Operation::GetAttr => self.look(|tree| tree.attr(ino)).map(|attr| fresh(self.measured(attr))),
            Operation::SetAttr(set) => {
                if let (Some(backings), Some(size)) = (&self.backings, set.changes.size) {
                    backings.set_len(ino, size)?;
                }
                let changed = self.change(|tree| tree.set_attr(ino, &set.changes, maker.now));
                changed.map(|attr| fresh(self.measured(attr)))
            }
            Operation::ReadLink => self.look(|tree| tree.target(ino).map(Answer::Bytes)),
            Operation::Symlink { name, target } => {
                self.change(|tree| tree.symlink(ino, name, target, maker).map(Answer::Entry))
            }
            Operation::MakeNode { name, mode, .. } => {
                self.change(|tree| tree.make(ino, name, mode, maker).map(Answer::Entry))
            }
            Operation::MakeDir { name, perm } => {
                self.change(|tree| tree.make(ino, name, DIRECTORY | u32::from(perm), maker).map(Answer::Entry))
            }
            Operation::Unlink { name } | Operation::RemoveDir { name } => {
                let removed = self.look(|tree| tree.lookup(ino, &name))?.ino;
                self.change(|tree| tree.remove(ino, &name))?;
                self.drop_unused(removed);
                Ok(Answer::Done)
            }
            Operation::Rename(rename) => {
                let replaced = self.look(|tree| tree.lookup(rename.new_parent, &rename.new_name));
                self.change(|tree| tree.rename(ino, rename))?;
                replaced.into_iter().for_each(|attr| self.drop_unused(attr.ino));
                Ok(Answer::Done)
            }
            Operation::Link { ino: file, name } => self.change(|tree| tree.link(file, ino, name).map(Answer::Entry)),
            Operation::Open(open) => self.open(ino, open),
            Operation::Create(create) => self.create(ino, create, maker),
            Operation::Read(read) => self.read(ino, read),
            Operation::Write(Write { offset, data, .. }) => {
                let len = data.len() as u32;
                self.change(|tree| tree.grow(ino, offset + u64::from(len))).map(|()| Answer::Written(len))
            }
            Operation::Release { .. } => {
                self.change(|tree| tree.close(ino))?;
                self.drop_unused(ino);
                Ok(Answer::Done)
            }
            Operation::OpenDir => Ok(Answer::OpenedDir { handle: HandleId(ino.0) }),
            Operation::ReadDir(read) => self.read_dir(ino, read),
            Operation::StatFs => {
                Ok(Answer::StatFs(VolumeStat { bytes_max: 0, bytes_used: 0, inodes_max: 0, inodes_used: 0 }))
            }
            Operation::Flush { .. }
            | Operation::Fsync { .. }
            | Operation::FsyncDir
            | Operation::SyncFs
            | Operation::ReleaseDir { .. }
            | Operation::Destroy => Ok(Answer::Done),
            // The kernel does not ask again.
            _ => Err(Errno::ENOSYS),
        }
    }

    fn create(&self, parent: InodeId, create: Create, maker: Maker) -> Result<Answer, Errno> {
        let attr = self.change(|tree| {
            let attr = tree.make(parent, create.name, REGULAR | u32::from(create.perm), maker)?;
            tree.open(attr.ino, false).map(|()| attr)
        })?;
        Ok(Answer::Created { attr, handle: HandleId(attr.ino.0), hints: self.hints(attr.ino, create.open)? })
    }

    fn open(&self, ino: InodeId, open: Open) -> Result<Answer, Errno> {
        self.change(|tree| tree.open(ino, open.truncate))?;
        if let (Some(backings), true) = (&self.backings, open.truncate) {
            backings.set_len(ino, 0)?;
        }
        Ok(Answer::Opened { handle: HandleId(ino.0), hints: self.hints(ino, open)?, attr_changed: false })
    }

    /// As a real mount gives them.
    fn hints(&self, ino: InodeId, open: Open) -> Result<OpenHints, Errno> {
        let backing = self.backings.as_ref().map(|backings| backings.number(ino)).transpose().map_err(|error| {
            tracing::error!(%error, "the kernel takes no file to read and write by itself");
            Errno::EIO
        })?;
        // Pages of its own are what the kernel has not of such a file.
        Ok(OpenHints { keep_cache: backing.is_none(), no_flush: !open.write && !open.truncate, backing })
    }

    /// `attr` with the length of the file that the kernel writes by itself.
    fn measured(&self, attr: Attr) -> Attr {
        self.backings.as_ref().map_or(attr, |backings| backings.measured(attr))
    }

    /// Gives up what lies behind a file that is gone.
    fn drop_unused(&self, ino: InodeId) {
        if let Some(backings) = &self.backings
            && self.look(|tree| tree.attr(ino)).is_err()
        {
            backings.drop_of(ino);
        }
    }

    fn read(&self, ino: InodeId, read: Read) -> Result<Answer, Errno> {
        let size = self.look(|tree| tree.attr(ino))?.size;
        let len = size.saturating_sub(read.offset).min(u64::from(read.size)).min(ZEROES.len() as u64);
        Ok(Answer::Data(vec![ZEROES.slice(..len as usize)]))
    }

    fn read_dir(&self, ino: InodeId, read: ReadDir) -> Result<Answer, Errno> {
        let mut buffer = DirentBuffer::new(read.size, read.plus);
        self.look(|tree| {
            tree.list(ino, read.offset, read.plus, &mut |record| {
                let attr = record.attr.map(|attr| self.measured(attr));
                buffer.push(&DirRecord { attr, ..*record }, &self.presentation)
            })
        })?;
        Ok(Answer::Bytes(buffer.into_bytes().into()))
    }

    fn look<T>(&self, with: impl FnOnce(&Tree) -> T) -> T {
        with(&self.tree.read().expect("no code under this lock panics"))
    }

    fn change<T>(&self, with: impl FnOnce(&mut Tree) -> T) -> T {
        with(&mut self.tree.write().expect("no code under this lock panics"))
    }
}

fn fresh(attr: Attr) -> Answer {
    Answer::Attr { attr, age: Duration::ZERO }
}

fn now() -> Timespec {
    Timespec::from_system_time(std::time::SystemTime::now())
}

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
/// What every file consists of: as much as one request carries.
static ZEROES: LazyLock<Bytes> = LazyLock::new(|| vec![0; MESSAGE_LEN].into());
