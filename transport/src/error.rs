//! What can go wrong between two hosts, by what the caller should do about it.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Setting up: certificates, sockets, connections.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// A certificate or key file that cannot be used.
    #[error("certificate file {path}: {reason}")]
    CertificateFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Text that is no fingerprint.
    #[error("fingerprint {0:?}: 64 hexadecimal digits (SHA-256 of the server's certificate) are needed")]
    BadFingerprint(String),
    /// The address to listen on is taken or not ours.
    #[error("cannot listen on {addr}: {source}{}", bind_hint(.source))]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// An address that does not resolve.
    #[error("address {addr:?}: {reason}")]
    Resolve {
        /// As the user gave it.
        addr: String,
        /// Why not.
        reason: String,
    },
    /// No server there, or it does not answer.
    #[error("cannot reach {addr}: {reason}")]
    Unreachable {
        /// The server.
        addr: String,
        /// Why not.
        reason: String,
    },
    /// The TLS library refused a configuration or a certificate.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// What to do about an address that cannot be listened on, to be put behind the reason.
#[must_use]
pub fn bind_hint(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::AddrInUse => "; another process has the port: stop that one, or give another address",
        ErrorKind::AddrNotAvailable => "; give an address of this host, such as 0.0.0.0 for all of them",
        ErrorKind::PermissionDenied => "; ports below 1024 are root's: give another port",
        _ => "",
    }
}

/// One call on an open connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connection is gone; whether the request was carried out is unknown.
    #[error("connection lost")]
    Lost,
    /// No answer in time; whether the request was carried out is unknown.
    #[error("no answer in time")]
    Deadline,
    /// Too many calls were long, for too long, for this one to be.
    #[error("no turn for a long call in time")]
    Crowded,
    /// The answer is larger than any message may be.
    #[error("answer exceeds the message limit")]
    TooLarge,
}
