//! The data folder of `up`: where everything lies, and the ports that were chosen once.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use transport::tls::Identity;

use crate::lock::FileLock;
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
    /// Opens the folder at `given`, or at its usual place; makes it the first time.
    pub(super) fn open(given: Option<&Path>) -> Result<Self> {
        let path = given.map_or_else(|| paths::flexfs_folder("up"), paths::absolute)?;
        paths::make_private_folder(&path)?;
        let context = || format!("data folder {} of another `flexfs up`", path.display());
        let lock = FileLock::take(&path.join("lock")).with_context(context)?;
        let ports = Ports::load_or_choose(&path.join("ports.toml"))?;
        Ok(Self { path, ports, _lock: lock })
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

    /// What to say where a port is taken: it was free when it was chosen.
    pub(super) fn port_hint(&self) -> String {
        format!(
            "its port is remembered in {}; remove that file to choose others",
            self.path.join("ports.toml").display()
        )
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
mod tests {
    use super::*;

    #[test]
    fn ports_are_chosen_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = UpFolder::open(Some(folder.path())).unwrap();
        let addrs = (first.admin_addr(), first.meta_addr());
        let error = format!("{:#}", UpFolder::open(Some(folder.path())).unwrap_err());
        assert!(error.contains("another `flexfs up`: in use by process"), "{error}");
        drop(first);
        let second = UpFolder::open(Some(folder.path())).unwrap();
        assert_eq!((second.admin_addr(), second.meta_addr()), addrs);
    }

    #[test]
    fn damaged_port_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ports.toml"), "admin = 99999").unwrap();
        let error = format!("{:#}", UpFolder::open(Some(folder.path())).unwrap_err());
        assert!(error.contains("ports.toml"), "{error}");
    }
}
