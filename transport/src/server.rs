//! The answering side: one listener for each serving thread, all on one UDP port.
//!
//! The kernel keeps a connection's packets on one socket of the port, by the ids that `steer` gives out, so a connection
//! lives on one thread from its first packet to its last.

mod steer;
mod turns;

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use bytes::{Bytes, BytesMut};
use proto::ALPN;
use proto::limits::MESSAGE_MAX;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{ConnectionError, Endpoint, EndpointConfig, RecvStream, SendStream, VarInt};
use socket2::{Domain, Protocol, Socket, Type};

use self::steer::SteeredIds;
pub use self::turns::Holder;
use self::turns::{OF_LISTENER, Pool, Turn, Turns};
use crate::quic::{self, CROWDED, SHORT_MAX};
use crate::socket::enlarge_buffer;
use crate::tls::{self, Identity};
use crate::{CallError, TransportError};

/// A peer has so long to send a short request, or the head of a long one: a slow one holds a stream, never a thread.
const REQUEST_MAX: Duration = Duration::from_secs(20);
/// A peer has so long to make room for a short answer.
const REPLY_MAX: Duration = Duration::from_secs(20);
/// Handshakes that wait for [`Listener::accept`], and bytes kept of each one's next packets.
const ARRIVALS_MAX: usize = 1024;
const ARRIVAL_BUFFER_MAX: u64 = 16 << 10;
/// One of the sockets that share a port.
#[derive(Debug)]
pub struct ServerSocket {
    socket: UdpSocket,
    index: u16,
    count: u16,
}

impl ServerSocket {
    /// The address that it is bound to.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Binds `threads` sockets to one address; port 0 picks a free port. A connection that begins with a packet on CPU n goes
/// to socket n, as long as there are so many. Fails where any other process has the port.
pub fn bind(addr: SocketAddr, threads: usize) -> Result<Vec<ServerSocket>, TransportError> {
    let failed = |source| TransportError::Bind { addr, source };
    let count = u16::try_from(threads).unwrap_or(u16::MAX);
    // Sockets that share a port would also share it with a stranger: a plain one finds out first, and picks the port.
    let probe = UdpSocket::bind(addr).map_err(failed)?;
    let addr = probe.local_addr().map_err(failed)?;
    drop(probe);
    let bound = |index| shared_socket(addr).map(|socket| ServerSocket { socket, index, count });
    let sockets = (0..count).map(bound).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if let Some(first) = sockets.first().filter(|_| count > 1) {
        steer::steer(first.socket.as_fd(), count).map_err(failed)?;
    }
    Ok(sockets)
}

fn shared_socket(addr: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    enlarge_buffer(&socket)?;
    socket.bind(&addr.into())?;
    Ok(socket.into())
}

/// Accepts connections on one socket.
#[derive(Debug)]
pub struct Listener {
    endpoint: Endpoint,
    connections_max: usize,
    pool: Arc<Pool>,
}

impl Listener {
    /// Serves `socket` on the current tokio runtime. Turns peers away while `connections_max` connections are open,
    /// those that greet included. A peer that was not admitted costs at most about 64 KiB, an admitted one at its worst
    /// about 20 MiB, for 128 calls: 1 MiB of requests that were not read, 32 KiB for the head of each request, 24 KiB for
    /// each short answer and what it is made of, and where requests come in the smallest of pieces 112 KiB for each in
    /// quinn's books (2,048 pieces of 56 bytes). Long calls come on top, of all peers together no more than there are
    /// turns, of up to 6 MiB each: a request's buffer grows to twice its length, and is read into as much again.
    pub fn new(socket: ServerSocket, identity: &Identity, connections_max: usize) -> Result<Self, TransportError> {
        let ServerSocket { socket, index, count } = socket;
        let addr = socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0; 4], 0)));
        let mut tls = tls::server_config(identity, None)?;
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let crypto = QuicServerConfig::try_from(tls).expect("TLS 1.3 is all this server speaks");
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config
            .transport_config(Arc::new(quic::answering()))
            .max_incoming(ARRIVALS_MAX)
            .incoming_buffer_size(ARRIVAL_BUFFER_MAX)
            .incoming_buffer_size_total(ARRIVALS_MAX as u64 * ARRIVAL_BUFFER_MAX);
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(endpoint_config(identity, index, count), Some(config), socket, runtime)
            .map_err(|source| TransportError::Bind { addr, source })?;
        Ok(Self { endpoint, connections_max, pool: Pool::new(OF_LISTENER) })
    }

    /// The next peer that began a handshake; `None` once the listener is closed. The handshake itself is
    /// [`Arrival::establish`], to be awaited in a task of its own.
    pub async fn accept(&self) -> Option<Arrival> {
        loop {
            let incoming = self.endpoint.accept().await?;
            if self.endpoint.open_connections() < self.connections_max {
                return Some(Arrival { incoming, pool: Arc::clone(&self.pool) });
            }
            tracing::warn!(from = %incoming.remote_address(), open = self.connections_max, "full: peer refused");
            incoming.refuse();
        }
    }

    /// Ends all connections and waits until the peers were told.
    pub async fn close(&self, reason: &str) {
        self.endpoint.close(VarInt::from_u32(0), reason.as_bytes());
        self.endpoint.wait_idle().await;
    }
}

/// Connection ids and reset tokens that the next process on the same identity recognises: a peer of this one then learns
/// from its first packet that the connection is gone.
fn endpoint_config(identity: &Identity, index: u16, count: u16) -> EndpointConfig {
    let reset_key = hmac::Key::new(hmac::HMAC_SHA256, &identity.derived_secret("quic stateless reset"));
    let cid_secret = identity.derived_secret("quic connection ids");
    let cid_key = u64::from_le_bytes(*cid_secret.first_chunk().expect("the secret has 32 bytes"));
    let mut config = EndpointConfig::new(Arc::new(reset_key));
    config.cid_generator(move || Box::new(SteeredIds::new(cid_key, index, count)));
    config
}

/// A peer at the door.
#[derive(Debug)]
pub struct Arrival {
    incoming: quinn::Incoming,
    pool: Arc<Pool>,
}

impl Arrival {
    /// Where it comes from.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Has the peer show that it receives what is sent to its address, where it did not yet: it comes again with a proof.
    /// Costs it a round trip, and this side nothing: nobody fills our tables from addresses that are not theirs.
    pub fn prove_address(self) -> Option<Self> {
        match self.incoming.retry() {
            Ok(()) => None,
            Err(proven) => Some(Self { incoming: proven.into_incoming(), pool: self.pool }),
        }
    }

    /// Leaves the peer without an answer: it knocks again a little later.
    pub fn ignore(self) {
        self.incoming.ignore();
    }

    /// Completes the handshake. The peer may then make one call of at most [`proto::limits::HELLO_MAX`] bytes, until it is admitted.
    pub async fn establish(self) -> Result<Peer, CallError> {
        let connection = self.incoming.await.map_err(|_| CallError::Lost)?;
        Ok(Peer { connection, pool: self.pool, admitted: None })
    }
}

/// A connected peer.
#[derive(Clone, Debug)]
pub struct Peer {
    connection: quinn::Connection,
    pool: Arc<Pool>,
    /// None before it is admitted: what it says is short.
    admitted: Option<Arc<Admitted>>,
}

/// What the calls of an admitted peer share.
#[derive(Debug)]
struct Admitted {
    connection: quinn::Connection,
    turns: Turns,
}

impl Peer {
    /// Where it comes from.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Lets a peer that proved who it is make many calls side by side, of full length where it is its turn.
    pub fn admit(&mut self, holder: Holder) {
        let (connection, turns) = (self.connection.clone(), Turns::new(Arc::clone(&self.pool), holder));
        self.admitted = Some(Arc::new(Admitted { connection, turns }));
        quic::trust(&self.connection);
    }

    /// The next call that the peer began. The request is not read yet.
    pub async fn accept(&self) -> Result<Call, CallError> {
        let (send, receive) = self.connection.accept_bi().await.map_err(|_| CallError::Lost)?;
        Ok(Call { send, receive, admitted: self.admitted.clone(), turn: None })
    }

    /// Says something unasked, and waits until the peer has acted on it: without end, where it never does.
    pub async fn tell(&self, event: &[u8]) -> Result<(), CallError> {
        let (mut send, mut receive) = self.connection.open_bi().await.map_err(|_| CallError::Lost)?;
        send.write_all(event).await.map_err(|_| CallError::Lost)?;
        send.finish().map_err(|_| CallError::Lost)?;
        match receive.read_chunk(1, true).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) | Err(_) => Err(CallError::Lost),
        }
    }

    /// Ends the connection.
    pub fn close(&self, reason: &str) {
        self.connection.close(VarInt::from_u32(0), reason.as_bytes());
    }

    /// Whether the peer ended the connection with the word that it does not come back.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        let reason = self.connection.close_reason();
        matches!(reason, Some(ConnectionError::ApplicationClosed(close)) if close.error_code == quic::FINISHED)
    }

    /// Waits until the connection is gone.
    pub async fn closed(&self) {
        self.connection.closed().await;
    }
}

/// One call.
///
/// Long ones are few at once, whatever peers do: a request is read beyond its head only in its turn, and the turn lasts
/// until what was long of the call is done with. What others send meanwhile waits in their streams' windows.
#[derive(Debug)]
pub struct Call {
    send: SendStream,
    receive: RecvStream,
    admitted: Option<Arc<Admitted>>,
    turn: Option<Turn>,
}

impl Call {
    /// Reads the request, at most `len_max` bytes. A short one has twenty seconds, and so has the head of a long one; what
    /// follows has its turn.
    pub async fn request(&mut self, len_max: usize) -> Result<Bytes, CallError> {
        let len_max = len_max.min(MESSAGE_MAX);
        let mut request = BytesMut::new();
        let head = self.read_head(&mut request, len_max);
        let is_all = tokio::time::timeout(REQUEST_MAX, head).await.map_err(|_| CallError::Deadline)??;
        if !is_all {
            self.take_turn().await?;
            self.read_rest(&mut request, len_max).await?;
        }
        Ok(request.freeze())
    }

    /// Whether that was all of the request.
    async fn read_head(&mut self, request: &mut BytesMut, len_max: usize) -> Result<bool, CallError> {
        while request.len() <= SHORT_MAX {
            match self.receive.read_chunk(SHORT_MAX + 1 - request.len(), true).await.map_err(|_| CallError::Lost)? {
                Some(chunk) => append(request, &chunk.bytes, len_max)?,
                None => return Ok(true),
            }
        }
        Ok(false)
    }

    async fn read_rest(&mut self, request: &mut BytesMut, len_max: usize) -> Result<(), CallError> {
        let Some(turn) = &mut self.turn else { return Err(CallError::TooLarge) };
        loop {
            let chunk = turn.lasts(self.receive.read_chunk(MESSAGE_MAX, true)).await?;
            let Some(chunk) = chunk.map_err(|_| CallError::Lost)? else { return Ok(()) };
            turn.note(chunk.bytes.len());
            append(request, &chunk.bytes, len_max)?;
        }
    }

    /// Waits until few enough calls are long, where this one has no turn yet: as long as the peer is there, and five
    /// seconds at the most.
    pub async fn take_turn(&mut self) -> Result<(), CallError> {
        let Some(admitted) = self.admitted.as_ref().filter(|_| self.turn.is_none()) else { return Ok(()) };
        let turn = tokio::select! {
            turn = admitted.turns.turn() => turn?,
            _ = admitted.connection.closed() => return Err(CallError::Lost),
        };
        self.turn = Some(turn);
        Ok(())
    }

    /// Whether an answer of so many bytes may be given without waiting: it is short, or the call has a turn, or there is one
    /// to be had at once.
    pub fn may_answer(&mut self, len: usize) -> bool {
        if len > SHORT_MAX && self.turn.is_none() {
            self.turn = self.admitted.as_ref().and_then(|admitted| admitted.turns.turn_now());
        }
        len <= SHORT_MAX || self.turn.is_some()
    }

    /// Lets others have the turn: what was long of the request is not held any more.
    pub fn end_turn(&mut self) {
        self.turn = None;
    }

    /// Waits until the peer does not want the answer any more, or is gone.
    pub async fn given_up(&mut self) {
        let _ = self.send.stopped().await;
    }

    /// Answers. A call dropped without an answer fails at the peer, and so does one whose answer the peer did not make
    /// room for in time. A long answer is given in a turn, and waits for it; a peer that does not take it in is dropped.
    pub async fn reply(mut self, reply: Bytes) -> Result<(), CallError> {
        let delivered = match reply.len() <= SHORT_MAX {
            true => {
                self.end_turn();
                let sent = tokio::time::timeout(REPLY_MAX, send(&mut self.send, reply)).await;
                sent.unwrap_or(Err(CallError::Deadline))
            }
            false => self.reply_at_length(reply).await,
        };
        match delivered {
            Err(CallError::Crowded) => self.refuse(CROWDED),
            // A dropped stream would end as if half the answer were all of it.
            Err(_) => self.refuse(VarInt::from_u32(0)),
            Ok(()) => {}
        }
        delivered
    }

    /// Ends the call without an answer, and has the peer make it again a little later.
    pub fn postpone(mut self) {
        self.refuse(CROWDED);
    }

    fn refuse(&mut self, why: VarInt) {
        // Nothing is left to do where the peer is gone.
        let _ = self.receive.stop(why);
        let _ = self.send.reset(why);
    }

    async fn reply_at_length(&mut self, reply: Bytes) -> Result<(), CallError> {
        self.take_turn().await?;
        let Some(turn) = &mut self.turn else { return Err(CallError::TooLarge) };
        turn.note(reply.len());
        let taken_in = turn.lasts(async {
            send(&mut self.send, reply).await?;
            self.send.stopped().await.map(drop).map_err(|_| CallError::Lost)
        });
        let delivered = taken_in.await;
        if let Some(admitted) = self.admitted.as_ref().filter(|_| delivered.is_err()) {
            admitted.connection.close(VarInt::from_u32(0), b"an answer was not taken in");
        }
        delivered?
    }
}

async fn send(stream: &mut SendStream, reply: Bytes) -> Result<(), CallError> {
    stream.write_chunk(reply).await.map_err(|_| CallError::Lost)?;
    stream.finish().map_err(|_| CallError::Lost)
}

fn append(request: &mut BytesMut, bytes: &[u8], len_max: usize) -> Result<(), CallError> {
    if request.len() + bytes.len() > len_max {
        return Err(CallError::TooLarge);
    }
    request.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests;
