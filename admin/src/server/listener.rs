//! Connections in: a bounded number, each with a bounded TLS handshake and a bounded silence.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::api::Peer;

/// Connections open at once, about 64 KiB each; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 1024;
/// A TLS handshake takes no longer.
const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// A connection without progress for so long is closed.
const SILENCE_MAX: Duration = Duration::from_secs(75);
/// Pause after an error of the socket, such as "too many open files".
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Hands out connections whose handshake is done.
pub(super) struct Listener {
    local_addr: SocketAddr,
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    accepting: AbortHandle,
}

impl Listener {
    /// Starts to accept on `socket`. Notes of each peer whether it showed a certificate, where these are wanted.
    pub(super) fn start(
        socket: TcpListener,
        local_addr: SocketAddr,
        acceptor: Option<TlsAcceptor>,
        certificates_wanted: bool,
    ) -> Self {
        let (sender, ready) = mpsc::channel(16);
        let tls = Tls { acceptor, certificates_wanted };
        let accepting = tokio::spawn(accept(socket, tls, sender)).abort_handle();
        Self { local_addr, ready, accepting }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl axum::serve::Listener for Listener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.ready.recv().await {
            Some(connection) => connection,
            // Only while the runtime goes down: there is nothing more to come.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local_addr)
    }
}

impl Connected<IncomingStream<'_, Listener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Listener>) -> Self {
        Self { addr: *stream.remote_addr(), certified: stream.io().certified }
    }
}

/// Accepts for ever. Handshakes run beside each other, so that a slow one holds up nobody; they end with this future.
async fn accept(socket: TcpListener, tls: Tls, ready: mpsc::Sender<(Connection, SocketAddr)>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut handshakes = JoinSet::new();
    loop {
        let place = Arc::clone(&places).acquire_owned().await.expect("nobody closes the semaphore");
        let (stream, peer) = match socket.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (tls, ready) = (tls.clone(), ready.clone());
        handshakes.spawn(async move {
            match tls.handshake(stream).await {
                Ok((stream, certified)) => {
                    drop(ready.send((Connection::new(stream, certified, place), peer)).await);
                }
                Err(error) => tracing::debug!(%peer, %error, "connection refused"),
            }
        });
        while handshakes.try_join_next().is_some() {}
    }
}

/// What a connection begins with.
#[derive(Clone)]
struct Tls {
    acceptor: Option<TlsAcceptor>,
    certificates_wanted: bool,
}

impl Tls {
    /// The stream, and whether the peer proved a certificate; `None` where none is wanted.
    async fn handshake(&self, stream: TcpStream) -> io::Result<(Stream, Option<bool>)> {
        stream.set_nodelay(true)?;
        let Some(acceptor) = &self.acceptor else { return Ok((Box::pin(stream), None)) };
        match timeout(HANDSHAKE_MAX, acceptor.accept(stream)).await {
            Ok(accepted) => {
                let accepted = accepted?;
                let is_certified = accepted.get_ref().1.peer_certificates().is_some();
                Ok((Box::pin(accepted), self.certificates_wanted.then_some(is_certified)))
            }
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no TLS handshake in time")),
        }
    }
}

/// A TCP or TLS stream.
type Stream = Pin<Box<dyn Io + Send>>;

trait Io: AsyncRead + AsyncWrite {}

impl<T: AsyncRead + AsyncWrite> Io for T {}

/// A connection in its place among [`CONNECTIONS_MAX`].
pub(super) struct Connection {
    stream: Stream,
    silence: Pin<Box<Sleep>>,
    certified: Option<bool>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: Stream, certified: Option<bool>, place: OwnedSemaphorePermit) -> Self {
        Self { stream, silence: Box::pin(sleep(SILENCE_MAX)), certified, _place: place }
    }

    /// Bounds the time without progress: of a peer that says nothing, and of one that takes no answer.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
            return progress;
        }
        self.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = this.stream.as_mut().poll_read(cx, buf);
        this.bounded(cx, progress)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let progress = this.stream.as_mut().poll_write(cx, buf);
        this.bounded(cx, progress)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = this.stream.as_mut().poll_flush(cx);
        // Nothing to write is no progress: the silence goes on.
        if progress.is_ready() { progress } else { this.bounded(cx, progress) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let progress = this.stream.as_mut().poll_shutdown(cx);
        this.bounded(cx, progress)
    }
}
