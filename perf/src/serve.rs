//! `flexfs bench null`: the null FUSE server, for a run or for other tools.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use fsd::{NullMount, Transport};

use crate::mounts;
use crate::stop::Stop;

/// How often it looks whether it is still mounted.
const LOOK: Duration = Duration::from_millis(100);

/// Mounts on `mount_point` and serves until it is unmounted or a signal arrives.
///
/// # Errors
/// The transport is not known, or the mount cannot be made.
pub fn null(mount_point: &Path, transport: &str) -> Result<()> {
    let Some(transport) = Transport::available().into_iter().find(|known| known.to_string() == transport) else {
        let known: Vec<String> = Transport::available().iter().map(Transport::to_string).collect();
        bail!("transport {transport:?}: this machine has {}", known.join(", "));
    };
    let stop = Stop::catch()?;
    let mount = NullMount::start(mount_point, transport)?;
    let mount_point = mount_point.canonicalize()?;
    while mounts::is_mounted(&mount_point) && !stop.is_set() {
        std::thread::sleep(LOOK);
    }
    Ok(mount.unmount()?)
}
