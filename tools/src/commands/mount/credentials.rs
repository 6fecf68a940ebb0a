//! `mount.flexfs init creds` and `deinit creds`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use auth::creds::MountCreds;
use auth::{Secret, VolumeToken};
use clap::Args;

use crate::admin_client::mount_target;
use crate::commands::creds::{self, AdminServer};
use crate::failure::usage;
use crate::{prompt, runtime};

/// Flags of `init creds`.
#[derive(Debug, Args)]
pub(crate) struct InitCreds {
    /// Name of the volume
    #[arg(value_parser = creds::volume_name)]
    name: String,
    #[command(flatten)]
    admin: AdminServer,
    /// Volume token, as `configure.flexfs` shows it; asked for if left out at a terminal
    #[arg(long, value_parser = prompt::secret_argument)]
    token: Option<Secret>,
    /// Credentials file [default: ~/.flexfs/mount/creds/NAME]
    #[arg(long = "credsFile", value_name = "FILE")]
    creds_file: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

/// Flags of `deinit creds`.
#[derive(Debug, Args)]
pub(crate) struct DeinitCreds {
    /// Name of the volume
    #[arg(value_parser = creds::volume_name)]
    name: String,
    /// Credentials file [default: ~/.flexfs/mount/creds/NAME]
    #[arg(long = "credsFile", value_name = "FILE")]
    creds_file: Option<PathBuf>,
}

/// Writes a file for a token that the admin server accepts.
pub(super) fn init(arguments: InitCreds) -> Result<()> {
    runtime::build()?.block_on(async {
        let path = creds::file(arguments.creds_file.as_deref(), || MountCreds::default_path(&arguments.name))?;
        creds::must_not_exist(&path, arguments.force)?;
        let admin = arguments.admin.meet().await?;
        let token = prompt::secret(arguments.token, "--token", "volume token")?;
        let token = VolumeToken::parse(token.expose()).map_err(|error| usage(format!("--token: {error}")))?;
        let target = mount_target(&admin.client, &token).await?;
        if target.volume_name != arguments.name {
            bail!(
                "the token opens volume {:?}, not {:?}: give that name, or another token",
                target.volume_name,
                arguments.name
            );
        }
        let (admin_fingerprint, admin_ca) = (admin.fingerprint, admin.ca);
        MountCreds { admin_addr: admin.addr, token, admin_fingerprint, admin_ca, secret: None }
            .save(&path, arguments.force)?;
        creds::say_written(&path);
        Ok(())
    })
}

/// Removes the file.
pub(super) fn deinit(arguments: &DeinitCreds) -> Result<()> {
    creds::remove(&creds::file(arguments.creds_file.as_deref(), || MountCreds::default_path(&arguments.name))?)
}
