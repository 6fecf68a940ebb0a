//! A running metadata server together with what it tells the admin server.

use std::cell::Cell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ::meta::{MetaServer, MetaSettings};
use ::metrics::Source;
use anyhow::{Context as _, Result, anyhow};
use proto::rest::MetaRegistration;
use tokio::task::AbortHandle;
use transport::tls::Fingerprint;

use super::follow::follow;
use crate::admin_client::{ClientError, ServerClient};
use crate::runtime;

/// Time between two reports of what the volumes hold.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// Shortest time between two reports of sessions, or of tokens in use: news are told at once, and those that follow together.
const GATHER: Duration = Duration::from_millis(200);
/// Pause after a report that failed, at first.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The last report has so long.
const FAREWELL_MAX: Duration = Duration::from_secs(3);
/// Longest time between two looks at which tokens are in use.
const TOKENS_EVERY: Duration = Duration::from_secs(1);
/// Time between two looks at whether the database still takes writes.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest pause before the admin server is tried again.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// The server and its admin server.
pub(in crate::commands) struct MetaService {
    server: MetaServer,
    admin: ServerClient,
    db_folder: PathBuf,
    /// Number of the first session event that the admin server does not have; `None` before the first report.
    reported: Cell<Option<u64>>,
    /// Ends with this.
    _following: AbortOnDrop,
}

/// A task that does not outlive who holds this.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl MetaService {
    /// Starts serving, and listens for changes on the current runtime. Mounts find the server once [`MetaService::register`] succeeded, now or in an earlier life.
    pub(in crate::commands) fn start(settings: MetaSettings, admin: ServerClient) -> Result<Self> {
        let db_folder = settings.db_folder.clone();
        let server = MetaServer::start(settings, admin.clone())?;
        let following = AbortOnDrop(tokio::spawn(follow(admin.clone(), server.ear())).abort_handle());
        Ok(Self { server, admin, db_folder, reported: Cell::new(None), _following: following })
    }

    /// The address that mounts connect to.
    pub(in crate::commands) fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// By what mounts recognise the server.
    pub(in crate::commands) fn fingerprint(&self) -> Fingerprint {
        self.server.fingerprint()
    }

    /// The server's numbers.
    pub(in crate::commands) fn metrics(&self) -> Box<dyn Source> {
        Box::new(self.server.metrics())
    }

    /// Tells the admin server, and so the mounts, which certificate to expect.
    pub(in crate::commands) async fn register(&self) -> Result<(), ClientError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.admin.register(&MetaRegistration { fingerprint: self.fingerprint().to_string(), version }).await
    }

    /// Keeps in touch with the admin server for ever. Returns only for what no waiting mends: that server refuses this
    /// one, or the database takes no more writes.
    pub(in crate::commands) async fn attend(&self) -> anyhow::Error {
        tokio::select! {
            refused = self.report() => refused,
            refused = self.renew() => refused,
            () = self.admin.renew() => unreachable!("certificates are taken up for ever"),
            () = self.report_sessions() => unreachable!("sessions are reported for ever"),
            () = self.broken() => anyhow!(
                "the metadata database in {} takes no more writes, the log says why: see to the disk, then start again",
                self.db_folder.display()
            ),
        }
    }

    async fn broken(&self) {
        while !self.server.is_broken() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Registers anew each time the certificate was replaced: mounts learn the new one from the admin server.
    async fn renew(&self) -> anyhow::Error {
        loop {
            self.server.certificate_replaced().await;
            if let Err(refused) = self.register_patiently().await {
                return refused;
            }
        }
    }

    /// Registers, waiting out an admin server that is away.
    async fn register_patiently(&self) -> Result<()> {
        let mut pause = Duration::from_millis(500);
        while let Err(error) = self.register().await {
            if !error.is_temporary() {
                return Err(anyhow::Error::new(error).context("the metadata server cannot register"));
            }
            tracing::warn!(%error, "waiting for the admin server; known tokens are served meanwhile");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
        tracing::info!("registered with the admin server");
        Ok(())
    }

    /// Registers, then reports for ever.
    async fn report(&self) -> anyhow::Error {
        if let Err(refused) = self.register_patiently().await {
            return refused;
        }
        tokio::join!(self.report_volumes(), self.report_tokens()).0
    }

    async fn report_volumes(&self) -> anyhow::Error {
        loop {
            if let Err(error) = self.admin.report(&self.server.volume_use()).await {
                tracing::warn!(%error, "the admin server does not hear what volumes hold");
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }

    /// Reports what becomes of sessions, for ever. Until the admin server took it, it is kept, within a bound.
    async fn report_sessions(&self) {
        let mut news = self.server.session_news();
        let mut pause = RETRY_FIRST;
        loop {
            match self.send_sessions().await {
                Ok(()) => {
                    pause = RETRY_FIRST;
                    tokio::time::sleep(GATHER).await;
                    // The sender lives as long as the server.
                    let _ = news.changed().await;
                }
                Err(error) => {
                    tracing::warn!(%error, "the admin server does not hear of sessions; they are told later");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                }
            }
        }
    }

    /// Sends what waits.
    async fn send_sessions(&self) -> Result<(), ClientError> {
        while let Some(report) = self.server.session_report(self.reported.get()) {
            self.admin.report_sessions(&report).await?;
            self.server.reported(report.next);
            self.reported.set(Some(report.next));
        }
        Ok(())
    }

    /// Tells the admin server the rest, and that this server was stopped in order. Does not wait for one that is away.
    async fn say_farewell(&self) {
        let last = async {
            self.send_sessions().await?;
            self.admin.report_sessions(&self.server.last_session_report(self.reported.get().unwrap_or(0))).await
        };
        match tokio::time::timeout(FAREWELL_MAX, last).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the admin server was not told of the last sessions"),
            Err(_) => tracing::warn!("the admin server was not told of the last sessions: no answer in time"),
        }
    }

    /// Says which tokens are in use: soon when that changes, and now and then that they still are.
    async fn report_tokens(&self) {
        let mut news = self.server.session_news();
        let (mut told, mut at, mut pause) = (None, Instant::now(), RETRY_FIRST);
        loop {
            let uses = self.server.token_use();
            if told.as_ref() != Some(&uses) || at.elapsed() >= REPORT_EVERY {
                if let Err(error) = self.admin.report_tokens(&uses).await {
                    tracing::debug!(%error, "the admin server does not hear which tokens are in use");
                    self.server.token_use_untold(&uses);
                    told = None;
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(RETRY_MAX);
                    continue;
                }
                (told, at, pause) = (Some(uses), Instant::now(), RETRY_FIRST);
            }
            tokio::time::sleep(GATHER).await;
            let _ = tokio::time::timeout(TOKENS_EVERY, news.changed()).await;
        }
    }

    /// Says goodbye to the mounts and puts everything on disk. Meanwhile this runtime carries the last questions of the
    /// serving threads.
    pub(in crate::commands) async fn stop(self) -> Result<()> {
        self.say_farewell().await;
        let Self { server, _following: following, .. } = self;
        drop(following);
        runtime::on_thread("stop", move || server.stop()).await?.context("stopping the metadata server")
    }
}

#[cfg(test)]
mod tests;
