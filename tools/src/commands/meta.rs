//! `meta.flexfs`: the server of names and attributes.

mod follow;
mod service;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::meta::MetaSettings;
use anyhow::{Result, bail};
use auth::creds::MetaCreds;
use auth::{AuthenticatorSettings, Secret, ServerToken};
use clap::{Args, Subcommand};

use super::creds::{self, AdminServer};
use super::systemd::{DeinitSystemd, InitSystemd, Unit};
use super::tls_files::TlsFiles;
use crate::admin_client::{AdminClient, ServerClient, ServerProof};
use crate::cli::About;
use crate::failure::usage;
use crate::metrics::MetricsFlags;
use crate::progress::Waiting;
use crate::runtime::{self, EndSignals};
use crate::{output, paths, prompt, units};

pub(super) use service::MetaService;

/// A command, and what all commands share.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Credentials file [default: ~/.flexfs/meta/creds]
    #[arg(long = "credsFile", value_name = "FILE", global = true)]
    creds_file: Option<PathBuf>,
    /// Folder of the database [default: ~/.flexfs/meta/data]
    #[arg(long = "dbFolder", value_name = "DIR", global = true)]
    db_folder: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

/// Words of the program.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make the credentials file or the systemd unit
    #[command(subcommand)]
    Init(Init),
    /// Remove the credentials file or the systemd unit
    #[command(subcommand)]
    Deinit(Deinit),
    /// Serve until SIGINT or SIGTERM
    Start(Start),
    /// Check the database, changing nothing; the server must be stopped
    Verify,
    #[command(flatten)]
    About(About),
}

/// What to make.
#[derive(Debug, Subcommand)]
enum Init {
    /// Keep address and token for the admin server
    Creds(InitCreds),
    /// Run as a service
    Systemd(InitSystemd),
}

/// What to remove.
#[derive(Debug, Subcommand)]
enum Deinit {
    /// Forget address and token
    Creds,
    /// Run as a service no longer
    Systemd(DeinitSystemd),
}

/// Flags of `init creds`.
#[derive(Debug, Args)]
struct InitCreds {
    #[command(flatten)]
    admin: AdminServer,
    /// Metadata token, as `configure.flexfs show meta-store` shows it; asked for if left out at a terminal
    #[arg(long, value_parser = prompt::secret_argument)]
    token: Option<Secret>,
    /// User of the block store, where the admin server has none
    #[arg(long = "blockUser", value_name = "USER")]
    block_user: Option<String>,
    /// Password of the block store
    #[arg(long = "blockPass", value_name = "PASSWORD", value_parser = prompt::secret_argument)]
    block_pass: Option<Secret>,
    /// Certificate (PEM file) to show to the admin server, where it wants one (--metaCA)
    #[arg(long = "clientCert", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its key (PEM file)
    #[arg(long = "clientKey", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Flags of `start`.
#[derive(Debug, Args)]
struct Start {
    /// Address and port (UDP) to listen on
    #[arg(long = "bindAddr", value_name = "ADDR", default_value = "0.0.0.0:443")]
    bind_addr: SocketAddr,
    /// Memory for the database's cache: a size, or a share of this machine's memory
    #[arg(long = "dbMemCapacity", value_name = "SIZE", default_value = "50%", value_parser = units::parse_memory)]
    db_mem_capacity: u64,
    /// Answer every change only when it is on disk, not only where fsync or close ask for it
    #[arg(long)]
    sync: bool,
    /// Serving threads [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// How long a good token is trusted without being asked about again: 1s to 1h. Changes are told as they come
    #[arg(long = "authTTL", value_name = "DURATION", default_value = "30s", value_parser = auth_ttl)]
    auth_ttl: Duration,
    /// How long a wrong token is remembered: 0s to 10m
    #[arg(long = "authNegativeTTL", value_name = "DURATION", default_value = "5s", value_parser = auth_negative_ttl)]
    auth_negative_ttl: Duration,
    /// How long known tokens open sessions while the admin server is away: 0s to 24h
    #[arg(long = "authGrace", value_name = "DURATION", default_value = "10m", value_parser = auth_grace)]
    auth_grace: Duration,
    /// How long a mount that lost its connection keeps its open files and locks: 30s to 1h
    #[arg(long = "sessionGrace", value_name = "DURATION", default_value = "5m", value_parser = session_grace)]
    session_grace: Duration,
    #[command(flatten)]
    tls: TlsFiles,
    #[command(flatten)]
    metrics: MetricsFlags,
}

fn auth_ttl(text: &str) -> Result<Duration, String> {
    bounded(text, 1, 3600, "1s to 1h")
}

fn auth_negative_ttl(text: &str) -> Result<Duration, String> {
    bounded(text, 0, 600, "0s to 10m")
}

fn auth_grace(text: &str) -> Result<Duration, String> {
    bounded(text, 0, 24 * 3600, "0s to 24h")
}

fn session_grace(text: &str) -> Result<Duration, String> {
    bounded(text, 30, 3600, "30s to 1h")
}

/// A duration of `min` to `max` seconds.
fn bounded(text: &str, min: u64, max: u64, needed: &str) -> Result<Duration, String> {
    let seconds = units::parse_duration_secs(text)?;
    match u64::try_from(seconds) {
        Ok(seconds) if (min..=max).contains(&seconds) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("duration {text:?}: {needed} is possible")),
    }
}

const UNIT: Unit = Unit { program: "meta", description: "flexfs metadata server" };

impl Arguments {
    /// Whether the command is a server.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.command, Command::Start(_))
    }

    fn creds_file(&self) -> Result<PathBuf> {
        creds::file(self.creds_file.as_deref(), MetaCreds::default_path)
    }

    fn db_folder(&self) -> Result<PathBuf> {
        self.db_folder.clone().map_or_else(|| paths::flexfs_folder("meta/data"), Ok)
    }
}

/// Carries out a command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::Init(Init::Creds(init)) => runtime::build()?.block_on(init.run(&arguments.creds_file()?)),
        Command::Init(Init::Systemd(init)) => UNIT.install(init),
        Command::Deinit(Deinit::Creds) => creds::remove(&arguments.creds_file()?),
        Command::Deinit(Deinit::Systemd(deinit)) => UNIT.remove(deinit),
        Command::Start(start) => start.run(&arguments.creds_file()?, arguments.db_folder()?),
        Command::Verify => verify(&arguments.db_folder()?),
        Command::About(about) => about.print(),
    }
}

impl InitCreds {
    async fn run(&self, path: &Path) -> Result<()> {
        creds::must_not_exist(path, self.force)?;
        let client = match (&self.client_cert, &self.client_key) {
            (Some(certificate), Some(key)) => {
                Some((creds::text_path("--clientCert", certificate)?, creds::text_path("--clientKey", key)?))
            }
            _ => None,
        };
        let admin = self.admin.meet_as(client.clone()).await?;
        let token = prompt::secret(self.token.clone(), "--token", "metadata token")?;
        let token = ServerToken::parse(token.expose()).map_err(|error| usage(format!("--token: {error}")))?;
        ServerClient::new(admin.client, token.clone()).check().await?;
        let creds = MetaCreds {
            admin_addr: admin.addr,
            token,
            admin_fingerprint: admin.fingerprint,
            admin_ca: admin.ca,
            client,
            block_user: self.block_user.clone(),
            block_pass: self.block_pass.clone(),
        };
        creds.save(path, self.force)?;
        creds::say_written(path);
        Ok(())
    }
}

impl Start {
    fn run(&self, creds_file: &Path, db_folder: PathBuf) -> Result<()> {
        let metrics = self.metrics.bind()?;
        let creds = MetaCreds::load(creds_file)?;
        let proof = ServerProof { fingerprint: creds.admin_fingerprint, ca: creds.admin_ca, client: creds.client };
        let admin = AdminClient::for_creds(&creds.admin_addr, &proof)?;
        let settings = self.settings(db_folder)?;
        runtime::build()?.block_on(async {
            let mut signals = EndSignals::catch()?;
            let waiting = Waiting::show(format!("opening {}", settings.db_folder.display()));
            let service = MetaService::start(settings, ServerClient::new(admin, creds.token))?;
            drop(waiting);
            metrics.show([service.metrics()])?;
            println!("metadata server on {}\ncertificate SHA-256 {}", service.local_addr(), service.fingerprint());
            runtime::tell_systemd(sd_notify::NotifyState::Ready);
            let outcome = tokio::select! {
                signal = signals.next() => {
                    tracing::info!(signal, "metadata server stops");
                    Ok(())
                }
                failed = service.attend() => Err(failed),
            };
            runtime::tell_systemd(sd_notify::NotifyState::Stopping);
            let stopped = service.stop().await;
            outcome.and(stopped)
        })
    }

    fn settings(&self, db_folder: PathBuf) -> Result<MetaSettings> {
        let mut settings = standard_settings(self.bind_addr, db_folder, self.tls.identity()?);
        settings.db_cache_max = self.db_mem_capacity;
        settings.threads = self.threads.map(usize::from);
        settings.sync = self.sync;
        settings.authenticator.positive_ttl = self.auth_ttl;
        settings.authenticator.negative_ttl = self.auth_negative_ttl;
        settings.authenticator.grace = self.auth_grace;
        settings.session_grace = self.session_grace;
        Ok(settings)
    }
}

/// Says of each volume in the folder whether it is sound; one that is not makes the command fail.
fn verify(db_folder: &Path) -> Result<()> {
    let waiting = Waiting::show(format!("checking {}", db_folder.display()));
    let (mut volumes, mut damaged, mut text) = (0, 0, String::new());
    ::meta::verify(db_folder, |found| {
        volumes += 1;
        damaged += u32::from(!found.problems.is_empty());
        text.push_str(&shown(&found));
    })?;
    drop(waiting);
    output::print(text.as_bytes())?;
    if damaged > 0 {
        bail!(
            "{}: {damaged} of {volumes} volumes are damaged: restore the folder from a backup, or rescue what can be read",
            db_folder.display()
        );
    }
    Ok(())
}

fn shown(found: &::meta::Findings) -> String {
    if found.problems.is_empty() {
        return format!("volume {}: sound, {} inodes\n", found.volume, found.inodes);
    }
    found.problems.iter().map(|problem| format!("volume {}: {problem}\n", found.volume)).collect()
}

/// Settings of a metadata server that nobody tuned.
pub(super) fn standard_settings(
    bind_addr: SocketAddr,
    db_folder: PathBuf,
    identity: transport::tls::Identity,
) -> MetaSettings {
    MetaSettings {
        bind_addr,
        db_folder,
        db_cache_max: 64 << 20,
        identity,
        threads: None,
        sync: false,
        authenticator: AuthenticatorSettings {
            positive_ttl: Duration::from_secs(30),
            negative_ttl: Duration::from_secs(5),
            grace: Duration::from_secs(600),
            entries_max: 65_536,
        },
        session_grace: Duration::from_secs(300),
    }
}
