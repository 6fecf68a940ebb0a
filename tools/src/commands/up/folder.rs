//! The data folder of `up`: where everything lies, and the ports that were chosen once.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use ::admin::AdminError;
use ::meta::MetaError;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use transport::TransportError;
use transport::tls::Identity;

use crate::lock::{FileLock, LockError};
use crate::paths;

/// The folder, which one `up` uses at a time.
#[derive(Debug)]
pub(super) struct UpFolder {
    path: PathBuf,
    ports: Ports,
    _lock: FileLock,
}

/// Ports on 127.0.0.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ports {
    admin: u16,
    meta: u16,
}

impl UpFolder {
    /// Where the folder is: as said, else at its usual place.
    pub(super) fn place(given: Option<&Path>) -> Result<PathBuf> {
        given.map_or_else(|| paths::flexfs_folder("up"), paths::absolute)
    }

    /// Opens the folder at `path`; makes it the first time.
    pub(super) fn open(path: &Path) -> Result<Self> {
        paths::make_private_folder(path)?;
        let lock = match FileLock::take(&path.join("lock")) {
            Err(taken @ LockError::Taken { .. }) => bail!(
                "data folder {}: {taken}, another `flexfs up`: stop that one, or give another --dataFolder",
                path.display()
            ),
            taken => taken.with_context(|| format!("data folder {}", path.display()))?,
        };
        let ports = Ports::load_or_choose(&path.join("ports.toml"))?;
        Ok(Self { path: path.to_owned(), ports, _lock: lock })
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Database of the admin server.
    pub(super) fn admin_db(&self) -> PathBuf {
        self.path.join("admin")
    }

    /// Database of the metadata server.
    pub(super) fn meta_db(&self) -> PathBuf {
        self.path.join("meta")
    }

    /// The block store.
    pub(super) fn blocks(&self) -> PathBuf {
        self.path.join("blocks")
    }

    /// Credentials: `admin`, `meta`, `configure`, or a volume's name.
    pub(super) fn creds(&self, name: &str) -> PathBuf {
        self.path.join("creds").join(name)
    }

    /// Certificate and key that both servers use.
    pub(super) fn identity(&self) -> Result<Identity> {
        Ok(Identity::load_or_create(&self.path.join("ssl/cert"), &self.path.join("ssl/key"))?)
    }

    /// Where the admin server listens.
    pub(super) fn admin_addr(&self) -> SocketAddr {
        loopback(self.ports.admin)
    }

    /// Where the metadata server listens.
    pub(super) fn meta_addr(&self) -> SocketAddr {
        loopback(self.ports.meta)
    }

    /// Says of a port that is taken where it is remembered: it was free when it was chosen. Other errors stay.
    pub(super) fn explain(&self, error: anyhow::Error) -> anyhow::Error {
        let is_taken = matches!(error.downcast_ref(), Some(AdminError::Bind { .. }))
            || matches!(error.downcast_ref(), Some(MetaError::Transport(TransportError::Bind { .. })));
        if !is_taken {
            return error;
        }
        let file = self.path.join("ports.toml");
        error.context(format!("the port is remembered in {}: remove that file to choose others", file.display()))
    }
}

impl Ports {
    fn load_or_choose(file: &Path) -> Result<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => toml::from_str(&text).with_context(|| {
                format!("{}: `admin` and `meta` need a port each; or remove the file", file.display())
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let ports = Self::choose().context("choosing ports on 127.0.0.1")?;
                let text = toml::to_string(&ports).expect("two numbers are TOML");
                paths::replace_file(file, &text, 0o600)?;
                Ok(ports)
            }
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    fn choose() -> std::io::Result<Self> {
        let admin = TcpListener::bind(loopback(0))?.local_addr()?.port();
        let meta = UdpSocket::bind(loopback(0))?.local_addr()?.port();
        Ok(Self { admin, meta })
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

#[cfg(test)]
mod tests;
