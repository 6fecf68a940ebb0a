//! `Authority`: a CA of one's own, and what is wrong with a certificate that it does not vouch for.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, Error, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::provider;
use crate::TransportError;

/// The certificates of a CA, from a PEM file.
#[derive(Clone)]
pub struct Authority {
    path: PathBuf,
    roots: Arc<RootCertStore>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authority").field(&self.path).finish()
    }
}

impl Authority {
    /// Reads the certificates in the file at `path`.
    pub fn load(path: &Path) -> Result<Self, TransportError> {
        let failed =
            |reason: String| TransportError::CertificateFile { path: path.to_owned(), reason: format!("CA: {reason}") };
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| failed(error.to_string()))?;
        if certificates.is_empty() {
            return Err(failed("it holds no certificate in PEM form".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|error| failed(error.to_string()))?;
        }
        Ok(Self { path: path.to_owned(), roots: Arc::new(roots) })
    }

    /// The check of servers.
    pub(super) fn server_verifier(&self) -> Arc<dyn ServerCertVerifier> {
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::new(provider()));
        builder.build().expect("there is a certificate, and no revocation list to be wrong")
    }

    /// The check of clients, who may also show no certificate: what that means is decided later.
    pub(super) fn client_verifier(&self) -> Arc<dyn ClientCertVerifier> {
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.roots), Arc::new(provider()));
        builder.allow_unauthenticated().build().expect("there is a certificate, and no revocation list to be wrong")
    }

    /// Says in one line why a server's certificate was not accepted. Other errors stay.
    pub(super) fn explain(&self, error: Error) -> Error {
        let Error::InvalidCertificate(reason) = &error else { return error };
        let ca = self.path.display();
        let said = match reason {
            CertificateError::ExpiredContext { time, not_after } => {
                format!("expired {}: it needs a new one", before(*time, *not_after))
            }
            CertificateError::Expired => "has expired: it needs a new one".to_owned(),
            CertificateError::NotValidYetContext { time, not_before } => {
                format!(
                    "is not valid yet, but {} from now: look at the clocks of both hosts",
                    apart(*not_before, *time)
                )
            }
            CertificateError::NotValidForNameContext { expected, presented } => format!(
                "is for {}, not for {}: use a name that it has as the address, or have one made for this name",
                names(presented),
                expected.to_str()
            ),
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                format!(
                    "was not issued by the CA in {ca}: give the CA that did, or the server a certificate of this one"
                )
            }
            other => format!("is not accepted under the CA in {ca}: {other}"),
        };
        Error::General(format!("the server's certificate {said}"))
    }
}

fn names(presented: &[String]) -> String {
    // As `DnsName("host")` or `IpAddress(127.0.0.1)`.
    let bare = |name: &String| match name.split_once('(') {
        Some((_, name)) => name.trim_end_matches(')').trim_matches('"').to_owned(),
        None => name.clone(),
    };
    if presented.is_empty() { "no name".to_owned() } else { presented.iter().map(bare).collect::<Vec<_>>().join(", ") }
}

fn before(now: UnixTime, then: UnixTime) -> String {
    format!("{} ago", apart(now, then))
}

/// How far `then` lies before `now`, in the largest unit that there is one of.
fn apart(now: UnixTime, then: UnixTime) -> String {
    let secs = now.as_secs().saturating_sub(then.as_secs());
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second")];
    let (length, unit) = units.into_iter().find(|(length, _)| secs >= *length).unwrap_or((1, "second"));
    let count = secs / length;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}
