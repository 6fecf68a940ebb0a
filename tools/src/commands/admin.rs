//! `admin.flexfs`: the server of accounts, volumes and tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ::admin::{AdminServer, AdminSettings, Broken};
use ::metrics::Source;
use anyhow::{Context as _, Result, bail};
use auth::creds::AdminCreds;
use auth::{AccountToken, Secret};
use clap::{Args, Subcommand};
use sd_notify::NotifyState;
use transport::tls::Authority;

use super::creds;
use super::systemd::{DeinitSystemd, InitSystemd, Unit};
use super::tls_files::TlsFiles;
use crate::cli::About;
use crate::failure::usage;
use crate::metrics::MetricsFlags;
use crate::progress::Waiting;
use crate::runtime::{self, EndSignals};
use crate::{output, paths, prompt};

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
    /// Look at the audit log where it lies
    #[command(subcommand)]
    Audit(Audit),
    #[command(flatten)]
    About(About),
}

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Check that no line was changed, taken out or cut off; the server may run
    Verify(DbFolder),
}

/// Where the database is.
#[derive(Debug, Args)]
pub(crate) struct DbFolder {
    /// Folder of the database [default: ~/.flexfs/admin]
    #[arg(long = "dbFolder", value_name = "DIR")]
    db_folder: Option<PathBuf>,
}

/// What to make.
#[derive(Debug, Subcommand)]
pub(crate) enum Init {
    /// Keep the token of the root account, which owns everything
    Creds(InitCreds),
    /// Run as a service
    Systemd(InitSystemd),
}

/// What to remove.
#[derive(Debug, Subcommand)]
pub(crate) enum Deinit {
    /// Forget the token of the root account
    Creds(CredsFile),
    /// Run as a service no longer
    Systemd(DeinitSystemd),
}

/// Flags of `init creds`.
#[derive(Debug, Args)]
pub(crate) struct InitCreds {
    /// Token of the root account, a UUID; asked for if left out at a terminal
    #[arg(long, value_parser = prompt::secret_argument)]
    token: Option<Secret>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    creds: CredsFile,
}

/// Where the credentials are.
#[derive(Debug, Args)]
pub(crate) struct CredsFile {
    /// Credentials file [default: ~/.flexfs/admin/creds]
    #[arg(long = "credsFile", value_name = "FILE")]
    creds_file: Option<PathBuf>,
}

/// Flags of `start`.
#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Address and port to listen on
    #[arg(long = "bindAddr", value_name = "ADDR", default_value = "0.0.0.0:443")]
    bind_addr: SocketAddr,
    #[command(flatten)]
    database: DbFolder,
    /// Plain HTTP, on loopback addresses only
    #[arg(long = "noSSL")]
    no_ssl: bool,
    /// Allow --noSSL on every address: tokens can then be read on the network
    #[arg(long, requires = "no_ssl")]
    insecure: bool,
    #[command(flatten)]
    tls: TlsFiles,
    /// Metadata servers must show a certificate of this CA (PEM file), besides their token
    #[arg(long = "metaCA", value_name = "FILE", conflicts_with = "no_ssl")]
    meta_ca: Option<PathBuf>,
    #[command(flatten)]
    creds: CredsFile,
    #[command(flatten)]
    metrics: MetricsFlags,
}

const UNIT: Unit = Unit { program: "admin", description: "flexfs admin server" };

/// Carries out a command.
pub(crate) fn run(command: Command) -> Result<()> {
    match command {
        Command::Init(Init::Creds(arguments)) => init_creds(arguments),
        Command::Init(Init::Systemd(arguments)) => UNIT.install(&arguments),
        Command::Deinit(Deinit::Creds(file)) => creds::remove(&file.path()?),
        Command::Deinit(Deinit::Systemd(arguments)) => UNIT.remove(&arguments),
        Command::Start(arguments) => start(&arguments),
        Command::Audit(Audit::Verify(database)) => verify(&database.path()?),
        Command::About(about) => about.print(),
    }
}

impl CredsFile {
    fn path(&self) -> Result<PathBuf> {
        creds::file(self.creds_file.as_deref(), AdminCreds::default_path)
    }
}

impl DbFolder {
    fn path(&self) -> Result<PathBuf> {
        self.db_folder.clone().map_or_else(|| paths::flexfs_folder("admin"), Ok)
    }
}

/// Says that the audit log is sound, or where it is broken first, which makes the command fail.
fn verify(db_folder: &Path) -> Result<()> {
    let waiting = Waiting::show(format!("checking the audit log in {}", db_folder.display()));
    let report = ::admin::verify_audit(db_folder)?;
    drop(waiting);
    match report.broken {
        None => {
            let (first, last, files) = (report.first, report.last, report.files);
            let text = format!("audit log: sound, lines {first} to {last} in {files} files\n");
            output::print(text.as_bytes())
        }
        Some(Broken { file, line: 0, what }) => bail!("audit log {}: {what}", file.display()),
        Some(Broken { file, line, what }) => bail!("audit log {}, line {line} of the file: {what}", file.display()),
    }
}

fn init_creds(arguments: InitCreds) -> Result<()> {
    let path = arguments.creds.path()?;
    creds::must_not_exist(&path, arguments.force)?;
    let token = prompt::secret(arguments.token, "--token", "token of the root account")?;
    let token = AccountToken::parse(token.expose()).map_err(|error| usage(format!("--token: {error}")))?;
    AdminCreds { token }.save(&path, arguments.force)?;
    creds::say_written(&path);
    Ok(())
}

fn start(arguments: &Start) -> Result<()> {
    let metrics = arguments.metrics.bind()?;
    let settings = arguments.settings()?;
    let fingerprint = settings.identity.as_ref().map(|identity| identity.fingerprint());
    runtime::build()?.block_on(async {
        let mut signals = EndSignals::catch()?;
        let waiting = Waiting::show(format!("opening {}", settings.db_folder.display()));
        let server = ::admin::bind(settings).await?;
        drop(waiting);
        metrics.show([Box::new(server.metrics()) as Box<dyn Source>])?;
        announce(&server, fingerprint.map(|fingerprint| fingerprint.to_string()).as_deref());
        runtime::tell_systemd(NotifyState::Ready);
        let ended = async {
            let signal = signals.next().await;
            tracing::info!(signal, "admin server stops");
            runtime::tell_systemd(NotifyState::Stopping);
        };
        server.serve(ended).await.context("admin server")
    })
}

fn announce(server: &AdminServer, fingerprint: Option<&str>) {
    match fingerprint {
        Some(fingerprint) => println!("admin server on {}\ncertificate SHA-256 {fingerprint}", server.local_addr()),
        None => println!("admin server on http://{} (no TLS)", server.local_addr()),
    }
}

impl Start {
    fn settings(&self) -> Result<AdminSettings> {
        if self.no_ssl && !self.insecure && !self.bind_addr.ip().is_loopback() {
            return Err(usage(format!(
                "--noSSL with --bindAddr {}: tokens could be read on the network; bind 127.0.0.1 or [::1], or add --insecure",
                self.bind_addr
            )));
        }
        let creds = AdminCreds::load(&self.creds.path()?)?;
        let db_folder = self.database.path()?;
        let identity = if self.no_ssl { None } else { Some(self.tls.identity()?) };
        let meta_ca = self.meta_ca.as_deref().map(Authority::load).transpose()?;
        Ok(AdminSettings { bind_addr: self.bind_addr, db_folder, identity, meta_ca, root_token: creds.token })
    }
}
