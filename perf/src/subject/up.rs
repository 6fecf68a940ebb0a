//! `flexfs up` as its own process, with a second mount beside it: a whole system of this run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::children::Daemon;
use crate::crew::Site;
use crate::mounts;
use crate::resources::Watched;
use crate::settings::Variant;
use crate::stop::LastResort;

/// Servers and mounts are there within this time or not at all.
const START_MAX: Duration = Duration::from_secs(30);

/// The system. Dropped, the second mount ends and then the servers.
#[derive(Debug)]
pub(crate) struct Up {
    // In this order: the second mount's daemon says goodbye to the servers.
    other: Served,
    /// Absent only between a crash and the next start.
    servers: Option<Served>,
    site: Site,
    folder: PathBuf,
    variant: Variant,
}

/// A mount with the process that serves it. Dropped, it is unmounted.
#[derive(Debug)]
pub(crate) struct Served {
    daemon: Daemon,
    mount: PathBuf,
    _resort: LastResort,
}

impl Up {
    /// Starts it as `variant` says, with all its files below `folder`.
    pub(crate) fn start(site: &Site, folder: &Path, variant: &Variant) -> Result<Self> {
        let servers = start_servers(site, folder, variant)?;
        let other = mount(site, variant, folder, "other", &data(folder).join("creds/default"))?;
        let (site, folder, variant) = (site.clone(), folder.to_owned(), variant.clone());
        Ok(Self { other, servers: Some(servers), site, folder, variant })
    }

    /// Mounts the volume `default` once more, with the token in `creds`, at `NAME-mnt` in `folder`.
    pub(crate) fn mount_beside(&self, folder: &Path, name: &str, creds: &Path) -> Result<Served> {
        mount(&self.site, &self.variant, folder, name, creds)
    }

    /// Kills the servers, and the mount in their process, as a crash would; starts them again and waits until that mount
    /// is back.
    pub(crate) fn crash_and_restart(&mut self) -> Result<()> {
        if let Some(mut servers) = self.servers.take() {
            servers.daemon.kill();
        }
        self.servers = Some(start_servers(&self.site, &self.folder, &self.variant)?);
        Ok(())
    }

    /// The mount points: the one of `up`, and the second one.
    pub(crate) fn mounts(&self) -> Vec<PathBuf> {
        let first = self.servers.iter().map(|servers| servers.mount.clone());
        first.chain([self.other.mount.clone()]).collect()
    }

    /// The mount in a process of its own.
    pub(crate) fn other_mount(&self) -> &Path {
        &self.other.mount
    }

    /// The processes.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        let watched = |name: &str, served: &Served| Watched { name: name.to_owned(), pid: served.daemon.pid() };
        let servers = self.servers.iter().map(|servers| watched("up", servers));
        servers.chain([watched("mount", &self.other)]).collect()
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        data(&self.folder)
    }

    /// How it was started.
    pub(crate) fn variant(&self) -> &Variant {
        &self.variant
    }
}

impl Served {
    fn start(
        site: &Site,
        variant: &Variant,
        name: &str,
        words: &[OsString],
        mount: PathBuf,
        log: &Path,
    ) -> Result<Self> {
        std::fs::create_dir_all(&mount).with_context(|| format!("folder {}", mount.display()))?;
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        let resort = LastResort::new({
            let mount = mount.clone();
            move || mounts::take_away(&mount)
        });
        let program = variant.program.as_ref().unwrap_or(&site.executable);
        let daemon = Daemon::start(&site.executable, program, name, &words, log)?;
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

fn start_servers(site: &Site, folder: &Path, variant: &Variant) -> Result<Served> {
    let mount = folder.join("mnt");
    let mut words: Vec<OsString> = vec!["up".into(), mount.clone().into(), "--dataFolder".into(), data(folder).into()];
    words.extend(variant.flags.iter().map(OsString::from));
    Served::start(site, variant, "flexfs up", &words, mount, &folder.join("log"))
}

fn mount(site: &Site, variant: &Variant, folder: &Path, name: &str, creds: &Path) -> Result<Served> {
    let mount = folder.join(format!("{name}-mnt"));
    let mut words: Vec<OsString> = ["mount", "start", "default"].map(OsString::from).into();
    words.extend([mount.clone().into(), "--credsFile".into(), creds.into(), "--foreground".into()]);
    words.extend(variant.flags.iter().map(OsString::from));
    Served::start(site, variant, &format!("mount {name}"), &words, mount, &folder.join(format!("{name}-log")))
}
