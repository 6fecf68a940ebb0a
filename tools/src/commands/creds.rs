//! What all `init creds` and `deinit creds` have in common.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use auth::CredsError;
use clap::Args;
use transport::tls::Fingerprint;

use crate::admin_client::{AdminClient, PLAIN, ServerProof, check_addr};
use crate::failure::usage;
use crate::progress::Waiting;
use crate::{paths, prompt};

/// Which admin server.
#[derive(Debug, Args)]
pub(crate) struct AdminServer {
    /// Address of the admin server, host:port; http://host:port for one started with --noSSL
    #[arg(long = "adminAddr", value_name = "ADDR", value_parser = address)]
    addr: String,
    /// SHA-256 of its certificate, as `admin.flexfs start` prints it; also of the next one it will have, comma separated
    /// [default: shown and pinned at first contact]
    #[arg(long = "adminFingerprint", value_name = "HEX", value_delimiter = ',')]
    fingerprint: Vec<Fingerprint>,
    /// CA that issued its certificate (PEM file): any certificate of this CA for the address is then accepted
    #[arg(long = "caCert", value_name = "FILE", conflicts_with = "fingerprint")]
    ca: Option<PathBuf>,
    /// It was started with --noSSL: the same as http:// before the address
    #[arg(long = "noAdminSSL", conflicts_with_all = ["fingerprint", "ca"])]
    no_ssl: bool,
}

fn address(text: &str) -> Result<String, String> {
    check_addr(text).map(|()| text.to_owned())
}

/// Checks the name of a volume: a token in its place would become part of file names and errors.
pub(super) fn volume_name(text: &str) -> Result<String, &'static str> {
    match uuid::Uuid::try_parse(text) {
        Ok(_) => Err("the name of a volume is needed, not an id or a token"),
        Err(_) => Ok(text.to_owned()),
    }
}

/// An admin server whose certificate is known from here on.
pub(crate) struct KnownServer {
    pub(super) client: AdminClient,
    /// As credentials files have it.
    pub(super) addr: String,
    pub(super) fingerprint: Option<String>,
    /// The CA's file, as an absolute path.
    pub(super) ca: Option<PathBuf>,
}

impl AdminServer {
    /// Meets the server. No token is sent before its certificate was compared, or shown to whoever is there to see it.
    pub(super) async fn meet(&self) -> Result<KnownServer> {
        self.meet_as(None).await
    }

    /// As [`AdminServer::meet`], showing it a certificate.
    pub(super) async fn meet_as(&self, client: Option<(PathBuf, PathBuf)>) -> Result<KnownServer> {
        let addr = match self.no_ssl && !self.addr.starts_with(PLAIN) {
            true => format!("{PLAIN}{}", self.addr),
            false => self.addr.clone(),
        };
        let ca = self.ca.as_deref().map(|file| text_path("--caCert", file)).transpose()?;
        let pinned: Vec<String> = self.fingerprint.iter().map(Fingerprint::to_string).collect();
        let pinned = (!pinned.is_empty()).then(|| pinned.join(","));
        let mut proof = ServerProof { fingerprint: pinned, ca, client };
        let stranger = AdminClient::recognising(&addr, &proof)?;
        let waiting = Waiting::show(format!("waiting for admin server {addr}"));
        let shown = stranger.meet().await?;
        drop(waiting);
        let client = match shown {
            None => stranger,
            Some(shown) => {
                println!("admin server {addr} shows the certificate with SHA-256\n{shown}");
                if prompt::is_interactive()
                    && !prompt::confirm("Is this what the admin server printed when it was started?")?
                {
                    bail!("nothing was written: the certificate was not accepted");
                }
                proof.fingerprint = Some(shown.to_string());
                AdminClient::recognising(&addr, &proof)?
            }
        };
        Ok(KnownServer { client, addr, fingerprint: proof.fingerprint, ca: proof.ca })
    }
}

/// `file` as it can stand in a credentials file: absolute, and text.
pub(super) fn text_path(flag: &str, file: &Path) -> Result<PathBuf> {
    let path = paths::absolute(file)?;
    match path.to_str() {
        Some(_) => Ok(path),
        None => Err(usage(format!("{flag} {}: a path in UTF-8 is needed", path.display()))),
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
