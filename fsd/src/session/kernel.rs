//! The mount itself: made and undone by system call as root, through fusermount3 as anybody else.

use std::ffi::CString;
use std::sync::Mutex;

use auth::MountFlags;
use rustix::io::Errno as OsError;
use rustix::mount::{MountFlags as KernelFlags, UnmountFlags, mount, mount_remount, unmount};

use super::buffers::WRITE_MAX;
use super::device::Device;
use super::helper::{self, Refusal};
use super::point::{MountPoint, raise_read_ahead};
use crate::MountError;
use crate::state::Permissions;

/// A mount that the kernel shows.
#[derive(Debug)]
pub(crate) struct KernelMount {
    point: MountPoint,
    /// Tells this mount from one that somebody made on the same directory later.
    device: Option<String>,
    /// Whether fusermount3 made it, and is to undo it.
    by_helper: bool,
    restricting: Mutex<()>,
}

/// How a mount went away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unmounted {
    /// Nobody used it: the kernel is done with it.
    Clean,
    /// It was in use: it has left its place, and programs may still hold files of it.
    Detached,
}

impl KernelMount {
    /// Mounts on `point`, with restrictions in the kernel too: `own` for good, `flags` until [`KernelMount::restrict`]
    /// says otherwise. INIT is to be answered on the device next.
    pub(crate) fn new(
        point: MountPoint,
        volume: &str,
        own: MountFlags,
        flags: MountFlags,
        permissions: Permissions,
    ) -> Result<(Self, Device), MountError> {
        // A file system that began read-only stays so: what may be lifted is left to the mount of it, and to the daemon.
        let flags = MountFlags { ro: own.ro, ..flags };
        if rustix::process::geteuid().is_root() {
            Self::by_system_call(point, volume, flags, permissions)
        } else {
            Self::by_helper(point, volume, flags, permissions)
        }
    }

    fn by_system_call(
        point: MountPoint,
        volume: &str,
        flags: MountFlags,
        permissions: Permissions,
    ) -> Result<(Self, Device), MountError> {
        let failed = |reason: String| MountError::Kernel { path: point.path().to_owned(), reason };
        let device = Device::open().map_err(|error| {
            failed(format!(
                "/dev/fuse: {error}; the kernel needs FUSE (`modprobe fuse`), a container access to the device"
            ))
        })?;
        let options = format!(
            "fd={},rootmode=40000,user_id={},group_id={},allow_other,{}max_read={WRITE_MAX}",
            device.number(),
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
            option_of(permissions),
        );
        let options = CString::new(options).expect("made of numbers and words");
        mount(volume, point.path(), FILE_SYSTEM, kernel_flags(flags), options.as_c_str()).map_err(
            |error| match error {
                OsError::PERM => failed(format!("{error}; a container needs the capability SYS_ADMIN to mount")),
                error => failed(error.to_string()),
            },
        )?;
        Ok((Self::mounted(point, false), device))
    }

    fn by_helper(
        point: MountPoint,
        volume: &str,
        flags: MountFlags,
        permissions: Permissions,
    ) -> Result<(Self, Device), MountError> {
        let file = helper::mount(point.path(), volume, SUBTYPE, flags, permissions)
            .map_err(|reason| MountError::Kernel { path: point.path().to_owned(), reason })?;
        Ok((Self::mounted(point, true), Device::from_file(file)))
    }

    fn mounted(point: MountPoint, by_helper: bool) -> Self {
        let device = point.mounted_device();
        if let Some(device) = &device {
            raise_read_ahead(device);
        }
        Self { point, device, by_helper, restricting: Mutex::default() }
    }

    /// Lets the kernel's mount follow `flags`. Only root may; elsewhere, and while a file is open for writing, the daemon
    /// alone refuses changes. May block, so a serving thread must not do it.
    pub(crate) fn restrict(&self, flags: impl FnOnce() -> MountFlags) {
        // The flags are looked up in turn, so that the last of several callers applies the newest.
        let _turn = self.restricting.lock().expect("no code under this lock panics");
        if self.by_helper || !self.is_mounted() {
            return;
        }
        let flags = flags();
        let remount = |flags: MountFlags| {
            mount_remount(self.point.path(), KernelFlags::BIND | kernel_flags(flags) | access_times(flags), "")
        };
        let done = match remount(flags) {
            Err(OsError::BUSY) if flags.ro => remount(MountFlags { ro: false, ..flags }),
            done => done,
        };
        if let Err(error) = done {
            tracing::warn!(%error, %flags, "the kernel's mount keeps its restrictions; the daemon goes by the new ones");
        }
    }

    /// Where it is mounted.
    pub(crate) fn point(&self) -> &MountPoint {
        &self.point
    }

    /// Takes the mount away; one that is in use leaves its place at once and ends with its last user.
    /// Blocks while the kernel writes back, so a serving thread must not do it.
    pub(crate) fn unmount(&self) -> Result<Unmounted, MountError> {
        if !self.is_mounted() {
            return Ok(Unmounted::Clean);
        }
        match self.take_away(false) {
            Ok(()) => Ok(Unmounted::Clean),
            Err(Refusal::Busy) => {
                tracing::warn!(path = %self.point.path().display(), "the mount is in use: programs that hold its files will see errors");
                self.detach()
            }
            Err(refusal) => Err(self.failed(refusal)),
        }
    }

    /// Takes the mount out of its place without waiting for anybody.
    pub(crate) fn detach(&self) -> Result<Unmounted, MountError> {
        if self.is_mounted() {
            self.take_away(true).map_err(|refusal| self.failed(refusal))?;
        }
        Ok(Unmounted::Detached)
    }

    fn take_away(&self, lazily: bool) -> Result<(), Refusal> {
        if self.by_helper {
            return helper::unmount(self.point.path(), lazily);
        }
        let flags = if lazily { UnmountFlags::DETACH } else { UnmountFlags::empty() };
        unmount(self.point.path(), flags).map_err(|error| match error {
            OsError::BUSY => Refusal::Busy,
            error => Refusal::Other(error.to_string()),
        })
    }

    fn failed(&self, refusal: Refusal) -> MountError {
        let reason = match refusal {
            Refusal::Busy => "it is in use".to_owned(),
            Refusal::Other(reason) => reason,
        };
        MountError::Kernel { path: self.point.path().to_owned(), reason }
    }

    /// Whether what is mounted there is still this mount: anybody may have unmounted it, and mounted something else.
    fn is_mounted(&self) -> bool {
        self.device.is_some() && self.point.mounted_device() == self.device
    }
}

/// A remount without a word on access times would leave them as they are.
fn access_times(flags: MountFlags) -> KernelFlags {
    if flags.no_atime { KernelFlags::empty() } else { KernelFlags::RELATIME }
}

/// The option, with its comma, of a kernel that decides first.
pub(super) const fn option_of(permissions: Permissions) -> &'static str {
    match permissions {
        Permissions::KernelFirst => "default_permissions,",
        Permissions::ServerAlone => "",
    }
}

const SUBTYPE: &str = "flexfs";
const FILE_SYSTEM: &str = "fuse.flexfs";

fn kernel_flags(flags: MountFlags) -> KernelFlags {
    let flag = |set: bool, flag: KernelFlags| if set { flag } else { KernelFlags::empty() };
    KernelFlags::NODEV
        | flag(flags.ro, KernelFlags::RDONLY)
        | flag(flags.no_exec, KernelFlags::NOEXEC)
        | flag(flags.no_suid, KernelFlags::NOSUID)
        | flag(flags.no_atime, KernelFlags::NOATIME)
}

#[cfg(test)]
mod tests;
