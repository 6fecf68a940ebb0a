//! A null FUSE server in a process of its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::children::Daemon;
use crate::crew::Site;
use crate::mounts;
use crate::stop::LastResort;

/// A mount appears within this time or not at all.
const START_MAX: Duration = Duration::from_secs(20);

/// The server. Dropped, it unmounts.
#[derive(Debug)]
pub(super) struct NullServer {
    daemon: Daemon,
    mount: PathBuf,
    _resort: LastResort,
}

impl NullServer {
    /// Starts one below `folder`.
    pub(super) fn start(site: &Site, folder: &Path, transport: fsd::Transport) -> Result<Self> {
        let folder = folder.join(format!("null-{transport}"));
        let mount = folder.join("mnt");
        std::fs::create_dir_all(&mount).with_context(|| format!("folder {}", mount.display()))?;
        let name = transport.to_string();
        let words: Vec<&OsStr> =
            vec!["bench".as_ref(), "null".as_ref(), mount.as_ref(), "--transport".as_ref(), name.as_ref()];
        let resort = LastResort::new({
            let mount = mount.clone();
            move || mounts::take_away(&mount)
        });
        let daemon = Daemon::start(&site.executable, "the null FUSE server", &words, &folder.join("log"))?;
        let mut server = Self { daemon, mount, _resort: resort };
        let mount = server.mount.clone();
        server.daemon.wait_until(&site.stop, START_MAX, || mounts::is_mounted(&mount))?;
        Ok(server)
    }

    pub(super) fn mount(&self) -> &Path {
        &self.mount
    }

    pub(super) fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        // Its threads end with the mount, and the process with them.
        mounts::take_away(&self.mount);
    }
}
