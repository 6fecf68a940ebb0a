//! `mount.flexfs start`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use auth::MountFlags;
use auth::creds::MountCreds;
use clap::{Args, ValueEnum};
use fsd::{MemoryMax, MountSettings, Runtime, Transport};
use proto::rest::MountTarget;

use super::daemon;
use super::live::{self, Readiness};
use super::mount_point::MountPoint;
use crate::admin_client::{AdminClient, ServerProof, mount_target};
use crate::commands::creds;
use crate::dispatch::{Caller, Invocation};
use crate::metrics::MetricsFlags;
use crate::progress::Waiting;
use crate::{runtime, units};

/// Flags of `start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Name of the volume
    #[arg(value_parser = creds::volume_name)]
    name: String,
    /// Directory to mount on
    mount_point: PathBuf,
    /// Credentials file [default: ~/.flexfs/mount/creds/NAME]
    #[arg(long = "credsFile", value_name = "FILE")]
    creds_file: Option<PathBuf>,
    /// Allow no change (implies --noATime)
    #[arg(long)]
    ro: bool,
    /// Execute no program
    #[arg(long = "noExec")]
    no_exec: bool,
    /// Ignore set-user-id and set-group-id bits
    #[arg(long = "noSUID")]
    no_suid: bool,
    /// Do not update access times
    #[arg(long = "noATime")]
    no_atime: bool,
    /// Let root of this host, and its group, be nobody (65534) to the metadata server
    #[arg(long = "rootSquash")]
    root_squash: bool,
    /// Taken for granted: extended attributes are always kept
    #[arg(long = "xAttr")]
    x_attr: bool,
    /// Cover a directory that is not empty
    #[arg(long = "nonEmpty")]
    non_empty: bool,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    metrics: MetricsFlags,
    /// How long to wait for servers that cannot be reached
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = wait_secs)]
    wait: u64,
    /// Stay in the foreground; implied by NOTIFY_SOCKET
    #[arg(short, long)]
    foreground: bool,
    /// This is the process in the background, with its parent at the other end of stdout
    #[arg(long, hide = true)]
    pub(super) detached: bool,
}

/// How much a mount may keep, and for how long.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Tuning {
    /// Seconds the kernel may trust attributes: changes of other mounts show after this time at the latest
    #[arg(long = "attrValid", value_name = "SECONDS", default_value_t = 1)]
    pub(crate) attr_valid: u32,
    /// Seconds the kernel may trust names
    #[arg(long = "entryValid", value_name = "SECONDS", default_value_t = 1)]
    pub(crate) entry_valid: u32,
    /// Memory for written and cached data: a share of this machine's memory, a size with its unit, or a number of blocks
    #[arg(
        long = "memCapacity",
        value_name = "AMOUNT",
        default_value = "10%",
        value_parser = units::parse_memory_or_blocks
    )]
    pub(crate) mem_capacity: MemoryMax,
    /// Operations on the block store at once, 0 for as many as suit it
    #[arg(long = "maxBops", value_name = "N", default_value_t = 0)]
    pub(crate) max_bops: u32,
    /// Keep the kernel's requests to 128 KiB
    #[arg(long = "noMaxPages")]
    pub(crate) no_max_pages: bool,
    /// Permission bits (octal) that new files never get, in place of the umask of the program that makes them
    #[arg(long, value_name = "OCTAL", value_parser = units::parse_umask)]
    pub(crate) umask: Option<u16>,
    /// Serving threads [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// How requests come from the kernel: over io_uring, over /dev/fuse, or the better one of those it has
    #[arg(long, value_name = "WAY", value_enum, default_value_t)]
    pub(crate) transport: TransportChoice,
    /// What runs the serving threads
    #[arg(long, value_name = "NAME", value_enum, default_value_t)]
    pub(crate) runtime: RuntimeChoice,
}

/// Values of `--transport`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportChoice {
    /// uring where the kernel has it switched on, else classic
    #[default]
    Auto,
    /// FUSE over io_uring: Linux 6.14 or newer, with `fuse.enable_uring`
    Uring,
    /// Reads and writes of /dev/fuse
    Classic,
}

impl From<TransportChoice> for Option<Transport> {
    fn from(choice: TransportChoice) -> Self {
        match choice {
            TransportChoice::Auto => None,
            TransportChoice::Uring => Some(Transport::Uring),
            TransportChoice::Classic => Some(Transport::Classic),
        }
    }
}

/// Values of `--runtime`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuntimeChoice {
    /// Reads of a local block store go to other threads
    #[default]
    Tokio,
    /// Reads of a local block store go through an io_uring of each serving thread
    TokioUring,
}

impl From<RuntimeChoice> for Runtime {
    fn from(choice: RuntimeChoice) -> Self {
        match choice {
            RuntimeChoice::Tokio => Self::Tokio,
            RuntimeChoice::TokioUring => Self::TokioUring,
        }
    }
}

/// Mounts, in this process or in one that stays behind.
pub(super) fn run(arguments: &Start, invocation: &Invocation) -> Result<()> {
    arguments.metrics.check()?;
    // mount(8) waits for its helper to return, whoever started it.
    let is_service = invocation.caller == Caller::User && std::env::var_os("NOTIFY_SOCKET").is_some();
    let in_foreground = arguments.foreground || is_service;
    match (arguments.detached, in_foreground) {
        (true, _) => daemon::serve(|readiness| arguments.serve(readiness)),
        (false, true) => arguments.serve(Readiness::Systemd),
        (false, false) => daemon::leave_behind(&arguments.name, invocation),
    }
}

impl Start {
    fn serve(&self, readiness: Readiness) -> Result<()> {
        let metrics = self.metrics.bind()?;
        let creds_file = creds::file(self.creds_file.as_deref(), || MountCreds::default_path(&self.name))?;
        let creds = MountCreds::load(&creds_file)?;
        let mount_point = MountPoint::claim(&self.mount_point)?;
        fsd::check_mount_point(mount_point.path(), self.non_empty)?;
        let proof =
            ServerProof { fingerprint: creds.admin_fingerprint.clone(), ca: creds.admin_ca.clone(), client: None };
        let admin = AdminClient::for_creds(&creds.admin_addr, &proof)
            .with_context(|| format!("credentials file {}", creds_file.display()))?;
        let asked = runtime::build()?.block_on(self.ask_for_target(&admin, &creds));
        let target = asked.with_context(|| format!("credentials file {}", creds_file.display()))?;
        if target.volume_name != self.name {
            bail!("the token in {} opens volume {:?}, not {:?}", creds_file.display(), target.volume_name, self.name);
        }
        let settings = MountSettings {
            flags: MountFlags {
                ro: self.ro,
                no_exec: self.no_exec,
                no_suid: self.no_suid,
                no_atime: self.no_atime,
                root_squash: self.root_squash,
            },
            non_empty: self.non_empty,
            metrics: self.metrics.wanted(),
            ..live::settings_for(&target, creds.token, mount_point.path(), self.tuning)?
        };
        live::follow_certificate(&settings, proof, creds.admin_addr)?;
        live::serve(settings, mount_point, readiness, metrics)
    }

    /// Learns from the admin server what the token opens, waiting for it as long as the user said.
    async fn ask_for_target(&self, admin: &AdminClient, creds: &MountCreds) -> Result<MountTarget> {
        let _waiting = Waiting::show(format!("waiting for admin server {}", creds.admin_addr));
        let deadline = Instant::now() + Duration::from_secs(self.wait);
        loop {
            match mount_target(admin, &creds.token).await {
                Err(error) if error.is_temporary() && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                outcome => return Ok(outcome?),
            }
        }
    }
}

fn wait_secs(text: &str) -> Result<u64, String> {
    u64::try_from(units::parse_duration_secs(text)?).map_err(|_| "a bounded time is needed, as 30s or 0".to_owned())
}
