//! `Operation`: what the kernel asks for, in this project's terms.

use bytes::Bytes;
use proto::{Access, AttrChanges, InodeId, LockKind, LockOwner, LockSpan, Name, RenameMode, XattrMode};

use crate::state::HandleId;

/// A request of the kernel, apart from the file it is about and who asks.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "fields are named after the argument of the system call")]
pub(crate) enum Operation {
    Lookup {
        name: Name,
    },
    /// The kernel dropped references; nothing here counts them.
    Forget,
    GetAttr,
    /// access(2), and chdir(2), where the server decides alone.
    Access(Access),
    SetAttr(SetAttr),
    ReadLink,
    Symlink {
        name: Name,
        target: Bytes,
    },
    MakeNode {
        name: Name,
        mode: u32,
        rdev: u32,
    },
    MakeDir {
        name: Name,
        perm: u16,
    },
    Unlink {
        name: Name,
    },
    RemoveDir {
        name: Name,
    },
    Rename(Rename),
    /// A new name, in the directory the request is about, for `ino`.
    Link {
        ino: InodeId,
        name: Name,
    },
    Open(Open),
    Create(Create),
    Read(Read),
    Write(Write),
    StatFs,
    Release {
        handle: HandleId,
    },
    Fsync {
        handle: HandleId,
    },
    /// A process, `owner` of locks of ranges, closed a descriptor.
    Flush {
        handle: HandleId,
        owner: LockOwner,
    },
    SetXattr(SetXattr),
    /// `size_max` 0 asks for the length only.
    GetXattr {
        name: Bytes,
        size_max: u32,
    },
    ListXattr {
        size_max: u32,
    },
    RemoveXattr {
        name: Bytes,
    },
    OpenDir,
    ReadDir(ReadDir),
    ReleaseDir {
        handle: HandleId,
    },
    FsyncDir,
    Fallocate(Fallocate),
    Lock(Lock),
    /// Gives up what the owner of `lock` holds of its range.
    Unlock(Lock),
    /// What stands against a lock.
    TestLock(Lock),
    /// A signal reached the process that waits for this request.
    Interrupt {
        unique: u64,
    },
    SyncFs,
    Destroy,
    /// Something the kernel does itself when told `ENOSYS`.
    Unsupported,
}

/// chmod, chown, truncate, utimensat.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetAttr {
    pub(crate) changes: AttrChanges,
    /// Through this open file.
    pub(crate) handle: Option<HandleId>,
}

/// Moves a name out of the directory the request is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rename {
    pub(crate) name: Name,
    pub(crate) new_parent: InodeId,
    pub(crate) new_name: Name,
    pub(crate) mode: RenameMode,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Open {
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// To be executed.
    pub(crate) execute: bool,
    pub(crate) truncate: bool,
    /// Drop set-id bits: the file is emptied by somebody without the right to keep them.
    pub(crate) kill_privileges: bool,
}

/// open(2) with `O_CREAT`, where the kernel knows no file of that name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Create {
    pub(crate) name: Name,
    pub(crate) perm: u16,
    pub(crate) exclusive: bool,
    pub(crate) open: Open,
}

/// A range to read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Read {
    pub(crate) handle: HandleId,
    pub(crate) offset: u64,
    pub(crate) size: u32,
    /// Past the kernel's pages (`O_DIRECT`).
    pub(crate) direct: bool,
}

/// Bytes to write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Write {
    pub(crate) handle: HandleId,
    pub(crate) offset: u64,
    pub(crate) data: Bytes,
    /// Drop set-id bits: the writer has no right to keep them.
    pub(crate) kill_privileges: bool,
    /// At the end of the file (`O_APPEND`): `offset` is where the kernel thinks that it is.
    pub(crate) append: bool,
}

/// setxattr(2).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SetXattr {
    pub(crate) name: Bytes,
    pub(crate) value: Bytes,
    pub(crate) mode: XattrMode,
}

/// A piece of a listing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ReadDir {
    pub(crate) handle: HandleId,
    /// Behind which entry to go on; 0 = from the start.
    pub(crate) offset: u64,
    /// Bytes that the kernel takes.
    pub(crate) size: u32,
    /// With attributes, so that the kernel need not look each name up.
    pub(crate) plus: bool,
}

/// fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fallocate {
    pub(crate) handle: HandleId,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) mode: FallocateMode,
}

/// What becomes of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FallocateMode {
    /// The file is at least as long as the range; `keep_size` leaves even that out.
    Reserve { keep_size: bool },
    /// A hole.
    Punch,
    /// Zeroes; the file may become longer.
    Zero { keep_size: bool },
}

/// fcntl(2) with a lock, flock(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(crate) handle: HandleId,
    pub(crate) kind: LockKind,
    pub(crate) owner: LockOwner,
    pub(crate) span: LockSpan,
    /// Until others let go, else the answer is `EAGAIN`.
    pub(crate) wait: bool,
}

impl Operation {
    /// Whether it may be given up half way: nothing is changed by asking. What commits data is not: a commit that nobody
    /// waits for could reach the server behind a later one.
    pub(crate) const fn is_droppable(&self) -> bool {
        matches!(
            self,
            Self::Lookup { .. }
                | Self::GetAttr
                | Self::Access(_)
                | Self::ReadLink
                | Self::Read(_)
                | Self::StatFs
                | Self::GetXattr { .. }
                | Self::ListXattr { .. }
                | Self::OpenDir
                | Self::ReadDir(_)
                | Self::FsyncDir
                | Self::TestLock(_)
        )
    }

    /// Whether it may wait for other programs: an interruption ends it at once.
    pub(crate) const fn waits_for_others(&self) -> bool {
        matches!(self, Self::Lock(Lock { wait: true, .. }))
    }

    /// The same by somebody who has no right to keep set-id bits of a file that is changed.
    pub(crate) fn by_nobody_special(mut self) -> Self {
        match &mut self {
            Self::Write(write) => write.kill_privileges = true,
            Self::Open(open) | Self::Create(Create { open, .. }) => open.kill_privileges = true,
            Self::SetAttr(set) => set.changes.kill_privileges |= set.changes.size.is_some(),
            _ => {}
        }
        self
    }

    proto::named_variants! {
        pub(crate), "operations":
        Self::Lookup { .. } => "lookup",
        Self::Forget => "forget",
        Self::GetAttr => "getattr",
        Self::Access(_) => "access",
        Self::SetAttr(_) => "setattr",
        Self::ReadLink => "readlink",
        Self::Symlink { .. } => "symlink",
        Self::MakeNode { .. } => "mknod",
        Self::MakeDir { .. } => "mkdir",
        Self::Unlink { .. } => "unlink",
        Self::RemoveDir { .. } => "rmdir",
        Self::Rename(_) => "rename",
        Self::Link { .. } => "link",
        Self::Open(_) => "open",
        Self::Create(_) => "create",
        Self::Read(_) => "read",
        Self::Write(_) => "write",
        Self::StatFs => "statfs",
        Self::Release { .. } => "release",
        Self::Fsync { .. } => "fsync",
        Self::Flush { .. } => "flush",
        Self::SetXattr(_) => "setxattr",
        Self::GetXattr { .. } => "getxattr",
        Self::ListXattr { .. } => "listxattr",
        Self::RemoveXattr { .. } => "removexattr",
        Self::OpenDir => "opendir",
        Self::ReadDir(_) => "readdir",
        Self::ReleaseDir { .. } => "releasedir",
        Self::FsyncDir => "fsyncdir",
        Self::Fallocate(_) => "fallocate",
        Self::Lock(Lock { wait: false, .. }) => "setlk",
        Self::Lock(Lock { wait: true, .. }) => "setlkw",
        Self::Unlock(_) => "unlock",
        Self::TestLock(_) => "getlk",
        Self::Interrupt { .. } => "interrupt",
        Self::SyncFs => "syncfs",
        Self::Destroy => "destroy",
        Self::Unsupported => "unsupported",
    }
}
