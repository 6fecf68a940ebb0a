//! Why the admin server does not start or go on.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Starting and serving. What is wrong with a single request is its answer, not one of these.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A file or folder that cannot be used.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The key of the database is missing, open to others, or another one.
    #[error("key file {path}: {reason}")]
    Key {
        /// The key file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The database cannot be opened.
    #[error("database {path}: {reason}")]
    Database {
        /// The database file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The database was written by a newer program.
    #[error("database {path} has schema {found}, this program knows schemas up to {known}: start a newer admin.flexfs")]
    NewerDatabase {
        /// The database file.
        path: PathBuf,
        /// Schema of the file.
        found: i64,
        /// Newest schema of this program.
        known: i64,
    },
    /// Another server has the database open.
    #[error("folder {0} is in use by another admin server: stop that one, or give another --dbFolder")]
    Locked(PathBuf),
    /// The token given for the root account belongs to another account.
    #[error("the root token is the token of another account: run `admin.flexfs init creds --force` with a new one")]
    RootToken,
    /// The address to listen on is taken or not ours.
    #[error("cannot listen on {addr}: {source}{}", transport::bind_hint(.source))]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The server stopped by itself.
    #[error("serving failed: {0}")]
    Serve(io::Error),
}
