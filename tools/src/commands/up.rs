//! `flexfs up`: the whole system on one machine, in one process.
//!
//! Every part is the real one and talks to the others as it does in production: over TLS and QUIC, with tokens. What is
//! made the first time lies in one folder and is found again by the next `up`.

mod folder;
mod provision;
mod servers;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use fsd::Mount;
use rustix::process::{getegid, geteuid};

use super::mount::{self, MountPoint, Tuning};
use crate::admin_client::{ServerProof, mount_target};
use crate::metrics::MetricsFlags;
use crate::output;
use crate::progress::Waiting;
use crate::runtime::{self, EndSignals};
use folder::UpFolder;
use provision::VOLUME;
use servers::Servers;

/// Flags of `up`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Directory to mount on; made if missing
    mount_point: PathBuf,
    /// Folder of all data and credentials [default: ~/.flexfs/up]
    #[arg(long = "dataFolder", value_name = "DIR")]
    data_folder: Option<PathBuf>,
    /// Taken for granted: `up` always stays in the foreground
    #[arg(short, long)]
    foreground: bool,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    metrics: MetricsFlags,
}

/// Runs until a signal, an unmount from outside, or the failure of a part.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let metrics = arguments.metrics.bind()?;
    let place = UpFolder::place(arguments.data_folder.as_deref())?;
    // A folder that is there is asked first, so that a second `up` is told of the first one; a new one is made only for
    // a mount point that can be used.
    let found = place.exists().then(|| UpFolder::open(&place)).transpose()?;
    let mount_point = claim(&arguments.mount_point)?;
    let folder = found.map_or_else(|| UpFolder::open(&place), Ok)?;
    make(mount_point.path())?;
    runtime::build()?.block_on(async {
        let mut signals = EndSignals::catch()?;
        let waiting = Waiting::show("starting the servers and the mount".to_owned());
        let mut servers = tokio::select! {
            servers = Servers::start(&folder) => servers?,
            signal = signals.next() => bail!("ended by {signal} while starting"),
        };
        let mounted = mount_unless(&mut signals, start_mount(&servers, mount_point.path(), arguments)).await;
        let outcome = match mounted {
            Ok(mount) => {
                drop(waiting);
                metrics.show(servers.metrics().into_iter().chain(mount::sources(&mount)))?;
                if let Err(error) = output::print(welcome(&folder, &servers, &mount, mount_point.path()).as_bytes()) {
                    tracing::warn!(%error, "nobody reads what was started");
                }
                runtime::tell_systemd(sd_notify::NotifyState::Ready);
                attend(&mut servers, mount, &mut signals).await
            }
            Err(error) => Err(error),
        };
        let stopped = servers.stop().await;
        outcome.and(stopped)
    })
}

/// Claims the mount point, and refuses one that is there and cannot be used: before anything is started or kept.
fn claim(path: &Path) -> Result<MountPoint> {
    if let Some(parent) = path.parent() {
        make(parent)?;
    }
    let mount_point = MountPoint::claim(path)?;
    if mount_point.path().exists() {
        fsd::check_mount_point(mount_point.path(), false)?;
    }
    Ok(mount_point)
}

fn make(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("mount point: folder {}", folder.display()))
}

/// Mounts with the token that the servers gave out, as any mount would.
async fn start_mount(servers: &Servers, mount_point: &Path, arguments: &Arguments) -> Result<Mount> {
    let creds = &servers.mount_creds;
    let target = mount_target(&servers.client, &creds.token).await?;
    let mut settings = mount::settings_for(&target, creds.token.clone(), mount_point, arguments.tuning)?;
    settings.metrics = arguments.metrics.wanted();
    let proof = ServerProof { fingerprint: creds.admin_fingerprint.clone(), ..ServerProof::default() };
    mount::follow_certificate(&settings, proof, creds.admin_addr.clone())?;
    // Whoever runs all of it owns the volume. Of root's it is root's already.
    settings.root_owner = Some((geteuid().as_raw(), getegid().as_raw())).filter(|(uid, _)| *uid != 0);
    Ok(runtime::on_thread("mount", || Mount::start(settings)).await??)
}

/// Awaits `mounting` unless a signal comes first. What is on its way then is waited for and taken away again: it may be
/// mounted already, and would be left behind without its daemon. A second signal does not wait.
async fn mount_unless(signals: &mut EndSignals, mounting: impl Future<Output = Result<Mount>>) -> Result<Mount> {
    let mut mounting = std::pin::pin!(mounting);
    let signal = tokio::select! {
        mounted = &mut mounting => return mounted,
        signal = signals.next() => signal,
    };
    let taking_away = async {
        if let Ok(mount) = mounting.await {
            runtime::on_thread("unmount", || mount.unmount()).await??;
        }
        Ok::<_, anyhow::Error>(())
    };
    tokio::select! {
        taken_away = taking_away => taken_away?,
        _ = signals.next() => {}
    }
    Err(anyhow!("ended by {signal} while mounting"))
}

/// Until the mount is gone. The first signal unmounts cleanly, a second one at once.
async fn attend(servers: &mut Servers, mount: Mount, signals: &mut EndSignals) -> Result<()> {
    let controller = mount.controller();
    let mut ended = std::pin::pin!(runtime::on_thread("wait", move || {
        let ended = mount.wait();
        mount.unmount().map(|()| ended)
    }));
    let failed = tokio::select! {
        ended = &mut ended => return mount::outcome(ended??),
        _ = signals.next() => Ok(()),
        error = servers.attend() => Err(error),
    };
    let _waiting = Waiting::show("unmounting".to_owned());
    let outcome = tokio::select! {
        ended = &mut ended => mount::outcome(ended??),
        failed = mount::end(controller, signals) => failed.map(|never| match never {}),
    };
    failed.and(outcome)
}

/// What there is now, and what can be done with it.
fn welcome(folder: &UpFolder, servers: &Servers, mount: &Mount, mount_point: &Path) -> String {
    let (data, creds) = (folder.path().display(), folder.creds("configure"));
    let flexfs = command_name();
    let another = if geteuid().is_root() { "/mnt/another" } else { "~/another" };
    let configure = format!("{flexfs} configure --credsFile {}", creds.display());
    format!(
        "{place} is volume `{VOLUME}`; Ctrl-C unmounts it and stops the servers\n\
         \n\
         admin server     {admin}  (certificate SHA-256 {fingerprint})\n\
         metadata server  {meta}\n\
         transport        {transport}\n\
         data             {data}\n\
         credentials      {data}/creds/{{admin,meta,configure,{VOLUME}}}\n\
         \n\
         next, in another terminal:\n  \
           {configure} list volume\n  \
           {configure} create volume-token --volumeID {VOLUME} --flags ro\n  \
           {flexfs} mount init creds {VOLUME} --adminAddr {admin}   # asks about the certificate above, then for that token\n  \
           mkdir {another} && {flexfs} mount start {VOLUME} {another}\n",
        place = mount_point.display(),
        transport = mount.transport(),
        admin = servers.mount_creds.admin_addr,
        fingerprint = servers.mount_creds.admin_fingerprint.as_deref().unwrap_or_default(),
        meta = servers.meta_addr(),
    )
}

/// How this executable is called from a shell in the current folder: by its name where that is found, else by its path.
fn command_name() -> String {
    let Ok(executable) = std::env::current_exe() else { return "flexfs".to_owned() };
    let search = std::env::var_os("PATH").unwrap_or_default();
    let is_this = |folder: PathBuf| folder.join("flexfs").canonicalize().is_ok_and(|found| found == executable);
    if std::env::split_paths(&search).any(is_this) {
        return "flexfs".to_owned();
    }
    let here = std::env::current_dir().unwrap_or_default();
    executable.strip_prefix(here).unwrap_or(&executable).display().to_string()
}
