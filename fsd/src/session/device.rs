//! The FUSE device: requests come in by read(2), replies and notices go out by writev(2).

use std::io::{self, IoSlice};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as OsError;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, Setter, ioctl, opcode};

use crate::adapter::Encoded;

/// A descriptor of the device.
#[derive(Debug)]
pub(crate) struct Device {
    file: OwnedFd,
}

/// What reading the device came to.
#[derive(Debug)]
pub(crate) enum Received {
    /// A request of so many bytes.
    Request(usize),
    /// Nothing for now.
    Nothing,
    /// The file system is unmounted.
    Unmounted,
}

impl Device {
    /// Opens the device, not attached to a mount yet.
    pub(crate) fn open() -> io::Result<Self> {
        let file = rustix::fs::open(PATH, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { file })
    }

    /// A descriptor that was opened and attached by somebody else.
    pub(super) fn from_file(file: OwnedFd) -> Self {
        Self { file }
    }

    /// Number of the descriptor, for the mount call.
    pub(super) fn number(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// Another descriptor of the same mount, with requests in work of its own.
    pub(crate) fn clone_attached(&self) -> io::Result<Self> {
        const CLONE: Opcode = opcode::read::<u32>(b'\xe5', 0);
        let clone = Self::open()?;
        // SAFETY: FUSE_DEV_IOC_CLONE reads one u32, the number of an open descriptor, through the pointer it is given.
        unsafe { ioctl(&clone.file, Setter::<CLONE, u32>::new(self.file.as_raw_fd() as u32))? };
        Ok(clone)
    }

    /// The same descriptor for another thread, to tell the kernel something.
    pub(super) fn share(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()? })
    }

    /// Gives the kernel a file to read and write by itself, and tells the number that an open's answer names it by.
    pub(crate) fn open_backing(&self, file: BorrowedFd<'_>) -> io::Result<NonZeroU32> {
        let mut backing = Backing { file: file.as_raw_fd(), flags: 0, padding: 0 };
        // SAFETY: FUSE_DEV_IOC_BACKING_OPEN reads a `struct fuse_backing_map` through the pointer it is given; the
        // descriptor in it is open, and the kernel takes a reference of its own.
        let number = unsafe { ioctl(&self.file, BackingOpen(&mut backing))? };
        NonZeroU32::new(number).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Takes a file back. Opens that name it go on.
    pub(crate) fn close_backing(&self, number: NonZeroU32) -> io::Result<()> {
        const CLOSE: Opcode = opcode::write::<u32>(b'\xe5', 2);
        // SAFETY: FUSE_DEV_IOC_BACKING_CLOSE reads one u32 through the pointer it is given.
        unsafe { ioctl(&self.file, Setter::<CLOSE, u32>::new(number.get()))? };
        Ok(())
    }

    /// Makes reads return at once where there is nothing.
    pub(super) fn set_nonblocking(&self) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&self.file)?;
        Ok(rustix::fs::fcntl_setfl(&self.file, flags | OFlags::NONBLOCK)?)
    }

    /// Reads one request. `buffer` holds the largest there is.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        match rustix::io::read(&self.file, buffer) {
            Ok(len) => Ok(Received::Request(len)),
            // A request that was aborted between being queued and being read.
            Err(OsError::NOENT | OsError::INTR) => Ok(Received::Request(0)),
            Err(OsError::AGAIN) => Ok(Received::Nothing),
            Err(OsError::NODEV | OsError::CONNABORTED) => Ok(Received::Unmounted),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a reply. False where the kernel does not wait for it any more.
    pub(crate) fn reply(&self, encoded: Encoded) -> io::Result<bool> {
        let Encoded { head, mut data } = encoded;
        if data.len() >= SLICES_MAX {
            data = vec![Bytes::from(data.concat())];
        }
        let mut slices = Vec::with_capacity(1 + data.len());
        slices.push(IoSlice::new(&head));
        slices.extend(data.iter().map(|bytes| IoSlice::new(bytes)));
        match rustix::io::writev(&self.file, &slices) {
            Ok(_) => Ok(true),
            Err(OsError::NOENT | OsError::NODEV) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells the kernel something unasked.
    pub(super) fn notify(&self, notice: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.file, notice)?;
        Ok(())
    }
}

impl AsFd for Device {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl AsRawFd for Device {
    fn as_raw_fd(&self) -> i32 {
        self.number()
    }
}

/// `struct fuse_backing_map` of linux/fuse.h.
#[repr(C)]
#[derive(Debug)]
struct Backing {
    file: i32,
    flags: u32,
    padding: u64,
}

/// The call that takes a [`Backing`] and returns its number.
struct BackingOpen<'a>(&'a mut Backing);

// SAFETY: the opcode is that of a call which reads the structure pointed to and whose result is a number; the pointer
// is valid as long as the borrow, which outlives the call.
unsafe impl Ioctl for BackingOpen<'_> {
    type Output = u32;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        opcode::write::<Backing>(b'\xe5', 1)
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        std::ptr::from_mut(self.0).cast()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut std::ffi::c_void) -> rustix::io::Result<u32> {
        Ok(out as u32)
    }
}

const PATH: &str = "/dev/fuse";
/// Slices that one writev(2) takes.
const SLICES_MAX: usize = 1024;
