//! `Link`: one thread's connection of the session, made again whenever it is lost.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use auth::MountFlags;
use proto::{Errno, Event, Welcome, codec};
use tokio::sync::watch;
use transport::TransportError;
use transport::client::{Connection, Dialer};
use uuid::Uuid;

use super::backoff::Backoff;
use super::greeting::ENDED;
use super::session::{Failed, Identity, ServerSession};
use crate::MountError;

/// An open connection that greeted.
#[derive(Clone, Debug)]
pub(super) struct Line {
    number: u64,
    pub(super) connection: Connection,
    pub(super) identity: Identity,
}

/// Belongs to the thread and runtime it was made in.
#[derive(Debug)]
pub(crate) struct Link {
    session: Arc<ServerSession>,
    /// Counts the connections.
    numbers: Cell<u64>,
    line: watch::Sender<Option<Line>>,
}

impl Link {
    /// A link that is not connected yet.
    pub(crate) fn new(session: Arc<ServerSession>) -> Self {
        Self { session, numbers: Cell::new(0), line: watch::Sender::new(None) }
    }

    /// The session that all links of the mount share.
    pub(crate) fn session(&self) -> &ServerSession {
        &self.session
    }

    /// Connects once, for a mount that is just being made: what fails is the user's to know.
    pub(crate) async fn connect(&self) -> Result<Welcome, MountError> {
        self.establish(None).await.map_err(|(Failed::Retry(error) | Failed::Ended(error))| error)
    }

    /// Keeps the link connected until the session ends.
    pub(crate) async fn run(&self) {
        let mut backoff = Backoff::default();
        let mut lost = None;
        while !self.session.is_ended() {
            let line = self.line.borrow().clone();
            if let Some(line) = line {
                self.attend(&line).await;
                line.connection.close("reconnecting");
                self.line.send_replace(None);
                lost = Some(Instant::now());
            } else {
                self.reconnect(&mut backoff, lost).await;
            }
        }
    }

    async fn reconnect(&self, backoff: &mut Backoff, lost: Option<Instant>) {
        match self.establish(lost).await {
            Ok(_) => {
                backoff.reset();
                if let Some(lost) = lost {
                    self.session.note_reconnect();
                    tracing::info!(away = ?lost.elapsed(), "metadata server is back");
                }
            }
            Err(Failed::Ended(error)) => self.session.end(&error.to_string()),
            Err(Failed::Retry(error)) => {
                if backoff.is_first() {
                    tracing::warn!(%error, "metadata server is away: operations wait");
                } else {
                    tracing::debug!(%error, "metadata server is still away");
                }
                let pause = backoff.pause(Uuid::new_v4().as_u64_pair().0);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = self.session.wait_ended() => {}
                }
            }
        }
    }

    /// Listens to what the server says unasked, until the connection is gone.
    async fn attend(&self, line: &Line) {
        loop {
            tokio::select! {
                event = line.connection.next_event() => {
                    let Ok((event, receipt)) = event else { return };
                    match codec::decode::<Event>(&event) {
                        Ok(Event::SessionEnded(reason)) => return self.session.end(&reason),
                        Ok(Event::FlagsChanged { flags, fixed_identity, since }) => match MountFlags::from_bits(flags) {
                            Ok(flags) => self.session.take_up_flags(flags, fixed_identity, since, Some(receipt)),
                            // What a flag of a later version forbids is not known here.
                            Err(error) => return self.session.end(&format!("restricted by the server: {error}")),
                        },
                        Ok(Event::Ping) => {}
                        Err(error) => tracing::warn!(%error, "event of the metadata server cannot be read"),
                    }
                }
                reason = line.connection.closed() => {
                    tracing::info!(reason, "connection to the metadata server lost");
                    return;
                }
                _ = self.session.wait_ended() => return,
            }
        }
    }

    async fn establish(&self, lost: Option<Instant>) -> Result<Welcome, Failed> {
        let connection = self.dial().await.map_err(Failed::Retry)?;
        let (identity, welcome) = self.session.attend(&connection, lost).await.inspect_err(|_| {
            connection.close("not joined");
        })?;
        let number = self.numbers.get() + 1;
        self.numbers.set(number);
        self.line.send_replace(Some(Line { number, connection, identity }));
        Ok(welcome)
    }

    /// Connects to the first of the server's addresses that answers.
    async fn dial(&self) -> Result<Connection, MountError> {
        let settings = self.session.settings();
        let addr = &settings.addr;
        let failed = |reason: String| MountError::Server { addr: addr.clone(), reason };
        let resolved = tokio::net::lookup_host(addr).await;
        let mut problem = failed("host:port is needed, and the host must resolve to an address".to_owned());
        for server in resolved.map_err(|error| failed(format!("cannot be resolved ({error}); host:port is needed")))? {
            let dialer = Dialer::new(server, &settings.trust).map_err(|error| failed(error.to_string()))?;
            match dialer.connect(server).await {
                Ok(connection) => return Ok(connection),
                Err(TransportError::Unreachable { reason, .. }) => problem = failed(reason),
                Err(error) => problem = failed(error.to_string()),
            }
        }
        Err(problem)
    }

    /// The connection; waits for one. `EACCES` once the session is over.
    pub(super) async fn line(&self) -> Result<Line, Errno> {
        let mut lines = self.line.subscribe();
        tokio::select! {
            biased;
            line = lines.wait_for(Option::is_some) => line.ok().and_then(|line| line.clone()).ok_or(ENDED),
            _ = self.session.wait_ended() => Err(ENDED),
        }
    }

    /// Gives a connection up that does not answer, and waits until it is no longer the link's.
    pub(super) async fn give_up(&self, line: &Line, reason: &str) {
        line.connection.close(reason);
        let mut lines = self.line.subscribe();
        let replaced = lines.wait_for(|current| current.as_ref().is_none_or(|current| current.number != line.number));
        tokio::select! {
            _ = replaced => {}
            _ = self.session.wait_ended() => {}
        }
    }

    /// Closes the connection for good.
    pub(crate) fn close(&self) {
        if let Some(line) = self.line.send_replace(None) {
            line.connection.close("done");
        }
    }

    /// Closes the connection and with it the session: the mount is over, and nothing is left to be said.
    pub(crate) fn finish(&self) {
        if let Some(line) = self.line.send_replace(None) {
            line.connection.finish("unmounted");
        }
    }
}
