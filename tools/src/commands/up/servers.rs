//! Both servers in this process, each on threads of its own.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use ::admin::{AdminMetrics, AdminSettings};
use ::metrics::Source;
use anyhow::{Context as _, Result, anyhow};
use auth::creds::{AdminCreds, ConfigureCreds, MetaCreds, MountCreds};
use auth::{AccountToken, CredsError, VolumeToken};
use tokio::sync::oneshot;

use super::folder::UpFolder;
use super::provision;
use crate::admin_client::{AdminClient, ConfigureClient, ServerClient, mount_target};
use crate::commands::meta::{MetaService, standard_settings};
use crate::runtime;

/// The servers, provisioned and registered.
pub(super) struct Servers {
    admin: AdminThread,
    meta: MetaService,
    pub(super) client: AdminClient,
    /// What `default` is mounted with.
    pub(super) mount_creds: MountCreds,
}

impl Servers {
    /// Starts both, and sets up what is missing.
    pub(super) async fn start(folder: &UpFolder) -> Result<Self> {
        let root_token = root_token(folder)?;
        let identity = folder.identity()?;
        let fingerprint = identity.fingerprint().to_string();
        let settings = AdminSettings {
            bind_addr: folder.admin_addr(),
            db_folder: folder.admin_db(),
            identity: Some(identity),
            meta_ca: None,
            root_token: root_token.clone(),
        };
        let admin = AdminThread::start(settings).await.map_err(|error| folder.explain(error))?;
        let admin_addr = folder.admin_addr().to_string();
        let creds =
            ConfigureCreds { admin_addr, token: root_token, admin_fingerprint: Some(fingerprint), admin_ca: None };
        creds.save(&folder.creds("configure"), true)?;
        let client = AdminClient::new(&creds.admin_addr, creds.admin_fingerprint.as_deref())?;
        let root = ConfigureClient::new(client.clone(), creds.token.clone());
        let stores = provision::stores(&root, folder).await.context("setting up the stores")?;
        let meta = start_meta(folder, &client, &creds, stores.meta_token.clone())?;
        meta.register().await?;
        let (volume, new) = provision::volume(&root, &stores).await.context("setting up the volume")?;
        let known = match new {
            Some(token) => Some(token),
            None => remembered_token(folder, &client, &volume).await,
        };
        let token = match known {
            Some(token) => token,
            None => provision::token(&root, &volume).await.context("setting up the token")?,
        };
        let mount_creds = MountCreds {
            admin_addr: creds.admin_addr,
            token,
            admin_fingerprint: creds.admin_fingerprint,
            admin_ca: None,
            secret: None,
        };
        mount_creds.save(&folder.creds(provision::VOLUME), true)?;
        Ok(Self { admin, meta, client, mount_creds })
    }

    /// Keeps the servers in touch; returns only when one of them failed.
    pub(super) async fn attend(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.meta.attend() => error,
            error = self.admin.failed() => error,
        }
    }

    /// The numbers of both.
    pub(super) fn metrics(&self) -> [Box<dyn Source>; 2] {
        [Box::new(self.admin.metrics.clone()), self.meta.metrics()]
    }

    /// Where the metadata server listens.
    pub(super) fn meta_addr(&self) -> SocketAddr {
        self.meta.local_addr()
    }

    /// Stops the metadata server, then the admin server that it asks.
    pub(super) async fn stop(self) -> Result<()> {
        let meta = self.meta.stop().await;
        let admin = self.admin.stop();
        meta.and(admin)
    }
}

/// The token of the root account, made the first time.
fn root_token(folder: &UpFolder) -> Result<AccountToken> {
    let file = folder.creds("admin");
    match AdminCreds::load(&file) {
        Err(CredsError::Missing { .. }) => {
            let creds = AdminCreds { token: AccountToken::generate() };
            creds.save(&file, false)?;
            Ok(creds.token)
        }
        loaded => Ok(loaded?.token),
    }
}

fn start_meta(
    folder: &UpFolder,
    client: &AdminClient,
    creds: &ConfigureCreds,
    token: auth::ServerToken,
) -> Result<MetaService> {
    let meta_creds = MetaCreds {
        admin_addr: creds.admin_addr.clone(),
        token: token.clone(),
        admin_fingerprint: creds.admin_fingerprint.clone(),
        admin_ca: None,
        client: None,
        block_user: None,
        block_pass: None,
    };
    meta_creds.save(&folder.creds("meta"), true)?;
    let settings = standard_settings(folder.meta_addr(), folder.meta_db(), folder.identity()?);
    MetaService::start(settings, ServerClient::new(client.clone(), token)).map_err(|error| folder.explain(error))
}

/// The token of an earlier `up`, if it still opens the volume.
async fn remembered_token(folder: &UpFolder, client: &AdminClient, volume: &str) -> Option<VolumeToken> {
    let creds = MountCreds::load(&folder.creds(provision::VOLUME)).ok()?;
    let target = mount_target(client, &creds.token).await.ok()?;
    (target.volume_id.to_string() == volume && target.mount_path == "/").then_some(creds.token)
}

/// The admin server on a thread of its own.
struct AdminThread {
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<anyhow::Error>,
    thread: JoinHandle<()>,
    metrics: AdminMetrics,
}

impl AdminThread {
    /// Returns when the server listens.
    async fn start(settings: AdminSettings) -> Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (listens, is_listening) = oneshot::channel();
        let (tell_failure, mut ended) = oneshot::channel();
        let serve = move || {
            let outcome = runtime::build().and_then(|runtime| {
                runtime.block_on(async {
                    let server = ::admin::bind(settings).await?;
                    // Whoever started the thread waits for this.
                    let _ = listens.send(server.metrics());
                    let stopped = async {
                        // A dropped sender stops the server as well.
                        let _ = stopped.await;
                    };
                    Ok(server.serve(stopped).await?)
                })
            });
            if let Err(error) = outcome {
                // Nobody listens once the whole is being stopped.
                let _ = tell_failure.send(error);
            }
        };
        let thread = std::thread::Builder::new().name("admin".to_owned()).spawn(serve).context("starting a thread")?;
        match is_listening.await {
            Ok(metrics) => Ok(Self { stop, ended, thread, metrics }),
            Err(_) => Err(failed(&mut ended).await),
        }
    }

    /// Waits for the server to fail.
    async fn failed(&mut self) -> anyhow::Error {
        failed(&mut self.ended).await
    }

    fn stop(self) -> Result<()> {
        // It may have ended by itself.
        let _ = self.stop.send(());
        self.thread.join().map_err(|_| anyhow!("the admin server panicked"))
    }
}

async fn failed(ended: &mut oneshot::Receiver<anyhow::Error>) -> anyhow::Error {
    ended.await.unwrap_or_else(|_| anyhow!("the admin server ended")).context("admin server")
}
