//! A mount from its start to its end.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ::metrics::Source;
use anyhow::{Context as _, Result, bail};
use auth::{MountFlags, VolumeToken};
use fsd::{Controller, Ended, Mount, MountSettings};
use proto::rest::MountTarget;
use sd_notify::NotifyState;
use tokio::sync::oneshot;
use transport::tls::Pin;

use super::daemon;
use super::mount_point::{self, MountPoint};
use super::start::Tuning;
use crate::admin_client::{AdminClient, ServerProof, mount_target};
use crate::metrics::MetricsSocket;
use crate::runtime::{self, EndSignals};

/// Whom to tell that the mount is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Readiness {
    /// The process that waits at the other end of stdout.
    Parent,
    /// systemd, if it started this process.
    Systemd,
}

/// Settings for mounting `target` without restrictions of its own.
pub(in crate::commands) fn settings_for(
    target: &MountTarget,
    token: VolumeToken,
    mount_point: &Path,
    tuning: Tuning,
) -> Result<MountSettings> {
    let Some(fingerprint) = &target.meta_fingerprint else {
        bail!(
            "volume {}: its metadata server {} was never started; start meta.flexfs there",
            target.volume_name,
            target.meta_addr
        );
    };
    Ok(MountSettings {
        mount_point: mount_point.to_owned(),
        volume_name: target.volume_name.clone(),
        meta_addr: target.meta_addr.clone(),
        meta_pin: Arc::new(Pin::new(fingerprint.parse().context("the admin server's answer")?)),
        token,
        flags: MountFlags::default(),
        root_owner: None,
        attr_valid: Duration::from_secs(tuning.attr_valid.into()),
        entry_valid: Duration::from_secs(tuning.entry_valid.into()),
        memory_max: tuning.mem_capacity,
        bops_max: NonZeroUsize::new(tuning.max_bops as usize),
        umask: tuning.umask,
        max_pages: !tuning.no_max_pages,
        non_empty: false,
        threads: tuning.threads.map(usize::from),
        transport: tuning.transport.into(),
        metrics: false,
        runtime: tuning.runtime.into(),
    })
}

/// Asks the admin server which certificate the metadata server has now, each time it shows another than is expected.
/// Goes on in the background as long as the process.
pub(in crate::commands) fn follow_certificate(
    settings: &MountSettings,
    proof: ServerProof,
    admin_addr: String,
) -> Result<()> {
    let (pin, token) = (Arc::clone(&settings.meta_pin), settings.token.clone());
    let follow = move || {
        let Ok(runtime) = runtime::build() else { return };
        runtime.block_on(async {
            loop {
                pin.missed().await;
                if let Err(error) = ask_again(&pin, &token, &proof, &admin_addr).await {
                    tracing::warn!(%error, "the metadata server has another certificate, and nobody vouches for it yet");
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        });
    };
    std::thread::Builder::new().name("certificate".to_owned()).spawn(follow).context("starting a thread")?;
    Ok(())
}

/// Time between two questions about a certificate.
const ASK_AGAIN: Duration = Duration::from_secs(1);

async fn ask_again(pin: &Pin, token: &VolumeToken, proof: &ServerProof, admin_addr: &str) -> Result<()> {
    let admin = AdminClient::for_creds(admin_addr, proof)?;
    let target = mount_target(&admin, token).await?;
    let fingerprint = target.meta_fingerprint.context("the admin server knows none")?.parse()?;
    if fingerprint != pin.expected() {
        tracing::info!(%fingerprint, "the metadata server has a new certificate");
        pin.set(fingerprint);
    }
    Ok(())
}

/// Mounts and stays until the mount is gone: unmounted by a signal, from outside, or after its server cut it.
pub(super) fn serve(
    settings: MountSettings,
    mount_point: MountPoint,
    readiness: Readiness,
    metrics: MetricsSocket,
) -> Result<()> {
    // Before anything is mounted: a signal in between would leave a mount without its daemon.
    let signals = catch_signals()?;
    let mount = Mount::start(settings)?;
    metrics.show(sources(&mount))?;
    let controller = mount.controller();
    signals.send(controller.clone()).ok().context("the thread for signals is gone")?;
    let told = match readiness {
        Readiness::Parent => daemon::report_mounted(),
        Readiness::Systemd => {
            runtime::tell_systemd(NotifyState::Ready);
            Ok(())
        }
    };
    if told.is_err() {
        controller.unmount()?;
    }
    let ended = stay(&mount, mount_point);
    runtime::tell_systemd(NotifyState::Stopping);
    mount.unmount()?;
    told.and(ended)
}

/// The mount's numbers, if it keeps them.
pub(in crate::commands) fn sources(mount: &Mount) -> Option<Box<dyn Source>> {
    mount.metrics().map(|metrics| Box::new(metrics) as Box<dyn Source>)
}

/// Waits for the end. A mount that was cut keeps its place and refuses everything until somebody unmounts it, lest
/// programs go on in the empty directory below; its lock is free, so that it can be mounted over again.
fn stay(mount: &Mount, mount_point: MountPoint) -> Result<()> {
    let path = mount_point.path().to_owned();
    let device = mount_point::top_device(&path)?;
    let ended = mount.wait();
    if let Ended::SessionEnded(reason) = &ended {
        tracing::error!(mount_point = %path.display(), reason, "the mount was cut; it refuses everything until it is unmounted");
        drop(mount_point);
        while device.is_some() && mount_point::top_device(&path)? == device {
            std::thread::sleep(CUT_POLL);
        }
    }
    outcome(ended)
}

/// How often a mount that was cut looks whether it is still there.
const CUT_POLL: Duration = Duration::from_millis(250);

/// What the end of a mount means for the command that made it.
pub(in crate::commands) fn outcome(ended: Ended) -> Result<()> {
    match ended {
        Ended::Unmounted => Ok(()),
        Ended::SessionEnded(reason) => bail!("the mount was cut: {reason}"),
    }
}

/// From here on the first SIGINT, SIGTERM or SIGQUIT unmounts cleanly, once the mount is there to be unmounted; a second
/// one does not wait for the servers, nor for a mount that is still starting.
fn catch_signals() -> Result<oneshot::Sender<Controller>> {
    let (caught, is_caught) = mpsc::channel();
    let (started, mount) = oneshot::channel();
    let wait = move || {
        let runtime = runtime::build()?;
        runtime.block_on(async {
            let mut signals = EndSignals::catch()?;
            // The receiver waits for this message alone.
            let _ = caught.send(());
            let signal = signals.next().await;
            tracing::info!(signal, "unmounting");
            let controller = tokio::select! {
                // A start that failed ends the process by itself.
                controller = mount => controller.context("nothing was mounted")?,
                _ = signals.next() => std::process::exit(1),
            };
            end(controller, &mut signals).await.map(drop)
        })
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait).context("starting a thread")?;
    is_caught.recv().context("catching signals")?;
    Ok(started)
}

/// Unmounts cleanly, and without waiting at the next signal. Does not return: what to wait for is the mount's end.
pub(in crate::commands) async fn end(controller: Controller, signals: &mut EndSignals) -> Result<Infallible> {
    let clean = controller.clone();
    let unmount = move || {
        if let Err(error) = clean.unmount() {
            tracing::error!(%error, "unmounting failed; another signal ends the mount without it");
        }
    };
    std::thread::Builder::new().name("unmount".to_owned()).spawn(unmount).context("starting a thread")?;
    loop {
        let signal = signals.next().await;
        tracing::warn!(signal, "ending the mount without waiting");
        controller.abandon();
    }
}
