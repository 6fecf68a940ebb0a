//! `flexfs up` as its own process, with a second mount beside it: a whole system of this run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::children::Daemon;
use crate::crew::Site;
use crate::mounts;
use crate::resources::Watched;
use crate::stop::LastResort;

/// Servers and mounts are there within this time or not at all.
const START_MAX: Duration = Duration::from_secs(30);

/// The system. Dropped, the mounts end, then the servers.
#[derive(Debug)]
pub(crate) struct Up {
    // The second mount ends first: its daemon says goodbye to the servers.
    other: Served,
    first: Served,
    site: Site,
    folder: PathBuf,
    flags: Vec<String>,
}

/// A mount with the process that serves it.
#[derive(Debug)]
struct Served {
    daemon: Daemon,
    mount: PathBuf,
    _resort: LastResort,
}

impl Up {
    /// Starts it with all its files below `folder`, and `flags` for `up`.
    pub(crate) fn start(site: &Site, folder: &Path, flags: &[String]) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("folder {}", folder.display()))?;
        let first = start_up(site, folder, flags)?;
        let creds = data(folder).join("creds/default");
        let other = Self::mount_in(site, folder, "other", &creds)?;
        Ok(Self { other, first, site: site.clone(), folder: folder.to_owned(), flags: flags.to_vec() })
    }

    /// Mounts the volume `default` once more, with the token in `creds`; the mount's files are called `name`.
    fn mount_in(site: &Site, folder: &Path, name: &str, creds: &Path) -> Result<Served> {
        let mount = folder.join(format!("{name}-mnt"));
        let words: Vec<OsString> = vec![
            "mount".into(),
            "start".into(),
            "default".into(),
            mount.clone().into(),
            "--credsFile".into(),
            creds.into(),
            "--foreground".into(),
        ];
        Served::start(site, &format!("mount {name}"), &words, mount, &folder.join(format!("{name}-log")))
    }

    /// The mount points.
    pub(crate) fn mounts(&self) -> Vec<PathBuf> {
        vec![self.first.mount.clone(), self.other.mount.clone()]
    }

    /// The processes.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        let watched = |name: &str, served: &Served| Watched { name: name.to_owned(), pid: served.daemon.pid() };
        vec![watched("up", &self.first), watched("mount", &self.other)]
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        data(&self.folder)
    }
}

impl Served {
    fn start(site: &Site, name: &str, words: &[OsString], mount: PathBuf, log: &Path) -> Result<Self> {
        std::fs::create_dir_all(&mount).with_context(|| format!("folder {}", mount.display()))?;
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        let resort = LastResort::new({
            let mount = mount.clone();
            move || mounts::take_away(&mount)
        });
        let daemon = Daemon::start(&site.executable, name, &words, log)?;
        let mut served = Self { daemon, mount, _resort: resort };
        let mount = served.mount.clone();
        served.daemon.wait_until(&site.stop, START_MAX, || mounts::is_mounted(&mount))?;
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.daemon.end();
        // Where it was killed, the mount is still there.
        mounts::take_away(&self.mount);
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

fn start_up(site: &Site, folder: &Path, flags: &[String]) -> Result<Served> {
    let mount = folder.join("mnt");
    let mut words: Vec<OsString> = vec!["up".into(), mount.clone().into(), "--dataFolder".into(), data(folder).into()];
    words.extend(flags.iter().map(OsString::from));
    Served::start(site, "flexfs up", &words, mount, &folder.join("log"))
}
