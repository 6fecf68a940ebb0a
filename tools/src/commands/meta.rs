//! `meta.flexfs`: the server of names and attributes.

mod service;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ::meta::MetaSettings;
use anyhow::Result;
use auth::creds::MetaCreds;
use auth::{AuthenticatorSettings, Secret, ServerToken};
use clap::{Args, Subcommand};

use super::creds::{self, AdminServer};
use super::systemd::{DeinitSystemd, InitSystemd, Unit};
use super::tls_files::TlsFiles;
use crate::admin_client::{AdminClient, ServerClient};
use crate::failure::usage;
use crate::runtime::{self, EndSignals};
use crate::{cli, paths, prompt, units};

pub(super) use service::MetaService;

/// Words of the program.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the credentials file or the systemd unit
    #[command(subcommand)]
    Init(Init),
    /// Remove the credentials file or the systemd unit
    #[command(subcommand)]
    Deinit(Deinit),
    /// Serve until SIGINT or SIGTERM
    Start(Start),
    /// Print the version
    Version,
}

/// What to make.
#[derive(Debug, Subcommand)]
pub(crate) enum Init {
    /// Keep address and token for the admin server
    Creds(InitCreds),
    /// Run as a service
    Systemd(InitSystemd),
}

/// What to remove.
#[derive(Debug, Subcommand)]
pub(crate) enum Deinit {
    /// Forget address and token
    Creds(CredsFile),
    /// Run as a service no longer
    Systemd(DeinitSystemd),
}

/// Flags of `init creds`.
#[derive(Debug, Args)]
pub(crate) struct InitCreds {
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
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    creds: CredsFile,
}

/// Where the credentials are.
#[derive(Debug, Args)]
pub(crate) struct CredsFile {
    /// Credentials file [default: ~/.flexfs/meta/creds]
    #[arg(long = "credsFile", value_name = "FILE")]
    creds_file: Option<PathBuf>,
}

/// Flags of `start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Address and port (UDP) to listen on
    #[arg(long = "bindAddr", value_name = "ADDR", default_value = "0.0.0.0:443")]
    bind_addr: SocketAddr,
    /// Folder of the database [default: ~/.flexfs/meta/data]
    #[arg(long = "dbFolder", value_name = "DIR")]
    db_folder: Option<PathBuf>,
    /// Memory for the database's cache: a size, or a share of this machine's memory
    #[arg(long = "dbMemCapacity", value_name = "SIZE", default_value = "25%", value_parser = units::parse_memory)]
    db_mem_capacity: u64,
    /// Answer every change only when it is on disk, not only where fsync or close ask for it
    #[arg(long)]
    sync: bool,
    /// Serving threads [default: one per CPU]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    #[command(flatten)]
    tls: TlsFiles,
    #[command(flatten)]
    creds: CredsFile,
}

const UNIT: Unit = Unit { program: "meta", description: "flexfs metadata server" };

/// Carries out a command.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Init(Init::Creds(arguments)) => runtime::build()?.block_on(init_creds(arguments)),
        Command::Init(Init::Systemd(arguments)) => UNIT.install(&arguments),
        Command::Deinit(Deinit::Creds(file)) => creds::remove(&file.path()?),
        Command::Deinit(Deinit::Systemd(arguments)) => UNIT.remove(&arguments),
        Command::Start(arguments) => start(&arguments),
        Command::Version => {
            cli::print_version();
            Ok(())
        }
    }
}

impl CredsFile {
    fn path(&self) -> Result<PathBuf> {
        creds::file(self.creds_file.as_deref(), MetaCreds::default_path)
    }
}

async fn init_creds(arguments: InitCreds) -> Result<()> {
    let path = arguments.creds.path()?;
    creds::must_not_exist(&path, arguments.force)?;
    let admin = arguments.admin.meet().await?;
    let token = prompt::secret(arguments.token, "--token", "metadata token")?;
    let token = ServerToken::parse(token.expose()).map_err(|error| usage(format!("--token: {error}")))?;
    ServerClient::new(admin.client, token.clone()).check().await?;
    let creds = MetaCreds {
        admin_addr: arguments.admin.admin_addr,
        token,
        admin_fingerprint: admin.fingerprint,
        block_user: arguments.block_user,
        block_pass: arguments.block_pass,
    };
    creds.save(&path, arguments.force)?;
    creds::say_written(&path);
    Ok(())
}

fn start(arguments: &Start) -> Result<()> {
    let creds = MetaCreds::load(&arguments.creds.path()?)?;
    let admin = AdminClient::for_creds(&creds.admin_addr, creds.admin_fingerprint.as_deref())?;
    let settings = arguments.settings()?;
    runtime::build()?.block_on(async {
        let mut signals = EndSignals::catch()?;
        let service = MetaService::start(settings, ServerClient::new(admin, creds.token))?;
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
        service.stop().await?;
        outcome
    })
}

impl Start {
    fn settings(&self) -> Result<MetaSettings> {
        let db_folder = self.db_folder.clone().map_or_else(|| paths::flexfs_folder("meta/data"), Ok)?;
        let mut settings = standard_settings(self.bind_addr, db_folder, self.tls.identity()?);
        settings.db_cache_max = self.db_mem_capacity;
        settings.threads = self.threads;
        settings.sync = self.sync;
        Ok(settings)
    }
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
        // A deleted token ends its mounts within two rounds of asking; known tokens get through an admin server's outage.
        authenticator: AuthenticatorSettings {
            positive_ttl: Duration::from_millis(500),
            negative_ttl: Duration::from_secs(2),
            grace: Duration::from_secs(24 * 3600),
            entries_max: 65_536,
        },
        session_grace: Duration::from_secs(300),
    }
}
