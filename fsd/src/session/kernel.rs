//! The mount itself: made and undone by system call as root, through fusermount3 as anybody else.

use std::ffi::CString;
use std::sync::Mutex;

use auth::MountFlags;
use fuse_backend_rs::transport::{Error as FuseError, FuseSession};
use rustix::io::Errno as OsError;
use rustix::mount::{MountFlags as KernelFlags, UnmountFlags, mount, unmount};

use super::buffers::WRITE_MAX;
use super::device::Device;
use super::point::{MountPoint, raise_read_ahead};
use crate::MountError;

/// A mount that the kernel shows.
pub(crate) struct KernelMount {
    point: MountPoint,
    /// Tells this mount from one that somebody made on the same directory later.
    device: Option<String>,
    /// Undoes what it mounted; absent where the system calls are ours.
    helper: Option<Mutex<FuseSession>>,
}

impl std::fmt::Debug for KernelMount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelMount").field("point", &self.point).finish_non_exhaustive()
    }
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
    /// Mounts on `point`, with restrictions `flags` in the kernel too. INIT is to be answered on the device next.
    pub(crate) fn new(point: MountPoint, volume: &str, flags: MountFlags) -> Result<(Self, Device), MountError> {
        if rustix::process::geteuid().is_root() {
            Self::by_system_call(point, volume, flags)
        } else {
            Self::by_helper(point, volume, flags)
        }
    }

    fn by_system_call(point: MountPoint, volume: &str, flags: MountFlags) -> Result<(Self, Device), MountError> {
        let failed = |reason: String| MountError::Kernel { path: point.path().to_owned(), reason };
        let device = Device::open().map_err(|error| {
            failed(format!(
                "/dev/fuse: {error}; the kernel needs FUSE (`modprobe fuse`), a container access to the device"
            ))
        })?;
        let options = format!(
            "fd={},rootmode=40000,user_id={},group_id={},allow_other,default_permissions,max_read={WRITE_MAX}",
            device.number(),
            rustix::process::getuid().as_raw(),
            rustix::process::getgid().as_raw(),
        );
        let options = CString::new(options).expect("made of numbers and words");
        mount(volume, point.path(), FILE_SYSTEM, kernel_flags(flags), options.as_c_str())
            .map_err(|error| failed(error.to_string()))?;
        Ok((Self::mounted(point, None), device))
    }

    /// Without root, fusermount3 decides most flags itself (nosuid, nodev, noatime); the rest the operations enforce.
    fn by_helper(point: MountPoint, volume: &str, flags: MountFlags) -> Result<(Self, Device), MountError> {
        let failed = |error: FuseError| {
            let reason = match error {
                FuseError::IoError(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    "mounting as a user other than root needs fusermount3: install fuse3, or mount as root".to_owned()
                }
                error => error.to_string(),
            };
            MountError::Kernel { path: point.path().to_owned(), reason }
        };
        let mut session = FuseSession::new(point.path(), volume, SUBTYPE, flags.ro).map_err(failed)?;
        session.set_allow_other(false);
        session.mount().map_err(failed)?;
        let file = session.get_fuse_file().expect("a mounted session has its device").try_clone();
        let device = Device::from_file(file.map_err(|error| failed(FuseError::IoError(error)))?.into());
        Ok((Self::mounted(point, Some(Mutex::new(session))), device))
    }

    fn mounted(point: MountPoint, helper: Option<Mutex<FuseSession>>) -> Self {
        let device = point.mounted_device();
        if let Some(device) = &device {
            raise_read_ahead(device);
        }
        Self { point, device, helper }
    }

    /// Where it is mounted.
    pub(crate) fn point(&self) -> &MountPoint {
        &self.point
    }

    /// Takes the mount away; one that is in use leaves its place at once and ends with its last user.
    /// Blocks while the kernel writes back, so a serving thread must not do it.
    pub(crate) fn unmount(&self) -> Result<Unmounted, MountError> {
        let path = self.point.path();
        let failed = |reason: String| MountError::Kernel { path: path.to_owned(), reason };
        if let Some(session) = &self.helper {
            let mut session = session.lock().expect("no code under this lock panics");
            return session.umount().map(|()| Unmounted::Detached).map_err(|error| failed(error.to_string()));
        }
        if !self.is_mounted() {
            return Ok(Unmounted::Clean);
        }
        match unmount(path, UnmountFlags::empty()) {
            Ok(()) => Ok(Unmounted::Clean),
            Err(OsError::BUSY) => {
                tracing::warn!(path = %path.display(), "the mount is in use: programs that hold its files will see errors");
                self.detach()
            }
            Err(error) => Err(failed(error.to_string())),
        }
    }

    /// Takes the mount out of its place without waiting for anybody.
    pub(crate) fn detach(&self) -> Result<Unmounted, MountError> {
        if self.helper.is_some() {
            return self.unmount();
        }
        let path = self.point.path();
        if self.is_mounted() {
            unmount(path, UnmountFlags::DETACH)
                .map_err(|error| MountError::Kernel { path: path.to_owned(), reason: error.to_string() })?;
        }
        Ok(Unmounted::Detached)
    }

    /// Whether what is mounted there is still this mount: anybody may have unmounted it, and mounted something else.
    fn is_mounted(&self) -> bool {
        self.device.is_some() && self.point.mounted_device() == self.device
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
