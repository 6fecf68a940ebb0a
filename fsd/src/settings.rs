//! What a mount is started with.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::{MountFlags, VolumeToken};
use transport::tls::Pin;

use crate::mount::Runtime;
use crate::session::Transport;

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryMax {
    /// So many bytes.
    Bytes(u64),
    /// As many as so many blocks of the volume have.
    Blocks(u64),
}

impl MemoryMax {
    /// The amount in bytes, for a volume with blocks of `block_size` bytes.
    #[must_use]
    pub fn bytes(self, block_size: u32) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Blocks(blocks) => blocks.saturating_mul(block_size.into()),
        }
    }
}

/// Settings of one mount.
#[derive(Clone, Debug)]
pub struct MountSettings {
    /// The local directory that the volume appears at.
    pub mount_point: PathBuf,
    /// Name of the volume: the mount's source in `/proc/self/mounts`.
    pub volume_name: String,
    /// `host:port` of the metadata server.
    pub meta_addr: String,
    /// SHA-256 of the metadata server's certificate. Whoever made it may set another while the mount lives: connections made
    /// from then on expect that one.
    pub meta_pin: Arc<Pin>,
    /// Opens the volume, or a subtree of it.
    pub token: VolumeToken,
    /// Restrictions of the command line; those of volume and token are added.
    pub flags: MountFlags,
    /// User and group that the root directory is given to where it is still root's: for a volume made for one user.
    pub root_owner: Option<(u32, u32)>,
    /// How long the kernel may trust attributes: another mount's change shows after this time at the latest.
    pub attr_valid: Duration,
    /// How long the kernel may trust that a name stands for a file.
    pub entry_valid: Duration,
    /// Ceiling of buffered writes and cached data together.
    pub memory_max: MemoryMax,
    /// Ceiling of operations on the block store at once; `None` = as many as suit the store.
    pub bops_max: Option<NonZeroUsize>,
    /// Permission bits that new files never get, in place of the umask of the process that makes them; `None` = that one.
    pub umask: Option<u16>,
    /// Whether the kernel may send requests larger than 128 KiB.
    pub max_pages: bool,
    /// Whether a mount point that is not empty may be covered.
    pub non_empty: bool,
    /// Serving threads; `None` = one per CPU this process may run on.
    pub threads: Option<usize>,
    /// How requests shall come from the kernel; `None` = over rings where the kernel has them, else the classic way.
    pub transport: Option<Transport>,
    /// Whether operations are counted and timed, for [`crate::Mount::metrics`].
    pub metrics: bool,
    /// What runs the serving threads.
    pub runtime: Runtime,
}
