//! Certificates: made on first start, recognised by their SHA-256 as SSH recognises host keys.
//!
//! A server proves the possession of its key in the handshake; the client compares the certificate's fingerprint with the
//! pinned one. Names and dates in certificates are not looked at: nobody vouches for them.

mod fingerprint;
mod identity;
mod pinning;

use std::sync::{Arc, OnceLock};

pub use fingerprint::Fingerprint;
pub use identity::Identity;
pub(crate) use pinning::GENERAL_PREFIX;
use pinning::PinVerifier;

/// What a client accepts as the server's certificate.
#[derive(Clone, Debug)]
pub enum Trust {
    /// This certificate only.
    Pinned(Fingerprint),
    /// Any; it is remembered in the cell so that it can be shown to the user and pinned.
    FirstUse(Arc<OnceLock<Fingerprint>>),
}

/// A TLS client that trusts as said. ALPN is left to the caller.
#[must_use]
pub fn client_config(trust: &Trust) -> rustls::ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3 suites")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinVerifier::new(trust.clone(), &provider)))
        .with_no_client_auth()
}

/// A TLS server with this identity. ALPN is left to the caller.
pub fn server_config(identity: &Identity) -> Result<rustls::ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(identity.chain().to_vec(), identity.key())
}

#[cfg(test)]
mod tests;
