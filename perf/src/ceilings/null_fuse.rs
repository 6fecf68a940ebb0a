//! FUSE with nothing behind it: what kernel, transport and the coding of messages cost.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use fsd::{NullMount, Transport};

use crate::children::Daemon;
use crate::crew::Site;
use crate::mounts;
use crate::stop::{LastResort, Stop};

/// How often the server looks whether it is still mounted.
const LOOK: Duration = Duration::from_millis(100);
/// A mount appears within this time or not at all.
const START_MAX: Duration = Duration::from_secs(20);

/// The server, in a process of its own. Dropped, it unmounts.
#[derive(Debug)]
pub(crate) struct NullServer {
    daemon: Daemon,
    mount: PathBuf,
    _resort: LastResort,
}

impl NullServer {
    /// Starts one below `folder`.
    pub(crate) fn start(site: &Site, folder: &Path, name: &str, floor: Floor) -> Result<Self> {
        let folder = folder.join(name);
        let mount = folder.join("mnt");
        std::fs::create_dir_all(&mount).with_context(|| format!("folder {}", mount.display()))?;
        let transport = floor.transport.to_string();
        let mut words: Vec<&OsStr> =
            vec!["bench".as_ref(), "null".as_ref(), mount.as_ref(), "--transport".as_ref(), transport.as_ref()];
        if floor.passthrough {
            words.push("--passthrough".as_ref());
        }
        let resort = LastResort::new({
            let mount = mount.clone();
            move || mounts::take_away(&mount)
        });
        let daemon =
            Daemon::start(&site.executable, &site.executable, "the null FUSE server", &words, &folder.join("log"))?;
        let mut server = Self { daemon, mount, _resort: resort };
        let mount = server.mount.clone();
        server.daemon.wait_until(&site.stop, START_MAX, || mounts::is_mounted(&mount))?;
        Ok(server)
    }

    pub(crate) fn mount(&self) -> &Path {
        &self.mount
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        // Its threads end with the mount, and the process with them.
        mounts::take_away(&self.mount);
    }
}

/// How a null server serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Floor {
    /// How requests travel.
    pub(crate) transport: Transport,
    /// Whether the kernel reads and writes files by itself.
    pub(crate) passthrough: bool,
}

/// `flexfs bench null`, for a run or for other tools: mounts on `mount_point` and serves until it is unmounted or a signal arrives.
///
/// # Errors
/// The transport is not known, or the mount cannot be made.
pub fn null(mount_point: &Path, transport: &str, passthrough: bool) -> Result<()> {
    let available = Transport::available();
    let chosen = available.iter().find(|known| transport == "auto" || known.to_string() == transport);
    let Some(&transport) = chosen else {
        let known: Vec<String> = available.iter().map(Transport::to_string).collect();
        bail!("transport {transport:?}: this machine has {}", known.join(", "));
    };
    let stop = Stop::catch()?;
    let mount = NullMount::start(mount_point, transport, passthrough)?;
    let mount_point = mount_point.canonicalize()?;
    // The end of a parent with several threads may be signalled several times.
    let _resort = LastResort::new({
        let mount_point = mount_point.clone();
        move || mounts::take_away(&mount_point)
    });
    while mounts::is_mounted(&mount_point) && !stop.is_set() {
        std::thread::sleep(LOOK);
    }
    Ok(mount.unmount()?)
}
