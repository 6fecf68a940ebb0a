//! The calling side of a connection.
//!
//! A `Dialer` owns a UDP socket and belongs to the runtime it was made in: one for each thread that talks to the server,
//! so that a call never crosses threads.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::ALPN;
use proto::limits::{HELLO_MAX, MESSAGE_MAX};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ConnectionError, Endpoint, EndpointConfig, ReadError, ReadToEndError, SendStream, TokioRuntime, TransportErrorCode,
    VarInt, WriteError,
};
use tokio::sync::Semaphore;

use crate::quic::{self, CROWDED, LONG_CALLS_MAX, SHORT_MAX};
use crate::socket::enlarge_buffer;
use crate::tls::{self, GENERAL_PREFIX, Trust};
use crate::{CallError, TransportError};

/// A connection attempt that takes longer has failed.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Makes connections from one UDP socket.
#[derive(Debug)]
pub struct Dialer {
    endpoint: Endpoint,
}

impl Dialer {
    /// A dialer for servers reached like `server` (same address family), on the current tokio runtime.
    pub fn new(server: SocketAddr, trust: &Trust) -> Result<Self, TransportError> {
        let any = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let mut endpoint = client_endpoint(any).map_err(|source| TransportError::Bind { addr: any, source })?;
        let mut tls = tls::client_config(trust);
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicClientConfig::try_from(tls).expect("TLS 1.3 is all this client speaks");
        let mut config = quinn::ClientConfig::new(Arc::new(crypto));
        config.transport_config(Arc::new(quic::calling()));
        endpoint.set_default_client_config(config);
        Ok(Self { endpoint })
    }

    /// Connects to `server` within five seconds.
    pub async fn connect(&self, server: SocketAddr) -> Result<Connection, TransportError> {
        let unreachable = |reason: String| TransportError::Unreachable { addr: server.to_string(), reason };
        let connecting = self.endpoint.connect(server, "localhost").map_err(|error| unreachable(error.to_string()))?;
        match tokio::time::timeout(CONNECT_MAX, connecting).await {
            Ok(Ok(connection)) => Ok(Connection { connection, turns: Arc::new(Semaphore::new(LONG_CALLS_MAX)) }),
            Ok(Err(error)) => Err(unreachable(explain(&error))),
            Err(_) => Err(unreachable("no answer in 5 s: is the metadata server running, and UDP let through?".into())),
        }
    }
}

fn client_endpoint(addr: SocketAddr) -> std::io::Result<Endpoint> {
    let socket = UdpSocket::bind(addr)?;
    enlarge_buffer(&socket)?;
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
}

/// Says what a failed handshake means for the user.
fn explain(error: &ConnectionError) -> String {
    match error {
        ConnectionError::TransportError(inner) if inner.code == TransportErrorCode::crypto(ALERT_NO_PROTOCOL) => {
            "it speaks another generation of the protocol: use programs of one version".to_owned()
        }
        ConnectionError::TransportError(inner) if !inner.reason.is_empty() => {
            inner.reason.trim_start_matches(GENERAL_PREFIX).to_owned()
        }
        _ => error.to_string(),
    }
}

/// TLS alert `no_application_protocol` (RFC 7301).
const ALERT_NO_PROTOCOL: u8 = 120;

/// Says, when it is dropped, that an event was acted on.
#[derive(Debug)]
pub struct Receipt {
    /// Ends with this.
    _send: SendStream,
}

/// An open connection. Cheap to clone; calls run concurrently.
#[derive(Clone, Debug)]
pub struct Connection {
    connection: quinn::Connection,
    /// What the server has no turn for would wait there in the way of what it reads.
    turns: Arc<Semaphore>,
}

impl Connection {
    /// The same connection, which makes long calls without waiting for turns.
    #[cfg(test)]
    pub(crate) fn without_manners(&self) -> Self {
        Self { connection: self.connection.clone(), turns: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) }
    }

    /// Sends `request` on a stream of its own and returns the answer. The time until `deadline` begins when it is the turn
    /// of a long request. Dropping the future abandons the call; whether the server carries it out is then unknown.
    pub async fn call(&self, request: &[u8], deadline: Duration) -> Result<Bytes, CallError> {
        // Where the connection is gone, those that have turns fail.
        let _turn = match request.len() <= SHORT_MAX {
            true => None,
            false => self.turns.acquire().await.ok(),
        };
        tokio::time::timeout(deadline, self.exchange(request)).await.map_err(|_| CallError::Deadline)?
    }

    async fn exchange(&self, request: &[u8]) -> Result<Bytes, CallError> {
        let (mut send, mut receive) = self.connection.open_bi().await.map_err(|_| CallError::Lost)?;
        send.write_all(request).await.map_err(|error| match error {
            WriteError::Stopped(CROWDED) => CallError::Crowded,
            _ => CallError::Lost,
        })?;
        send.finish().map_err(|_| CallError::Lost)?;
        match receive.read_to_end(MESSAGE_MAX).await {
            // A server that gave up on the request finishes the stream without a word.
            Ok(reply) if reply.is_empty() => Err(CallError::Lost),
            Ok(reply) => Ok(reply.into()),
            Err(ReadToEndError::TooLong) => Err(CallError::TooLarge),
            Err(ReadToEndError::Read(ReadError::Reset(CROWDED))) => Err(CallError::Crowded),
            Err(ReadToEndError::Read(_)) => Err(CallError::Lost),
        }
    }

    /// The next thing the server says unasked; waits for it without end. The server waits for the receipt.
    pub async fn next_event(&self) -> Result<(Bytes, Receipt), CallError> {
        let (send, mut receive) = self.connection.accept_bi().await.map_err(|_| CallError::Lost)?;
        match receive.read_to_end(HELLO_MAX).await {
            Ok(event) => Ok((event.into(), Receipt { _send: send })),
            Err(ReadToEndError::TooLong) => Err(CallError::TooLarge),
            Err(ReadToEndError::Read(_)) => Err(CallError::Lost),
        }
    }

    /// Waits until the connection is gone and says why, for the log.
    pub async fn closed(&self) -> String {
        self.connection.closed().await.to_string()
    }

    /// Whether the connection is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Ends the connection, and tells the server that nobody comes back; calls in flight fail with [`CallError::Lost`].
    pub fn finish(&self, reason: &str) {
        self.connection.close(quic::FINISHED, reason.as_bytes());
    }

    /// Ends the connection; calls in flight fail with [`CallError::Lost`].
    pub fn close(&self, reason: &str) {
        self.connection.close(VarInt::from_u32(0), reason.as_bytes());
    }
}
