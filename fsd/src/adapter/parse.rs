//! Messages of the kernel to operations: one small parser for each group of opcodes.
//!
//! Bounds-checked throughout; a message that is not what its opcode says is `EINVAL` or the error of its argument.

use std::ops::Range;

use bytes::Bytes;
use fuse_backend_rs::abi::fuse_abi::{self as abi, Opcode};
use proto::limits::{FILE_SIZE_MAX, SYMLINK_MAX, XATTR_NAME_MAX, XATTR_VALUE_MAX};
use proto::{
    Access, AttrChanges, Errno, InodeId, LockKind, LockOwner, LockSpan, Name, RenameMode, SetTime, Timespec, XattrMode,
};

use super::fields::Fields;
use super::operation::{
    Create, Fallocate, FallocateMode, Lock, Open, Operation, Read, ReadDir, Rename, SetAttr, SetXattr, Write,
};
use super::present::inode_id;
use crate::state::HandleId;

/// A request of the kernel.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Names the request in its reply and in an interruption.
    pub(crate) unique: u64,
    /// The file the request is about.
    pub(crate) ino: InodeId,
    /// Effective user of the process that asks.
    pub(crate) uid: u32,
    /// Its effective group.
    pub(crate) gid: u32,
    /// The asking thread as `/proc` names it; 0 where it lives in another PID namespace.
    pub(crate) pid: u32,
    /// What is asked, or why that is nothing this file system answers.
    pub(crate) operation: Result<Operation, Errno>,
}

/// Reads one message. `None` where not even the header is there: such a message cannot be answered.
/// `payload` yields the bytes of a place in the message, so that written data need not be copied.
pub(crate) fn parse(message: &[u8], root: InodeId, payload: impl FnOnce(Range<usize>) -> Bytes) -> Option<Incoming> {
    let mut fields = Fields::new(message);
    let header: abi::InHeader = fields.take().ok()?;
    let parser = Parser { fields, root, message_len: message.len() };
    let operation = if header.len as usize == message.len() {
        parser.operation(header.opcode, payload)
    } else {
        Err(Errno::EINVAL)
    };
    Some(Incoming {
        unique: header.unique,
        ino: inode_id(header.nodeid, root),
        uid: header.uid,
        gid: header.gid,
        pid: header.pid,
        operation,
    })
}

struct Parser<'a> {
    fields: Fields<'a>,
    root: InodeId,
    message_len: usize,
}

macro_rules! opcodes {
    ($($name:ident = $opcode:ident),* $(,)?) => { $(const $name: u32 = Opcode::$opcode as u32;)* };
}

opcodes! {
    LOOKUP = Lookup, FORGET = Forget, GETATTR = Getattr, SETATTR = Setattr, READLINK = Readlink, SYMLINK = Symlink,
    MKNOD = Mknod, MKDIR = Mkdir, UNLINK = Unlink, RMDIR = Rmdir, RENAME = Rename, LINK = Link, OPEN = Open, READ = Read,
    WRITE = Write, STATFS = Statfs, RELEASE = Release, FSYNC = Fsync, SETXATTR = Setxattr, GETXATTR = Getxattr,
    LISTXATTR = Listxattr, REMOVEXATTR = Removexattr, FLUSH = Flush, OPENDIR = Opendir, READDIR = Readdir,
    RELEASEDIR = Releasedir, FSYNCDIR = Fsyncdir, CREATE = Create, INTERRUPT = Interrupt, DESTROY = Destroy,
    ACCESS = Access, BATCH_FORGET = BatchForget, FALLOCATE = Fallocate, READDIRPLUS = Readdirplus, RENAME2 = Rename2,
    GETLK = Getlk, SETLK = Setlk, SETLKW = Setlkw,
}
/// Newer than the interface's Rust copy.
const SYNCFS: u32 = 50;

impl<'a> Parser<'a> {
    fn operation(mut self, opcode: u32, payload: impl FnOnce(Range<usize>) -> Bytes) -> Result<Operation, Errno> {
        match opcode {
            LOOKUP => Ok(Operation::Lookup { name: self.name()? }),
            FORGET | BATCH_FORGET => Ok(Operation::Forget),
            GETATTR => Ok(Operation::GetAttr),
            ACCESS => Ok(Operation::Access(access_of(self.fields.take::<abi::AccessIn>()?.mask))),
            SETATTR => self.set_attr(),
            READLINK => Ok(Operation::ReadLink),
            SYMLINK | MKNOD | MKDIR | LINK | UNLINK | RMDIR | RENAME | RENAME2 => self.names(opcode),
            OPEN => {
                let open: abi::OpenIn = self.fields.take()?;
                Ok(Operation::Open(open_how(open.flags, open.fuse_flags)))
            }
            CREATE => self.create(),
            READ => self.read(),
            WRITE => self.write(payload),
            FALLOCATE => self.fallocate(),
            RELEASE => Ok(Operation::Release { handle: self.released()? }),
            RELEASEDIR => Ok(Operation::ReleaseDir { handle: self.released()? }),
            FLUSH => {
                let flush: abi::FlushIn = self.fields.take()?;
                Ok(Operation::Flush { handle: HandleId(flush.fh), owner: LockOwner(flush.lock_owner) })
            }
            FSYNC => Ok(Operation::Fsync { handle: HandleId(self.fields.take::<abi::FsyncIn>()?.fh) }),
            OPENDIR => Ok(Operation::OpenDir),
            READDIR => self.read_dir(false),
            READDIRPLUS => self.read_dir(true),
            FSYNCDIR => Ok(Operation::FsyncDir),
            SETXATTR | GETXATTR | LISTXATTR | REMOVEXATTR => self.xattr(opcode),
            STATFS => Ok(Operation::StatFs),
            SYNCFS => Ok(Operation::SyncFs),
            INTERRUPT => Ok(Operation::Interrupt { unique: self.fields.take::<abi::InterruptIn>()?.unique }),
            GETLK | SETLK | SETLKW => self.lock(opcode),
            DESTROY => Ok(Operation::Destroy),
            _ => Ok(Operation::Unsupported),
        }
    }

    fn name(&mut self) -> Result<Name, Errno> {
        Name::new(self.fields.string()?)
    }

    fn names(&mut self, opcode: u32) -> Result<Operation, Errno> {
        Ok(match opcode {
            SYMLINK => {
                let name = self.name()?;
                Operation::Symlink { name, target: target(self.fields.string()?)? }
            }
            MKNOD => {
                let node: abi::MknodIn = self.fields.take()?;
                Operation::MakeNode { name: self.name()?, mode: node.mode, rdev: node.rdev }
            }
            MKDIR => {
                let dir: abi::MkdirIn = self.fields.take()?;
                Operation::MakeDir { name: self.name()?, perm: perm(dir.mode) }
            }
            LINK => {
                let link: abi::LinkIn = self.fields.take()?;
                Operation::Link { ino: inode_id(link.oldnodeid, self.root), name: self.name()? }
            }
            UNLINK => Operation::Unlink { name: self.name()? },
            RMDIR => Operation::RemoveDir { name: self.name()? },
            RENAME => {
                let rename: abi::RenameIn = self.fields.take()?;
                self.rename(rename.newdir, RenameMode::Replace)?
            }
            _ => {
                let rename: abi::Rename2In = self.fields.take()?;
                self.rename(rename.newdir, rename_mode(rename.flags)?)?
            }
        })
    }

    fn rename(&mut self, new_dir: u64, mode: RenameMode) -> Result<Operation, Errno> {
        let new_parent = inode_id(new_dir, self.root);
        Ok(Operation::Rename(Rename { name: self.name()?, new_parent, new_name: self.name()?, mode }))
    }

    fn set_attr(&mut self) -> Result<Operation, Errno> {
        let set: abi::SetattrIn = self.fields.take()?;
        let valid = abi::SetattrValid::from_bits_truncate(set.valid);
        let has = |flag| valid.contains(flag);
        let time = |set_flag, now_flag, secs: u64, nanos: u32| match (has(set_flag), has(now_flag)) {
            (_, true) => Ok(Some(SetTime::Now)),
            (true, false) if nanos < 1_000_000_000 => Ok(Some(SetTime::At(Timespec { secs: secs as i64, nanos }))),
            (true, false) => Err(Errno::EINVAL),
            (false, false) => Ok(None),
        };
        use abi::SetattrValid as V;
        let changes = AttrChanges {
            perm: has(V::MODE).then(|| perm(set.mode)),
            uid: has(V::UID).then_some(set.uid),
            gid: has(V::GID).then_some(set.gid),
            size: has(V::SIZE).then_some(set.size),
            atime: time(V::ATIME, V::ATIME_NOW, set.atime, set.atimensec)?,
            mtime: time(V::MTIME, V::MTIME_NOW, set.mtime, set.mtimensec)?,
            kill_privileges: has(V::KILL_SUIDGID),
        };
        if changes.size.is_some_and(|size| size > FILE_SIZE_MAX) {
            return Err(Errno::EFBIG);
        }
        let handle = (set.valid & abi::FATTR_FH != 0).then_some(HandleId(set.fh));
        Ok(Operation::SetAttr(SetAttr { changes, handle }))
    }

    fn create(&mut self) -> Result<Operation, Errno> {
        let create: abi::CreateIn = self.fields.take()?;
        Ok(Operation::Create(Create {
            name: self.name()?,
            perm: perm(create.mode),
            exclusive: create.flags & O_EXCL != 0,
            open: open_how(create.flags, create.fuse_flags),
        }))
    }

    fn read(&mut self) -> Result<Operation, Errno> {
        let read: abi::ReadIn = self.fields.take()?;
        in_file(read.offset, u64::from(read.size))?;
        let direct = read.flags & O_DIRECT != 0;
        Ok(Operation::Read(Read { handle: HandleId(read.fh), offset: read.offset, size: read.size, direct }))
    }

    fn write(&mut self, payload: impl FnOnce(Range<usize>) -> Bytes) -> Result<Operation, Errno> {
        let write: abi::WriteIn = self.fields.take()?;
        in_file(write.offset, u64::from(write.size))?;
        let len = self.fields.bytes(write.size as usize)?.len();
        if self.fields.bytes(1).is_ok() {
            return Err(Errno::EINVAL);
        }
        Ok(Operation::Write(Write {
            handle: HandleId(write.fh),
            offset: write.offset,
            data: payload(self.message_len - len..self.message_len),
            kill_privileges: write.fuse_flags & abi::WRITE_KILL_PRIV != 0,
            // Pieces of a direct write come at once, each to its place.
            append: write.flags & (O_APPEND | O_DIRECT) == O_APPEND && write.fuse_flags & abi::WRITE_CACHE == 0,
        }))
    }

    fn fallocate(&mut self) -> Result<Operation, Errno> {
        let range: abi::FallocateIn = self.fields.take()?;
        if range.length == 0 {
            return Err(Errno::EINVAL);
        }
        in_file(range.offset, range.length)?;
        let keep_size = range.mode & FALLOC_FL_KEEP_SIZE != 0;
        let mode = match range.mode & !FALLOC_FL_KEEP_SIZE {
            0 => FallocateMode::Reserve { keep_size },
            FALLOC_FL_PUNCH_HOLE if keep_size => FallocateMode::Punch,
            FALLOC_FL_ZERO_RANGE => FallocateMode::Zero { keep_size },
            _ => return Err(Errno::EOPNOTSUPP),
        };
        let handle = HandleId(range.fh);
        Ok(Operation::Fallocate(Fallocate { handle, offset: range.offset, length: range.length, mode }))
    }

    fn lock(&mut self, opcode: u32) -> Result<Operation, Errno> {
        let asked: abi::LkIn = self.fields.take()?;
        let abi::FileLock { start, end, type_, pid } = asked.lk;
        let span = LockSpan { start, end, exclusive: type_ == WRITE_LOCK, pid };
        if !span.is_valid() {
            return Err(Errno::EINVAL);
        }
        let kind = if asked.lk_flags & abi::LK_FLOCK != 0 { LockKind::Whole } else { LockKind::Range };
        let (handle, owner) = (HandleId(asked.fh), LockOwner(asked.owner));
        let lock = Lock { handle, kind, owner, span, wait: opcode == SETLKW };
        match (opcode, type_) {
            (GETLK, READ_LOCK | WRITE_LOCK) => Ok(Operation::TestLock(lock)),
            (SETLK | SETLKW, READ_LOCK | WRITE_LOCK) => Ok(Operation::Lock(lock)),
            (SETLK | SETLKW, UNLOCKED) => Ok(Operation::Unlock(lock)),
            _ => Err(Errno::EINVAL),
        }
    }

    fn released(&mut self) -> Result<HandleId, Errno> {
        Ok(HandleId(self.fields.take::<abi::ReleaseIn>()?.fh))
    }

    fn read_dir(&mut self, plus: bool) -> Result<Operation, Errno> {
        let read: abi::ReadIn = self.fields.take()?;
        let handle = HandleId(read.fh);
        Ok(Operation::ReadDir(ReadDir { handle, offset: read.offset, size: read.size, plus }))
    }

    fn xattr(&mut self, opcode: u32) -> Result<Operation, Errno> {
        Ok(match opcode {
            SETXATTR => {
                let set: abi::SetxattrIn = self.fields.take()?;
                let name = xattr_name(self.fields.string()?)?;
                let value = self.fields.bytes(set.size as usize)?;
                if value.len() > XATTR_VALUE_MAX {
                    return Err(Errno::E2BIG);
                }
                let value = Bytes::copy_from_slice(value);
                Operation::SetXattr(SetXattr { name, value, mode: xattr_mode(set.flags)? })
            }
            GETXATTR => {
                let get: abi::GetxattrIn = self.fields.take()?;
                Operation::GetXattr { name: xattr_name(self.fields.string()?)?, size_max: get.size }
            }
            LISTXATTR => Operation::ListXattr { size_max: self.fields.take::<abi::GetxattrIn>()?.size },
            _ => Operation::RemoveXattr { name: xattr_name(self.fields.string()?)? },
        })
    }
}

const O_ACCMODE: u32 = 0o3;
const O_WRONLY: u32 = 0o1;
const O_RDWR: u32 = 0o2;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_APPEND: u32 = 0o2000;
/// Differs between architectures.
const O_DIRECT: u32 = rustix::fs::OFlags::DIRECT.bits();
/// The kernel's own mark of an open for execve(2).
const FMODE_EXEC: u32 = 0x20;
/// `F_RDLCK`, `F_WRLCK`, `F_UNLCK`.
pub(super) const READ_LOCK: u32 = 0;
pub(super) const WRITE_LOCK: u32 = 1;
pub(super) const UNLOCKED: u32 = 2;
const FALLOC_FL_KEEP_SIZE: u32 = 0x1;
const FALLOC_FL_PUNCH_HOLE: u32 = 0x2;
const FALLOC_FL_ZERO_RANGE: u32 = 0x10;

fn open_how(flags: u32, fuse_flags: u32) -> Open {
    let mode = flags & O_ACCMODE;
    Open {
        read: mode == 0 || mode == O_RDWR,
        write: mode == O_WRONLY || mode == O_RDWR,
        execute: flags & FMODE_EXEC != 0,
        truncate: flags & O_TRUNC != 0,
        kill_privileges: fuse_flags & abi::FOPEN_IN_KILL_SUIDGID != 0,
    }
}

/// What access(2) asks for, by its bits.
fn access_of(mask: u32) -> Access {
    Access { read: mask & 4 != 0, write: mask & 2 != 0, execute: mask & 1 != 0 }
}

fn rename_mode(flags: u32) -> Result<RenameMode, Errno> {
    match flags {
        0 => Ok(RenameMode::Replace),
        1 => Ok(RenameMode::NoReplace),
        2 => Ok(RenameMode::Exchange),
        _ => Err(Errno::EINVAL),
    }
}

fn xattr_mode(flags: u32) -> Result<XattrMode, Errno> {
    match flags {
        0 => Ok(XattrMode::Any),
        1 => Ok(XattrMode::Create),
        2 => Ok(XattrMode::Replace),
        _ => Err(Errno::EINVAL),
    }
}

fn perm(mode: u32) -> u16 {
    (mode & 0o7777) as u16
}

fn target(bytes: &[u8]) -> Result<Bytes, Errno> {
    match bytes.len() {
        0 => Err(Errno::ENOENT),
        1..=SYMLINK_MAX => Ok(Bytes::copy_from_slice(bytes)),
        _ => Err(Errno::ENAMETOOLONG),
    }
}

fn xattr_name(bytes: &[u8]) -> Result<Bytes, Errno> {
    match bytes.len() {
        1..=XATTR_NAME_MAX => Ok(Bytes::copy_from_slice(bytes)),
        _ => Err(Errno::ERANGE),
    }
}

/// Refuses a range that ends behind the longest file.
fn in_file(offset: u64, len: u64) -> Result<(), Errno> {
    match offset.checked_add(len) {
        Some(end) if end <= FILE_SIZE_MAX => Ok(()),
        _ => Err(Errno::EFBIG),
    }
}

#[cfg(test)]
mod tests;
