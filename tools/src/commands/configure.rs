//! `configure.flexfs`: an administrator's words for the objects of the admin server.
//!
//! An object's flags are a struct whose fields are the JSON's; everything else is the same for all objects.

mod credentials;
mod kind;
mod objects;
mod show;
mod verbs;

use std::path::PathBuf;

use anyhow::Result;
use auth::creds::ConfigureCreds;
use clap::{Args, Subcommand};

use super::creds;
use crate::admin_client::{AdminClient, ConfigureClient, ServerProof};
use crate::cli::About;
use crate::progress::Waiting;
use crate::{output, runtime};

/// A command, and what all commands share.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    access: Access,
    #[command(subcommand)]
    command: Command,
}

/// As whom to speak, and how to print.
#[derive(Debug, Args)]
struct Access {
    /// Credentials file [default: ~/.flexfs/configure/creds]
    #[arg(long = "credsFile", value_name = "FILE", global = true)]
    creds_file: Option<PathBuf>,
    /// Print JSON as the admin server has it
    #[arg(long, global = true)]
    json: bool,
}

/// Words of the program.
#[derive(Debug, Subcommand)]
enum Command {
    /// Make the credentials file
    #[command(subcommand)]
    Init(Init),
    /// Remove the credentials file
    #[command(subcommand)]
    Deinit(Deinit),
    /// Make an object and show it, with any token it got
    #[command(subcommand)]
    Create(objects::Create),
    /// List objects, tokens masked
    #[command(subcommand)]
    List(objects::List),
    /// Show one object, its token in full
    #[command(subcommand)]
    Show(objects::Key),
    /// Change the given fields of an object
    #[command(subcommand)]
    Update(objects::Update),
    /// Delete an object: a volume is retired, a volume token ends its mounts
    Delete {
        #[command(subcommand)]
        object: objects::Key,
        /// Do not ask; without a terminal nothing is asked anyway
        #[arg(long, global = true)]
        force: bool,
    },
    #[command(flatten)]
    About(About),
}

/// What to make.
#[derive(Debug, Subcommand)]
enum Init {
    /// Keep address and account token, checked with the admin server
    Creds(credentials::InitCreds),
}

/// What to remove.
#[derive(Debug, Subcommand)]
enum Deinit {
    /// Forget address and token
    Creds,
}

impl Command {
    /// Whether all it does is talk to the server. The others ask their user in between.
    fn talks(&self) -> bool {
        matches!(self, Self::Create(_) | Self::List(_) | Self::Show(_) | Self::Update(_))
    }
}

impl Access {
    fn path(&self) -> Result<PathBuf> {
        creds::file(self.creds_file.as_deref(), ConfigureCreds::default_path)
    }

    fn client(&self) -> Result<ConfigureClient> {
        let creds = ConfigureCreds::load(&self.path()?)?;
        let proof = ServerProof { fingerprint: creds.admin_fingerprint, ca: creds.admin_ca, client: None };
        let admin = AdminClient::for_creds(&creds.admin_addr, &proof)?;
        Ok(ConfigureClient::new(admin, creds.token))
    }
}

/// Carries out a command.
pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { access, command } = arguments;
    let json = access.json;
    let printed = runtime::build()?.block_on(async {
        let _waiting = command.talks().then(|| Waiting::show("waiting for the admin server".to_owned()));
        match command {
            Command::Init(Init::Creds(arguments)) => {
                credentials::init(arguments, &access.path()?).await.map(|()| String::new())
            }
            Command::Deinit(Deinit::Creds) => creds::remove(&access.path()?).map(|()| String::new()),
            Command::Create(object) => verbs::create(&access.client()?, object, json).await,
            Command::List(filter) => verbs::list(&access.client()?, filter, json).await,
            Command::Show(key) => verbs::show(&access.client()?, key, json).await,
            Command::Update(object) => verbs::update(&access.client()?, object, json).await,
            Command::Delete { object, force } => verbs::delete(&access.client()?, object, force, json).await,
            Command::About(about) => about.print().map(|()| String::new()),
        }
    })?;
    output::print(printed.as_bytes())
}

#[cfg(test)]
mod tests;
