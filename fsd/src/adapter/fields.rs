//! Bytes to structures of the kernel's interface and back: the only unsafe code of the adapter.

use fuse_backend_rs::abi::fuse_abi as abi;
use proto::Errno;

/// A structure that is its bytes.
///
/// # Safety
///
/// Integers only, `repr(C)`, no padding: any bytes are a value and every byte of a value is initialised.
pub(crate) unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($name:ident),* $(,)?) => {
        $(
            // SAFETY: `repr(C)`, integers only, and the fields' sizes add up to the structure's (checked below).
            unsafe impl Plain for abi::$name {}
        )*
    };
}

plain!(
    InHeader,
    OutHeader,
    InitIn,
    InitIn2,
    InitOut,
    SetattrIn,
    MknodIn,
    MkdirIn,
    RenameIn,
    Rename2In,
    LinkIn,
    AccessIn,
    OpenIn,
    CreateIn,
    OpenOut,
    ReleaseIn,
    FlushIn,
    ReadIn,
    WriteIn,
    WriteOut,
    StatfsOut,
    FsyncIn,
    SetxattrIn,
    GetxattrIn,
    GetxattrOut,
    FallocateIn,
    InterruptIn,
    LkIn,
    LkOut,
    EntryOut,
    AttrOut,
    Dirent,
    Direntplus,
    NotifyInvalInodeOut,
);

/// The structures whose fields have different sizes, where padding could hide.
const _: () = {
    assert!(size_of::<abi::InHeader>() == 40);
    assert!(size_of::<abi::OutHeader>() == 16);
    assert!(size_of::<abi::InitOut>() == 64);
    assert!(size_of::<abi::EntryOut>() == 128);
    assert!(size_of::<abi::AttrOut>() == 104);
    assert!(size_of::<abi::StatfsOut>() == 80);
    assert!(size_of::<abi::SetattrIn>() == 88);
    assert!(size_of::<abi::ReadIn>() == 40);
    assert!(size_of::<abi::WriteIn>() == 40);
    assert!(size_of::<abi::FallocateIn>() == 32);
    assert!(size_of::<abi::Direntplus>() == 152);
    assert!(size_of::<abi::LkIn>() == 48);
    assert!(size_of::<abi::LkOut>() == 24);
};

/// The bytes of a structure, as the kernel reads them.
pub(crate) fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: a `Plain` value has no uninitialised byte, and the slice borrows it.
    unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast(), size_of::<T>()) }
}

/// Takes a message apart from front to back. What is missing is `EINVAL`, never a panic.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The next structure.
    pub(crate) fn take<T: Plain>(&mut self) -> Result<T, Errno> {
        let bytes = self.bytes(size_of::<T>())?;
        // SAFETY: `bytes` holds as many bytes as `T`, any bytes are a `Plain` value, and the read needs no alignment.
        Ok(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Errno> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Errno::EINVAL)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next string, without the NUL that must end it.
    pub(crate) fn string(&mut self) -> Result<&'a [u8], Errno> {
        let end = self.rest.iter().position(|byte| *byte == 0).ok_or(Errno::EINVAL)?;
        let string = self.bytes(end)?;
        self.bytes(1)?;
        Ok(string)
    }
}
