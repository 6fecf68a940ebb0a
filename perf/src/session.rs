//! A session with a metadata server, without a mount: requests as a mount sends them.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use auth::VolumeToken;
use proto::{Caller, Greeting, Hello, InodeId, Name, OperationId, Reply, ReplyFrame, Request, RequestFrame, codec};
use transport::client::{Connection, Dialer};
use transport::tls::Trust;

/// A greeting or a request that takes longer has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where to connect.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) trust: Trust,
}

impl Server {
    /// A socket to connect from, on the current runtime. It takes three megabytes.
    pub(crate) fn dialer(&self) -> Result<Arc<Dialer>> {
        Ok(Arc::new(Dialer::new(self.addr, &self.trust)?))
    }
}

/// An open session. Belongs to the runtime of its socket.
#[derive(Debug)]
pub(crate) struct Session {
    connection: Connection,
    /// Holds the socket.
    _dialer: Arc<Dialer>,
    /// Directory that the session sees as its root.
    pub(crate) root: InodeId,
    operations: Cell<u64>,
}

impl Session {
    /// Opens one with `token` from a socket of its own; `place`, with a number behind it, names it in the server's log.
    pub(crate) async fn open(server: &Server, token: &VolumeToken, place: &str) -> Result<Self> {
        Self::open_from(server.dialer()?, server, token, place).await
    }

    /// As [`Self::open`], from a socket that others may use too.
    pub(crate) async fn open_from(
        dialer: Arc<Dialer>,
        server: &Server,
        token: &VolumeToken,
        place: &str,
    ) -> Result<Self> {
        let connection = dialer.connect(server.addr).await?;
        // A place of its own: a session in the place of another asks whether that is still there.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let place = format!("{place} {}.{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let hello = Hello::new(token.expose(), concat!("flexfs bench ", env!("CARGO_PKG_VERSION")), &place);
        let answer =
            connection.call(&codec::encode(&hello), DEADLINE).await.map_err(|error| anyhow!("greeting: {error}"))?;
        match codec::decode(&answer)? {
            Greeting::Welcome(welcome) => {
                Ok(Self { connection, _dialer: dialer, root: welcome.root.ino, operations: Cell::new(0) })
            }
            Greeting::Sorry(refusal, reason) => bail!("a session was refused ({refusal:?}): {reason}"),
        }
    }

    /// Asks as the superuser.
    pub(crate) async fn ask(&self, request: Request) -> Result<Reply> {
        let operation = request.is_mutation().then(|| {
            self.operations.update(|operations| operations + 1);
            OperationId(self.operations.get())
        });
        let frame = RequestFrame { operation, caller: Caller::ROOT, request };
        let word = frame.request.name();
        let answer = self.connection.call(&codec::encode(&frame), DEADLINE).await;
        let answer = answer.map_err(|error| anyhow!("{word}: {error}"))?;
        let reply: ReplyFrame = codec::decode(&answer)?;
        reply.result.map_err(|refused| anyhow!("the server refused {word}: {refused:?}"))
    }

    /// Ends the connection; the session goes when the server finds that nobody comes back.
    pub(crate) fn close(&self) {
        self.connection.close("the measurement is over");
    }
}

/// A name made of `text`.
pub(crate) fn name(text: &str) -> Result<Name> {
    Name::new(text.as_bytes()).map_err(|errno| anyhow!("name {text:?}: {errno}"))
}
