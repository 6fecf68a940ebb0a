//! The admin server's REST interface as typed calls, with errors that tell an administrator what to do.
//!
//! An address with `http://` before it is spoken to in the clear, any other over TLS. A fingerprint pins the server's
//! certificate; without one any certificate is accepted and a warning logged.

mod configure;
mod error;
mod exchange;
mod feed;
mod mount;
mod server;

use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use transport::rest::HttpsClient;
use transport::tls::{Authority, Fingerprint, Identity, Trust};

pub use configure::ConfigureClient;
pub use error::ClientError;
pub use feed::Feed;
pub use mount::mount_target;
pub use server::ServerClient;

/// One admin server, spoken to with any token.
#[derive(Clone, Debug)]
pub struct AdminClient {
    https: HttpsClient,
    seen: Arc<OnceLock<Fingerprint>>,
    /// What it shows of itself.
    own: Option<Identity>,
}

impl AdminClient {
    /// A client of the server at `addr`, whose certificate has `fingerprint` (hex). Nothing is sent yet.
    pub fn new(addr: &str, fingerprint: Option<&str>) -> Result<Self, ClientError> {
        Self::recognising(addr, &ServerProof { fingerprint: fingerprint.map(str::to_owned), ..ServerProof::default() })
    }

    /// A client of the server at `addr`, recognised as said. Nothing is sent yet.
    pub fn recognising(addr: &str, proof: &ServerProof) -> Result<Self, ClientError> {
        check_addr(addr).map_err(|_| ClientError::Address(addr.to_owned()))?;
        let seen = Arc::new(OnceLock::new());
        if let Some(plain) = addr.strip_prefix(PLAIN) {
            if proof.fingerprint.is_some() || proof.ca.is_some() || proof.client.is_some() {
                return Err(ClientError::ProofWithoutTls(addr.to_owned()));
            }
            if !is_loopback(plain) {
                tracing::warn!(addr, "tokens travel to the admin server in the clear");
            }
            // The HTTP library wants a TLS provider even where it speaks none; one that is there already is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            return Ok(Self { https: HttpsClient::new(plain, None)?, seen, own: None });
        }
        let trust = match (&proof.ca, &proof.fingerprint) {
            (Some(ca), _) => Trust::Issued(Authority::load(ca)?),
            (None, Some(pinned)) => Trust::AnyOf(pinned.split(',').map(str::parse).collect::<Result<_, _>>()?),
            (None, None) => Trust::FirstUse(Arc::clone(&seen)),
        };
        let addr = addr.strip_prefix(TLS).unwrap_or(addr);
        let own = proof.client.as_ref().map(|(certificate, key)| Identity::load(certificate, key)).transpose()?;
        let https = match &own {
            Some(own) => HttpsClient::showing(addr, &trust, own)?,
            None => HttpsClient::new(addr, Some(&trust))?,
        };
        Ok(Self { https, seen, own })
    }

    /// The client that credentials describe: as [`AdminClient::recognising`], with a warning where nothing is.
    pub fn for_creds(addr: &str, proof: &ServerProof) -> Result<Self, ClientError> {
        if proof.fingerprint.is_none() && proof.ca.is_none() && !addr.starts_with(PLAIN) {
            tracing::warn!(addr, "the credentials pin no certificate of the admin server: add adminFingerprint");
        }
        Self::recognising(addr, proof)
    }

    /// Takes up the certificate that is shown to the server each time its files are replaced, for ever.
    pub async fn renew(&self) {
        let Some(own) = &self.own else { return std::future::pending().await };
        loop {
            own.replaced().await;
        }
    }

    /// Asks the server for what anybody may know, without a token, and returns the fingerprint of the certificate it
    /// showed: `None` of a server that was pinned, or is spoken to in the clear.
    pub async fn meet(&self) -> Result<Option<Fingerprint>, ClientError> {
        self.send("GET", "/openapi.json", &[], "", None::<&()>).await?;
        Ok(self.seen.get().copied())
    }
}

/// How both ends of a connection to an admin server recognise each other.
#[derive(Clone, Debug, Default)]
pub struct ServerProof {
    /// SHA-256 of its certificate (hex), or of several, comma separated, of which it has one. With neither this nor a CA, any is accepted.
    pub fingerprint: Option<String>,
    /// File with the CA that issues its certificate.
    pub ca: Option<PathBuf>,
    /// Files with the certificate and the key to show to it.
    pub client: Option<(PathBuf, PathBuf)>,
}

/// Marks an address without TLS.
pub(crate) const PLAIN: &str = "http://";
/// May stand before any other.
const TLS: &str = "https://";

/// Checks that `addr` is `host:port` or `host`, with or without a scheme; else says what would be right.
pub(crate) fn check_addr(addr: &str) -> Result<(), String> {
    let bare = addr.strip_prefix(PLAIN).or_else(|| addr.strip_prefix(TLS)).unwrap_or(addr);
    let (host, port) = match bare.strip_prefix('[') {
        Some(rest) => rest.split_once(']').filter(|(ip, _)| ip.parse::<Ipv6Addr>().is_ok()).unwrap_or_default(),
        None => bare.split_at(bare.find(':').unwrap_or(bare.len())),
    };
    let is_host = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_') || (c == ':' && bare.starts_with('[')));
    let is_port =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok_and(|port| port != 0));
    if is_host && is_port { Ok(()) } else { Err(error::bad_addr(addr)) }
}

/// Whether `addr` (`host` or `host:port`) is this machine.
fn is_loopback(addr: &str) -> bool {
    let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests;
