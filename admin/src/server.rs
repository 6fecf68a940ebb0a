//! Starting and stopping the server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use auth::AccountToken;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use transport::tls::{self, Authority, Identity};

use crate::AdminError;
use crate::api::{self, Peer};
use crate::audit::Event;
use crate::db::Database;
use crate::metrics::AdminMetrics;
use crate::resources::accounts;

mod listener;

use listener::Listener;

/// Requests under way when the server is told to stop get this long.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Refusals too many to be told one by one are told as a number so often.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// What the server is started with.
#[derive(Debug)]
pub struct AdminSettings {
    /// Address to listen on; port 0 takes a free one.
    pub bind_addr: SocketAddr,
    /// Folder of the database and its key: made with mode 0700 where absent.
    pub db_folder: PathBuf,
    /// Certificate and key. `None` = plain HTTP, for a host's own loopback or behind a proxy that speaks TLS.
    pub identity: Option<Identity>,
    /// Metadata servers must show a certificate of this CA, if there is one. Needs TLS.
    pub meta_ca: Option<Authority>,
    /// Token of the root account.
    pub root_token: AccountToken,
}

/// A server that listens.
pub struct AdminServer {
    listener: Listener,
    local_addr: SocketAddr,
    router: Router,
    database: Database,
    metrics: AdminMetrics,
    identity: Option<Identity>,
}

/// Begins to listen and opens the database, so that a client may connect when this is back. The address comes first:
/// where it is taken, no database is made.
pub async fn bind(settings: AdminSettings) -> Result<AdminServer, AdminError> {
    let bind_error = |source| AdminError::Bind { addr: settings.bind_addr, source };
    let socket = TcpListener::bind(settings.bind_addr).await.map_err(bind_error)?;
    let local_addr = socket.local_addr().map_err(bind_error)?;
    let folder = settings.db_folder;
    let path = folder.join("admin.db");
    let opening = tokio::task::spawn_blocking(move || Database::open(&folder));
    let database = opening.await.expect("opening the database does not panic")?;
    let root_token = settings.root_token;
    match database.run(move |tx| accounts::ensure_root(tx, &root_token)).await {
        Ok(true) => {}
        Ok(false) => return Err(AdminError::RootToken),
        Err(_) => return Err(AdminError::Database { path, reason: "cannot be written: the log says why".to_owned() }),
    }
    let version = env!("CARGO_PKG_VERSION");
    database.tell(Event { from: local_addr.to_string(), ..Event::new("admin.start") }.with("version", version)).await;
    let meta_ca = settings.meta_ca.as_ref();
    let acceptor = settings.identity.as_ref().map(|identity| acceptor(identity, meta_ca)).transpose()?;
    let metrics = AdminMetrics::default();
    Ok(AdminServer {
        listener: Listener::start(socket, local_addr, acceptor, meta_ca.is_some()),
        identity: settings.identity.clone(),
        local_addr,
        router: api::router(database.clone(), metrics.clone()),
        database,
        metrics,
    })
}

fn acceptor(identity: &Identity, meta_ca: Option<&Authority>) -> Result<TlsAcceptor, rustls::Error> {
    let mut config = tls::server_config(identity, meta_ca)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl AdminServer {
    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The server's numbers, which go on with it.
    #[must_use]
    pub fn metrics(&self) -> AdminMetrics {
        self.metrics.clone()
    }

    /// Serves until `shutdown` completes; requests under way then have five seconds to end.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), AdminError> {
        let (stop, stopped) = oneshot::channel::<()>();
        let service = self.router.into_make_service_with_connect_info::<Peer>();
        let serving = axum::serve(self.listener, service).with_graceful_shutdown(async move {
            // Told to stop, or the caller was dropped: both end serving.
            let _ = stopped.await;
        });
        let mut serving = std::pin::pin!(serving.into_future());
        tokio::select! {
            ended = &mut serving => return ended.map_err(AdminError::Serve),
            () = tell_untold(&self.database) => {}
            () = renew(self.identity, &self.database) => {}
            () = shutdown => {}
        }
        // These answers never end by themselves.
        self.database.feed().close();
        drop(stop);
        let ended = match tokio::time::timeout(DRAIN_MAX, serving).await {
            Ok(ended) => ended.map_err(AdminError::Serve),
            Err(_) => {
                tracing::warn!("connections were still open when the server stopped");
                Ok(())
            }
        };
        self.database.tell_untold().await;
        self.database.tell(Event::new("admin.stop")).await;
        ended
    }
}

/// Takes up certificates that were replaced, for ever.
async fn renew(identity: Option<Identity>, database: &Database) {
    let Some(identity) = identity else { return std::future::pending().await };
    loop {
        let fingerprint = identity.replaced().await;
        database.tell(Event::new("admin.renew").with("fingerprint", fingerprint.to_string())).await;
    }
}

/// Goes on for ever.
async fn tell_untold(database: &Database) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        database.tell_untold().await;
    }
}

impl std::fmt::Debug for AdminServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdminServer").field("local_addr", &self.local_addr).finish_non_exhaustive()
    }
}
