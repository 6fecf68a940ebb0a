//! `Backings`: files in memory that the kernel reads and writes by itself, one for each file of the null file system.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard};

use proto::{Attr, Errno, InodeId};
use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};

use crate::session::Device;

/// See the module's text. Their bytes are real: whoever measures bounds them.
#[derive(Debug)]
pub(super) struct Backings {
    device: Device,
    files: Mutex<HashMap<InodeId, Backing>>,
}

#[derive(Debug)]
struct Backing {
    file: OwnedFd,
    number: NonZeroU32,
}

impl Backings {
    /// None yet, for the mount of `device`.
    pub(super) fn new(device: Device) -> Self {
        Self { device, files: Mutex::default() }
    }

    /// The number of the file behind `ino`; made if it is not there yet.
    pub(super) fn number(&self, ino: InodeId) -> io::Result<NonZeroU32> {
        let mut files = self.files();
        if let Some(backing) = files.get(&ino) {
            return Ok(backing.number);
        }
        let file = memfd_create("flexfs-null", MemfdFlags::CLOEXEC)?;
        let number = self.device.open_backing(file.as_fd())?;
        files.insert(ino, Backing { file, number });
        Ok(number)
    }

    /// Sets the length of the file behind `ino`, if there is one.
    pub(super) fn set_len(&self, ino: InodeId, len: u64) -> Result<(), Errno> {
        let set = self.files().get(&ino).map(|backing| ftruncate(&backing.file, len));
        set.unwrap_or(Ok(())).map_err(|_| Errno::EFBIG)
    }

    /// `attr` with the length that the file behind it has.
    pub(super) fn measured(&self, attr: Attr) -> Attr {
        let size = self.files().get(&attr.ino).and_then(|backing| fstat(&backing.file).ok()).map(|stat| stat.st_size);
        Attr { size: size.map_or(attr.size, |size| size as u64), ..attr }
    }

    /// Gives up the file behind `ino`.
    pub(super) fn drop_of(&self, ino: InodeId) {
        let dropped = self.files().remove(&ino);
        if let Some(backing) = dropped
            && let Err(error) = self.device.close_backing(backing.number)
        {
            tracing::warn!(%error, "the kernel keeps a file of the null file system");
        }
    }

    fn files(&self) -> MutexGuard<'_, HashMap<InodeId, Backing>> {
        self.files.lock().expect("no code under this lock panics")
    }
}
