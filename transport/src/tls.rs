//! Certificates: made on first start and recognised by their SHA-256 as SSH recognises host keys, or issued by a CA of
//! one's own.
//!
//! A server proves the possession of its key in the handshake. Of a pinned certificate the client compares the fingerprint;
//! names and dates in it are not looked at: nobody vouches for them. Under a CA it is the other way round. Certificates
//! may be replaced while a server runs.

mod authority;
mod fingerprint;
mod identity;
mod pin;
mod verifier;

use std::sync::{Arc, OnceLock};

pub use authority::Authority;
pub use fingerprint::Fingerprint;
pub use identity::Identity;
pub use pin::Pin;
use rustls::crypto::CryptoProvider;
pub(crate) use verifier::GENERAL_PREFIX;
use verifier::Verifier;

/// What a client accepts as the server's certificate.
#[derive(Clone, Debug)]
pub enum Trust {
    /// This certificate only.
    Pinned(Fingerprint),
    /// One of these only: the one that the server has, and the one that it will have.
    AnyOf(Vec<Fingerprint>),
    /// The one that is pinned when the connection is made.
    Renewed(Arc<Pin>),
    /// Any; it is remembered in the cell so that it can be shown to the user and pinned.
    FirstUse(Arc<OnceLock<Fingerprint>>),
    /// Any that this CA issued for the server's name.
    Issued(Authority),
}

/// A TLS client that trusts as said. ALPN is left to the caller.
#[must_use]
pub fn client_config(trust: &Trust) -> rustls::ClientConfig {
    client_builder(trust).with_no_client_auth()
}

/// A TLS client that shows a certificate of its own.
pub fn client_config_as(trust: &Trust, identity: &Identity) -> rustls::ClientConfig {
    client_builder(trust).with_client_cert_resolver(identity.resolver())
}

fn client_builder(trust: &Trust) -> rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert> {
    rustls::ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3 suites")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier::new(trust.clone(), &provider())))
}

/// A TLS server with this identity, whatever it is when a connection is made. With `clients`, whoever shows a certificate
/// must show one of that CA. ALPN is left to the caller.
pub fn server_config(identity: &Identity, clients: Option<&Authority>) -> Result<rustls::ServerConfig, rustls::Error> {
    let builder = rustls::ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    let builder = match clients {
        Some(authority) => builder.with_client_cert_verifier(authority.client_verifier()),
        None => builder.with_no_client_auth(),
    };
    Ok(builder.with_cert_resolver(identity.resolver()))
}

fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

#[cfg(test)]
mod tests;
