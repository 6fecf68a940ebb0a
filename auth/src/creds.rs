//! Credentials files: small TOML tables that hold a token, readable by their owner alone.
//!
//! A file that others can read or write is refused, not repaired: its token may be known already. No error shows a value
//! out of a file, because it may be the token.

use std::path::{Path, PathBuf};

use crate::{AccountToken, Secret, ServerToken, TokenError, VolumeToken};

mod file;
mod table;

use table::{Fields, Table};

/// Why credentials cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CredsError {
    /// No such file.
    #[error("credentials file {path} does not exist: make it with `{init}`")]
    Missing {
        /// The file.
        path: PathBuf,
        /// The command that makes it.
        init: &'static str,
    },
    /// Others than the owner can read or change the file.
    #[error("credentials file {path} has mode {mode:04o}, so others may know its token: run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is there already.
    #[error("credentials file {0} exists: give --force to replace it")]
    Exists(PathBuf),
    /// The file's contents are wrong.
    #[error("credentials file {path}: {reason}")]
    Contents {
        /// The file.
        path: PathBuf,
        /// The key or line, and what would be right.
        reason: String,
    },
    /// The operating system refused.
    #[error("credentials file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A volume name that cannot be a file's name.
    #[error("volume name {0:?}: it must be a file name, so not empty, not `.` or `..`, and without `/`")]
    VolumeName(String),
    /// Nobody knows where home is.
    #[error("the home folder is unknown: set HOME, or give --credsFile")]
    NoHome,
}

/// What `mount.flexfs` needs to mount one volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountCreds {
    /// `host:port` of the admin server.
    pub admin_addr: String,
    /// The volume token.
    pub token: VolumeToken,
    /// SHA-256 of the admin server's certificate (hex), or of several, comma separated. Absent = the server is not asked for a certificate, or `admin_ca` is.
    pub admin_fingerprint: Option<String>,
    /// File with the CA that issues the admin server's certificate, in place of a fingerprint.
    pub admin_ca: Option<PathBuf>,
    /// Passphrase of an encrypted volume.
    pub secret: Option<Secret>,
}

/// What `meta.flexfs` needs to serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaCreds {
    /// `host:port` of the admin server.
    pub admin_addr: String,
    /// The metadata token.
    pub token: ServerToken,
    /// SHA-256 of the admin server's certificate (hex), or of several, comma separated. Absent = the server is not asked for a certificate, or `admin_ca` is.
    pub admin_fingerprint: Option<String>,
    /// File with the CA that issues the admin server's certificate, in place of a fingerprint.
    pub admin_ca: Option<PathBuf>,
    /// User of the block store, where the admin server's record has none.
    pub block_user: Option<String>,
    /// Password of the block store.
    pub block_pass: Option<Secret>,
    /// Certificate and key (files) that the admin server is shown, where it wants one.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// What `configure.flexfs` needs to administer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigureCreds {
    /// `host:port` of the admin server.
    pub admin_addr: String,
    /// The account token.
    pub token: AccountToken,
    /// SHA-256 of the admin server's certificate (hex), or of several, comma separated. Absent = the server is not asked for a certificate, or `admin_ca` is.
    pub admin_fingerprint: Option<String>,
    /// File with the CA that issues the admin server's certificate, in place of a fingerprint.
    pub admin_ca: Option<PathBuf>,
}

/// What `admin.flexfs` needs to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminCreds {
    /// Token of the root account.
    pub token: AccountToken,
}

impl MountCreds {
    /// `~/.flexfs/mount/creds/<volume>`.
    pub fn default_path(volume: &str) -> Result<PathBuf, CredsError> {
        if volume.is_empty() || volume == "." || volume == ".." || volume.contains(['/', '\0']) {
            return Err(CredsError::VolumeName(volume.to_owned()));
        }
        Ok(home()?.join("mount/creds").join(volume))
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, CredsError> {
        load(path, "mount.flexfs init creds", |fields| {
            Ok(Self {
                admin_addr: fields.text("adminAddr")?,
                token: fields.token("token", VolumeToken::parse)?,
                admin_ca: fields.ca()?,
                admin_fingerprint: fields.optional_text("adminFingerprint")?,
                secret: fields.optional_text("secret")?.map(Secret::new),
            })
        })
    }

    /// Writes the file at `path`, with mode 0600; replaces one only where `force` says so.
    pub fn save(&self, path: &Path, force: bool) -> Result<(), CredsError> {
        let table = Table::default()
            .with("adminAddr", Some(&self.admin_addr))
            .with("token", Some(self.token.expose()))
            .with("adminFingerprint", self.admin_fingerprint.as_deref())
            .with("adminCA", self.admin_ca.as_deref().and_then(Path::to_str))
            .with("secret", self.secret.as_ref().map(Secret::expose));
        file::write(path, &table.into_text(), force)
    }
}

impl MetaCreds {
    /// `~/.flexfs/meta/creds`.
    pub fn default_path() -> Result<PathBuf, CredsError> {
        Ok(home()?.join("meta/creds"))
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, CredsError> {
        load(path, "meta.flexfs init creds", |fields| {
            Ok(Self {
                admin_addr: fields.text("adminAddr")?,
                token: fields.token("token", ServerToken::parse)?,
                admin_ca: fields.ca()?,
                admin_fingerprint: fields.optional_text("adminFingerprint")?,
                block_user: fields.optional_text("blockUser")?,
                block_pass: fields.optional_text("blockPass")?.map(Secret::new),
                client: fields.client()?,
            })
        })
    }

    /// Writes the file at `path`, with mode 0600; replaces one only where `force` says so.
    pub fn save(&self, path: &Path, force: bool) -> Result<(), CredsError> {
        let table = Table::default()
            .with("adminAddr", Some(&self.admin_addr))
            .with("token", Some(self.token.expose()))
            .with("adminFingerprint", self.admin_fingerprint.as_deref())
            .with("adminCA", self.admin_ca.as_deref().and_then(Path::to_str))
            .with("blockUser", self.block_user.as_deref())
            .with("blockPass", self.block_pass.as_ref().map(Secret::expose))
            .with("clientCert", self.client.as_ref().and_then(|(certificate, _)| certificate.to_str()))
            .with("clientKey", self.client.as_ref().and_then(|(_, key)| key.to_str()));
        file::write(path, &table.into_text(), force)
    }
}

impl ConfigureCreds {
    /// `~/.flexfs/configure/creds`.
    pub fn default_path() -> Result<PathBuf, CredsError> {
        Ok(home()?.join("configure/creds"))
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, CredsError> {
        load(path, "configure.flexfs init creds", |fields| {
            Ok(Self {
                admin_addr: fields.text("adminAddr")?,
                token: fields.token("token", AccountToken::parse)?,
                admin_ca: fields.ca()?,
                admin_fingerprint: fields.optional_text("adminFingerprint")?,
            })
        })
    }

    /// Writes the file at `path`, with mode 0600; replaces one only where `force` says so.
    pub fn save(&self, path: &Path, force: bool) -> Result<(), CredsError> {
        let table = Table::default()
            .with("adminAddr", Some(&self.admin_addr))
            .with("token", Some(self.token.expose()))
            .with("adminFingerprint", self.admin_fingerprint.as_deref())
            .with("adminCA", self.admin_ca.as_deref().and_then(Path::to_str));
        file::write(path, &table.into_text(), force)
    }
}

impl AdminCreds {
    /// `~/.flexfs/admin/creds`.
    pub fn default_path() -> Result<PathBuf, CredsError> {
        Ok(home()?.join("admin/creds"))
    }

    /// Reads the file at `path`.
    pub fn load(path: &Path) -> Result<Self, CredsError> {
        load(path, "admin.flexfs init creds", |fields| Ok(Self { token: fields.token("token", AccountToken::parse)? }))
    }

    /// Writes the file at `path`, with mode 0600; replaces one only where `force` says so.
    pub fn save(&self, path: &Path, force: bool) -> Result<(), CredsError> {
        let table = Table::default().with("token", Some(self.token.expose()));
        file::write(path, &table.into_text(), force)
    }
}

/// Reads a file and makes credentials of all its keys: one that nobody asks for is an error.
fn load<T>(
    path: &Path,
    init: &'static str,
    read: impl FnOnce(&mut Fields) -> Result<T, String>,
) -> Result<T, CredsError> {
    let text = file::read(path, init)?;
    let contents = |reason| CredsError::Contents { path: path.to_owned(), reason };
    let mut fields = Fields::parse(&text).map_err(contents)?;
    let creds = read(&mut fields).map_err(contents)?;
    fields.finish().map_err(contents)?;
    Ok(creds)
}

fn home() -> Result<PathBuf, CredsError> {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty()).ok_or(CredsError::NoHome)?;
    Ok(home.join(".flexfs"))
}

#[cfg(test)]
mod tests;
