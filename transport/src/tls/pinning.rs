//! The certificate check of a pinning client.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::{DigitallySignedStruct, Error, PeerIncompatible, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::{Fingerprint, Trust};

/// Accepts a server by its certificate's fingerprint and its possession of the key.
#[derive(Debug)]
pub(super) struct PinVerifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinVerifier {
    pub(super) fn new(trust: Trust, provider: &CryptoProvider) -> Self {
        Self { trust, algorithms: provider.signature_verification_algorithms }
    }
}

/// What [`rustls::Error::General`] puts before its text, for those who show the text alone.
pub(crate) const GENERAL_PREFIX: &str = "unexpected error: ";

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let found = Fingerprint::of(end_entity);
        let pinned = match &self.trust {
            Trust::Pinned(pinned) => *pinned,
            // A second connection of the same first use must meet the same server.
            Trust::FirstUse(seen) => *seen.get_or_init(|| found),
        };
        if pinned == found {
            return Ok(ServerCertVerified::assertion());
        }
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
