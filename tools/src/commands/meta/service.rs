//! A running metadata server together with what it tells the admin server.

use std::net::SocketAddr;
use std::time::Duration;

use ::meta::{MetaServer, MetaSettings};
use anyhow::{Context as _, Result};
use proto::rest::MetaRegistration;
use transport::tls::Fingerprint;

use crate::admin_client::{ClientError, ServerClient};
use crate::runtime;

/// Time between two reports of what the volumes hold.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// Longest pause before the admin server is tried again.
const RETRY_MAX: Duration = Duration::from_secs(15);

/// The server and its admin server.
pub(in crate::commands) struct MetaService {
    server: MetaServer,
    admin: ServerClient,
}

impl MetaService {
    /// Starts serving. Mounts find the server once [`MetaService::register`] succeeded, now or in an earlier life.
    pub(in crate::commands) fn start(settings: MetaSettings, admin: ServerClient) -> Result<Self> {
        Ok(Self { server: MetaServer::start(settings, admin.clone())?, admin })
    }

    /// The address that mounts connect to.
    pub(in crate::commands) fn local_addr(&self) -> SocketAddr {
        self.server.local_addr()
    }

    /// By what mounts recognise the server.
    pub(in crate::commands) fn fingerprint(&self) -> Fingerprint {
        self.server.fingerprint()
    }

    /// Tells the admin server, and so the mounts, which certificate to expect.
    pub(in crate::commands) async fn register(&self) -> Result<(), ClientError> {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        self.admin.register(&MetaRegistration { fingerprint: self.fingerprint().to_string(), version }).await
    }

    /// Registers, then reports for ever. Waits out an admin server that is away; returns only when that server refuses
    /// this one, which no waiting mends.
    pub(in crate::commands) async fn attend(&self) -> anyhow::Error {
        let mut pause = Duration::from_millis(500);
        while let Err(error) = self.register().await {
            if !error.is_temporary() {
                return anyhow::Error::new(error).context("the metadata server cannot register");
            }
            tracing::warn!(%error, "waiting for the admin server; known tokens are served meanwhile");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MAX);
        }
        tracing::info!("registered with the admin server");
        loop {
            if let Err(error) = self.admin.report(&self.server.volume_use()).await {
                tracing::warn!(%error, "the admin server does not hear what volumes hold");
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
    }

    /// Says goodbye to the mounts and puts everything on disk. Meanwhile this runtime carries the last questions of the
    /// serving threads.
    pub(in crate::commands) async fn stop(self) -> Result<()> {
        let server = self.server;
        runtime::on_thread("stop", move || server.stop()).await?.context("stopping the metadata server")
    }
}

#[cfg(test)]
mod tests;
