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

use super::mount::{self, MountPoint, Tuning};
use crate::admin_client::mount_target;
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
}

/// Runs until a signal, an unmount from outside, or the failure of a part.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let folder = UpFolder::open(arguments.data_folder.as_deref())?;
    let mount_point = make_mount_point(&arguments.mount_point)?;
    runtime::build()?.block_on(async {
        let mut signals = EndSignals::catch()?;
        let waiting = Waiting::show("starting the servers and the mount".to_owned());
        let mut servers = tokio::select! {
            servers = Servers::start(&folder) => servers?,
            signal = signals.next() => bail!("ended by {signal} while starting"),
        };
        let mounted = tokio::select! {
            mounted = start_mount(&servers, mount_point.path(), arguments.tuning) => mounted,
            signal = signals.next() => Err(anyhow!("ended by {signal} while mounting")),
        };
        let outcome = match mounted {
            Ok(mount) => {
                drop(waiting);
                if let Err(error) = output::print(welcome(&folder, &servers, &mount, mount_point.path()).as_bytes()) {
                    tracing::warn!(%error, "nobody reads what was started");
                }
                runtime::tell_systemd(sd_notify::NotifyState::Ready);
                attend(&mut servers, mount, &mut signals).await
            }
            Err(error) => Err(error),
        };
        servers.stop().await?;
        outcome
    })
}

/// Claims the mount point and makes it where it is missing. Only the folders above are made before a dead mount that
/// may lie on it is out of the way.
fn make_mount_point(path: &Path) -> Result<MountPoint> {
    let context = || format!("mount point {}", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(context)?;
    }
    let mount_point = MountPoint::claim(path)?;
    std::fs::create_dir_all(mount_point.path()).with_context(context)?;
    Ok(mount_point)
}

/// Mounts with the token that the servers gave out, as any mount would.
async fn start_mount(servers: &Servers, mount_point: &Path, tuning: Tuning) -> Result<Mount> {
    let creds = &servers.mount_creds;
    let target = mount_target(&servers.client, &creds.token).await?;
    let settings = mount::settings_for(&target, creds.token.clone(), mount_point, tuning)?;
    Ok(runtime::on_thread("mount", || Mount::start(settings)).await??)
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
    let outcome = tokio::select! {
        ended = &mut ended => mount::outcome(ended??),
        failed = mount::end(controller, signals) => failed.map(|never| match never {}),
    };
    failed.and(outcome)
}

/// What there is now, and what can be done with it.
fn welcome(folder: &UpFolder, servers: &Servers, mount: &Mount, mount_point: &Path) -> String {
    let (data, creds) = (folder.path().display(), folder.creds("configure"));
    let configure = format!("flexfs configure --credsFile {}", creds.display());
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
           flexfs mount init creds {VOLUME} --adminAddr {admin}   # asks for that token\n  \
           flexfs mount start {VOLUME} /mnt/another\n",
        place = mount_point.display(),
        transport = mount.transport(),
        admin = servers.mount_creds.admin_addr,
        fingerprint = servers.mount_creds.admin_fingerprint.as_deref().unwrap_or_default(),
        meta = servers.meta_addr(),
    )
}
