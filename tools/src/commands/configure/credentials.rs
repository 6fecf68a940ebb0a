//! `configure.flexfs init creds`.

use std::path::Path;

use anyhow::Result;
use auth::creds::ConfigureCreds;
use auth::{AccountToken, Secret};
use clap::Args;

use super::kind::VOLUME;
use crate::admin_client::ConfigureClient;
use crate::commands::creds::{self, AdminServer};
use crate::failure::usage;
use crate::prompt;

/// Flags of `init creds`.
#[derive(Debug, Args)]
pub(super) struct InitCreds {
    #[command(flatten)]
    admin: AdminServer,
    /// Account token; asked for if left out at a terminal
    #[arg(long, value_parser = prompt::secret_argument)]
    token: Option<Secret>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Writes a file for a token that the admin server accepts.
pub(super) async fn init(arguments: InitCreds, path: &Path) -> Result<()> {
    creds::must_not_exist(path, arguments.force)?;
    let admin = arguments.admin.meet().await?;
    let token = prompt::secret(arguments.token, "--token", "account token")?;
    let token = AccountToken::parse(token.expose()).map_err(|error| usage(format!("--token: {error}")))?;
    // Every account may list its volumes.
    ConfigureClient::new(admin.client, token.clone()).list(VOLUME.table, &[]).await?;
    let (admin_fingerprint, admin_ca) = (admin.fingerprint, admin.ca);
    let creds = ConfigureCreds { admin_addr: admin.addr, token, admin_fingerprint, admin_ca };
    creds.save(path, arguments.force)?;
    creds::say_written(path);
    Ok(())
}
