//! INIT: what this side and the kernel agree on before the first request.

use fuse_backend_rs::abi::fuse_abi::{self as abi, FsOptions, Opcode};
use proto::Errno;

use super::buffers::WRITE_MAX;
use super::device::{Device, Received};
use super::point::MountPoint;
use super::uring::Transport;
use crate::MountError;
use crate::adapter::{Encoded, Fields, bytes_of};

/// Pages of a request: [`WRITE_MAX`] bytes.
const PAGES_MAX: u16 = (WRITE_MAX as u32 / PAGE) as u16;
/// Pages of a request where no other number is agreed.
const PAGES_USUAL: u16 = 32;
const PAGE: u32 = 4096;
/// Background requests (read-ahead, direct I/O) the kernel may have waiting, and when it calls itself congested.
const BACKGROUND_MAX: u16 = 256;
const CONGESTED: u16 = 192;
/// Oldest kernel interface that serves: Linux 5.4.
const MINOR_MIN: u32 = 31;
/// Newest minor version whose messages this adapter knows: the one that extended INIT.
const MINOR: u32 = 36;

/// Flag of INIT: requests come over io_uring. Newer than the interface's Rust copy.
const OVER_IO_URING: u64 = 1 << 41;
/// Flag of INIT: the kernel reads and writes some files itself, in files that the server names (Linux 6.9).
const PASSTHROUGH: u64 = 1 << 37;
/// File systems that may lie above one another below such a file: its own and this one.
const STACK_DEPTH_MAX: u32 = 1;

/// What a mount may ask for or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wishes {
    /// How requests shall come.
    pub(crate) transport: Transport,
    /// The kernel leaves the mode of new files alone: the mount has a umask of its own.
    pub(crate) own_umask: bool,
    /// Requests may be larger than the 32 pages that every kernel sends.
    pub(crate) max_pages: bool,
    /// The kernel may be told to read and write files by itself.
    pub(crate) passthrough: bool,
    /// Locks are asked for here, instead of the kernel keeping them to itself.
    pub(crate) locks: bool,
}

/// What is asked of the kernel, where it has it.
///
/// Left out on purpose: the write-back cache (other mounts would not see writes at close), ACLs, zero-message opens (the
/// server counts opens) and splicing. A kernel that does not hand on locks keeps them to itself.
/// `AUTO_INVAL_DATA` drops cached pages when size or modification time change, so that no page outlives what it shows.
fn wanted(wishes: Wishes) -> FsOptions {
    let wish = |wished: bool, option: FsOptions| if wished { option } else { FsOptions::empty() };
    wish(wishes.own_umask, FsOptions::DONT_MASK)
        | wish(wishes.max_pages, FsOptions::MAX_PAGES)
        | wish(wishes.locks, FsOptions::POSIX_LOCKS | FsOptions::FLOCK_LOCKS)
        | FsOptions::ASYNC_READ
        | FsOptions::BIG_WRITES
        | FsOptions::ATOMIC_O_TRUNC
        | FsOptions::PARALLEL_DIROPS
        | FsOptions::DO_READDIRPLUS
        | FsOptions::READDIRPLUS_AUTO
        | FsOptions::ASYNC_DIO
        | FsOptions::HANDLE_KILLPRIV_V2
        | FsOptions::CACHE_SYMLINKS
        | FsOptions::AUTO_INVAL_DATA
        | FsOptions::INIT_EXT
}

/// What the kernel offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offer {
    unique: u64,
    major: u32,
    minor: u32,
    read_ahead_max: u32,
    options: FsOptions,
    uring: bool,
    passthrough: bool,
}

fn parse(message: &[u8]) -> Result<Offer, Errno> {
    let mut fields = Fields::new(message);
    let header: abi::InHeader = fields.take()?;
    if header.opcode != Opcode::Init as u32 {
        return Err(Errno::EPROTO);
    }
    let init: abi::InitIn = fields.take()?;
    let extended = u64::from(init.flags) & FsOptions::INIT_EXT.bits() != 0;
    let more = if extended { fields.take::<abi::InitIn2>()?.flags2 } else { 0 };
    let flags = u64::from(init.flags) | u64::from(more) << 32;
    let options = FsOptions::from_bits_truncate(flags);
    let (uring, passthrough) = (flags & OVER_IO_URING != 0, flags & PASSTHROUGH != 0);
    let (major, minor, read_ahead_max) = (init.major, init.minor, init.max_readahead);
    Ok(Offer { unique: header.unique, major, minor, read_ahead_max, options, uring, passthrough })
}

fn agree(offer: &Offer, wishes: Wishes) -> abi::InitOut {
    let over_io_uring = if wishes.transport == Transport::Uring && offer.uring { OVER_IO_URING } else { 0 };
    let is_passing = wishes.passthrough && offer.passthrough;
    let (passthrough, depth) = if is_passing { (PASSTHROUGH, STACK_DEPTH_MAX) } else { (0, 0) };
    let options = offer.options & wanted(wishes);
    // The kernel asks for the largest write it may send, and sends no larger one than its pages allow.
    let pages = if options.contains(FsOptions::MAX_PAGES) { PAGES_MAX } else { PAGES_USUAL };
    let options = options.bits() | over_io_uring | passthrough;
    abi::InitOut {
        major: abi::KERNEL_VERSION,
        minor: offer.minor.min(MINOR),
        max_readahead: offer.read_ahead_max.min(WRITE_MAX as u32),
        flags: options as u32,
        max_background: BACKGROUND_MAX,
        congestion_threshold: CONGESTED,
        max_write: u32::from(pages) * PAGE,
        time_gran: 1,
        max_pages: pages,
        flags2: (options >> 32) as u32,
        // `max_stack_depth`, which the interface's Rust copy does not name yet.
        unused: [depth, 0, 0, 0, 0, 0, 0],
        ..Default::default()
    }
}

/// Answers the kernel's INIT, which waits on a device just mounted. Returns the transport that was wished for, or what
/// the kernel has instead.
pub(crate) fn handshake(device: &Device, point: &MountPoint, wishes: Wishes) -> Result<Transport, MountError> {
    let failed = |reason: String| MountError::Kernel { path: point.path().to_owned(), reason };
    let mut buffer = vec![0; abi::FUSE_MIN_READ_BUFFER as usize];
    loop {
        let len = match device.receive(&mut buffer).map_err(|error| failed(error.to_string()))? {
            Received::Request(0) => continue,
            Received::Request(len) => len,
            other => return Err(failed(format!("no first request from the kernel: {other:?}"))),
        };
        let offer = parse(&buffer[..len]).map_err(|_| failed("its first request is no INIT".to_owned()))?;
        if offer.major < abi::KERNEL_VERSION || (offer.major == abi::KERNEL_VERSION && offer.minor < MINOR_MIN) {
            let (major, minor) = (offer.major, offer.minor);
            return Err(failed(format!("its FUSE interface is {major}.{minor}; 7.{MINOR_MIN} (Linux 5.4) is needed")));
        }
        let transport = if offer.uring { wishes.transport } else { Transport::Classic };
        let agreed = agree(&offer, wishes);
        device.reply(Encoded::of_bytes(offer.unique, bytes_of(&agreed))).map_err(|error| failed(error.to_string()))?;
        // A kernel of a later major version asks again in ours.
        if offer.major == abi::KERNEL_VERSION {
            tracing::debug!(minor = agreed.minor, flags = agreed.flags, "the kernel is agreed with");
            return Ok(transport);
        }
    }
}

#[cfg(test)]
mod tests;
