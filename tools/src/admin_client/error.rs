//! What can go wrong with the admin server, by what its reader should do about it.

use transport::TransportError;

/// A request that brought no result. Holds no token.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server is not there, or is not who it should be.
    #[error("admin server: {error}{}", hint(.error))]
    Transport {
        /// What happened.
        #[from]
        error: TransportError,
    },
    /// Text that is no address.
    #[error("{}", bad_addr(.0))]
    Address(String),
    /// An address in the clear and a certificate contradict each other.
    #[error(
        "admin server {0}: an address with http:// has no certificate to compare; leave the fingerprint or CA out, or http:// away"
    )]
    ProofWithoutTls(String),
    /// The token opens nothing at this server (status 401).
    #[error("admin server {addr}: {line}; {hint}")]
    Unauthorized {
        /// The server.
        addr: String,
        /// Its own words.
        line: String,
        /// How to come by a good token.
        hint: &'static str,
    },
    /// The token is good, but not for this (status 403).
    #[error("{line}")]
    Forbidden {
        /// The server's words.
        line: String,
    },
    /// No such thing, or it is not shown to this token (status 404).
    #[error("{line}")]
    NotFound {
        /// The server's words.
        line: String,
    },
    /// The request is at fault (status 400, 409 and the like).
    #[error("{line}")]
    Refused {
        /// The server's words.
        line: String,
    },
    /// The server is at fault (status 500 and above).
    #[error("admin server {addr} failed (status {status}): {line}; its log says more")]
    Server {
        /// The server.
        addr: String,
        /// HTTP status.
        status: u16,
        /// Its own words.
        line: String,
    },
    /// The answer is not what an admin server of this version says.
    #[error("admin server {addr}: its answer is not understood ({reason}); is it an admin server of this version?")]
    Answer {
        /// The server.
        addr: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ClientError {
    /// Says how to come by a token that opens what this one did not.
    pub(super) fn with_hint(self, hint: &'static str) -> Self {
        match self {
            Self::Unauthorized { addr, line, .. } => Self::Unauthorized { addr, line, hint },
            other => other,
        }
    }

    /// Whether asking again later may help.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            // Another certificate stays another certificate.
            Self::Transport { error: TransportError::Unreachable { reason, .. } } => !reason.contains(CERTIFICATE),
            Self::Server { .. } => true,
            _ => false,
        }
    }
}

/// What is wrong with an address, and what would be right.
pub(super) fn bad_addr(text: &str) -> String {
    format!(
        "admin server {text:?}: HOST:PORT is needed, such as admin.example.com:443, with http:// before it only for a \
         server started with --noSSL"
    )
}

/// What to look at when a server cannot be reached; a wrong certificate explains itself.
fn hint(error: &TransportError) -> &'static str {
    let TransportError::Unreachable { reason, .. } = error else { return "" };
    if reason.contains("corrupt message") {
        "; a server started with --noSSL has an address with http:// before it"
    } else if reason.contains(CERTIFICATE) {
        ""
    } else {
        "; is admin.flexfs running there, and the address right?"
    }
}

/// Word in every complaint about a certificate.
const CERTIFICATE: &str = "certificate";
