//! The certificate check of a client.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Fingerprint, Trust};

/// Accepts a server by its certificate's fingerprint or its CA, and its possession of the key.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Trust,
    /// The library's own check, under a CA.
    chain: Option<Arc<dyn ServerCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(trust: Trust, provider: &CryptoProvider) -> Self {
        let chain = match &trust {
            Trust::Issued(authority) => Some(authority.server_verifier()),
            _ => None,
        };
        Self { trust, chain, algorithms: provider.signature_verification_algorithms }
    }
}

/// What [`rustls::Error::General`] puts before its text, for those who show the text alone.
pub(crate) const GENERAL_PREFIX: &str = "unexpected error: ";

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let (Trust::Issued(authority), Some(chain)) = (&self.trust, &self.chain) {
            let verified = chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
            return verified.map_err(|error| authority.explain(error));
        }
        let found = Fingerprint::of(end_entity);
        let pinned = match &self.trust {
            Trust::Pinned(pinned) => vec![*pinned],
            Trust::AnyOf(pinned) => pinned.clone(),
            Trust::Renewed(pin) => vec![pin.expected()],
            // A second connection of the same first use must meet the same server.
            Trust::FirstUse(seen) => vec![*seen.get_or_init(|| found)],
            Trust::Issued(_) => unreachable!("checked above"),
        };
        if pinned.contains(&found) {
            return Ok(ServerCertVerified::assertion());
        }
        if let Trust::Renewed(pin) = &self.trust {
            pin.note_miss();
        }
        let pinned = pinned.iter().map(Fingerprint::to_string).collect::<Vec<_>>().join(" or ");
        // `General` is the one error whose text reaches the user through the QUIC and HTTP libraries.
        Err(Error::General(format!(
            "the server shows certificate {found}, pinned is {pinned}: somebody is in between, or the server has a new \
             certificate (then pin it with `init creds --force`)"
        )))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(PeerIncompatible::Tls12NotOffered))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
