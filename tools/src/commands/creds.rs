//! What all `init creds` and `deinit creds` have in common.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use auth::CredsError;
use clap::Args;

use crate::admin_client::AdminClient;
use crate::prompt;

/// Which admin server.
#[derive(Debug, Args)]
pub(crate) struct AdminServer {
    /// Address of the admin server, host:port; http://host:port for one started with --noSSL
    #[arg(long = "adminAddr", value_name = "ADDR")]
    pub(super) admin_addr: String,
    /// SHA-256 of its certificate, as `admin.flexfs start` prints it [default: shown and pinned at first contact]
    #[arg(long = "adminFingerprint", value_name = "HEX")]
    pub(super) admin_fingerprint: Option<String>,
}

/// An admin server whose certificate is known from here on.
pub(crate) struct KnownServer {
    pub(super) client: AdminClient,
    pub(super) fingerprint: Option<String>,
}

impl AdminServer {
    /// Meets the server. No token is sent before its certificate was compared, or shown to whoever is there to see it.
    pub(super) async fn meet(&self) -> Result<KnownServer> {
        let stranger = AdminClient::new(&self.admin_addr, self.admin_fingerprint.as_deref())?;
        let shown = stranger.meet().await?;
        let Some(shown) = shown else {
            return Ok(KnownServer { client: stranger, fingerprint: self.admin_fingerprint.clone() });
        };
        println!("admin server {} shows the certificate with SHA-256\n{shown}", self.admin_addr);
        if prompt::is_interactive() && !prompt::confirm("Is this what `admin.flexfs start` printed?")? {
            bail!("nothing was written: the certificate was not accepted");
        }
        let fingerprint = shown.to_string();
        let client = AdminClient::new(&self.admin_addr, Some(&fingerprint))?;
        Ok(KnownServer { client, fingerprint: Some(fingerprint) })
    }
}

/// Where a credentials file lies: as said, else its usual place.
pub(super) fn file(given: Option<&Path>, usual: impl FnOnce() -> Result<PathBuf, CredsError>) -> Result<PathBuf> {
    Ok(given.map_or_else(usual, |given| Ok(given.to_owned()))?)
}

/// Refuses early what saving would refuse after all questions were answered.
pub(super) fn must_not_exist(path: &Path, force: bool) -> Result<()> {
    if !force && path.symlink_metadata().is_ok() {
        return Err(CredsError::Exists(path.to_owned()).into());
    }
    Ok(())
}

/// `deinit creds`.
pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("credentials file {} does not exist", path.display())
        }
        outcome => outcome.with_context(|| format!("cannot remove credentials file {}", path.display()))?,
    }
    println!("removed {}", path.display());
    Ok(())
}

/// The last line of every `init creds`.
pub(super) fn say_written(path: &Path) {
    println!("wrote {}", path.display());
}
