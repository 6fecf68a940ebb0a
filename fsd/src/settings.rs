//! What a mount is started with.

use std::path::PathBuf;
use std::time::Duration;

use auth::{MountFlags, VolumeToken};
use transport::tls::Fingerprint;

use crate::session::Transport;

/// Settings of one mount.
#[derive(Clone, Debug)]
pub struct MountSettings {
    /// The local directory that the volume appears at.
    pub mount_point: PathBuf,
    /// Name of the volume: the mount's source in `/proc/self/mounts`.
    pub volume_name: String,
    /// `host:port` of the metadata server.
    pub meta_addr: String,
    /// SHA-256 of the metadata server's certificate.
    pub meta_fingerprint: Fingerprint,
    /// Opens the volume, or a subtree of it.
    pub token: VolumeToken,
    /// Restrictions of the command line; those of volume and token are added.
    pub flags: MountFlags,
    /// How long the kernel may trust attributes: another mount's change shows after this time at the latest.
    pub attr_valid: Duration,
    /// How long the kernel may trust that a name stands for a file.
    pub entry_valid: Duration,
    /// Ceiling of buffered writes and cached data together, in bytes.
    pub memory_max: u64,
    /// Whether a mount point that is not empty may be covered.
    pub non_empty: bool,
    /// Serving threads; `None` = one per CPU this process may run on.
    pub threads: Option<usize>,
    /// How requests shall come from the kernel; `None` = over rings where the kernel has them, else the classic way.
    pub transport: Option<Transport>,
}
