//! The metadata server: QUIC in front of the engine.
//!
//! One thread pinned to each core, with its own socket on the shared port, its own single-threaded runtime and the
//! connections that the kernel hands it; requests are answered on the thread that received them. What they share is the engine's
//! volumes, the session table and the authenticator. Housekeeping (lost mounts, sweeping) runs on a thread of its own,
//! the watch over tokens on another, waiting for the disk on a third.

mod bounds;
mod breaches;
mod committer;
mod greet;
mod hosted;
mod housekeeping;
mod journal;
mod lock_wait;
mod long_answer;
mod metrics;
mod peer;
mod remembered;
mod sessions;
mod space;
mod token_use;
mod watch;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use auth::{Authenticator, AuthenticatorSettings, Throttle, TokenAuthority};
use proto::feed::FeedLine;
use proto::rest::{SessionReport, TokenUse, VolumeUse};
use tokio::sync::{mpsc, oneshot, watch as flag};
use transport::cpus::{allowed_cpus, pin};
use transport::server::{self, Listener};
use transport::tls::{Fingerprint, Identity};

use crate::error::MetaError;
use hosted::HostedVolumes;
use journal::Journal;
pub use metrics::MetaMetrics;
use remembered::RememberedFile;
use token_use::TokenUses;

/// What a metadata server is started with.
#[derive(Debug)]
pub struct MetaSettings {
    /// Address to listen on; port 0 picks a free one.
    pub bind_addr: SocketAddr,
    /// Folder of the database.
    pub db_folder: PathBuf,
    /// Ceiling of the database's block cache, in bytes.
    pub db_cache_max: u64,
    /// Certificate and key.
    pub identity: Identity,
    /// Serving threads; `None` = one per core.
    pub threads: Option<usize>,
    /// Whether every mutation waits until it is on disk, not only those a mount asks it for.
    pub sync: bool,
    /// How long tokens are trusted without asking the admin server again.
    pub authenticator: AuthenticatorSettings,
    /// How long a session without a connection keeps its open files and locks, where no mount is made in its place.
    pub session_grace: Duration,
}

/// State that all serving threads share.
pub(crate) struct Server<A> {
    authenticator: Authenticator<A>,
    throttle: Throttle,
    token_use: Arc<TokenUses>,
    remembered: Arc<RememberedFile>,
    volumes: Arc<HostedVolumes>,
    journal: Arc<Journal>,
    sync: bool,
    session_grace: Duration,
}

/// Where a server hears of changes that its authority tells unasked.
#[derive(Clone, Debug)]
pub struct Ear {
    lines: mpsc::Sender<Word>,
}

/// A line, and who wants to know when it was acted on: when the sender is dropped.
pub(crate) struct Word {
    pub(crate) line: FeedLine,
    pub(crate) acted: oneshot::Sender<Infallible>,
}

impl Ear {
    /// Tells the server; waits while it has much to do. `None` once it stopped. The result ends when the server acts by what
    /// it heard, and each mount that is there does, or had its time for that.
    pub async fn tell(&self, line: FeedLine) -> Option<impl Future<Output = ()> + Send + use<>> {
        let (acted, acting) = oneshot::channel();
        self.lines.send(Word { line, acted }).await.ok()?;
        Some(async move {
            let _ = acting.await;
        })
    }
}

/// A running metadata server. Dropping it stops it.
#[derive(Debug)]
pub struct MetaServer {
    addr: SocketAddr,
    identity: Identity,
    volumes: Arc<HostedVolumes>,
    journal: Arc<Journal>,
    metrics: MetaMetrics,
    token_use: Arc<TokenUses>,
    ear: Ear,
    stop: flag::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl MetaServer {
    /// Opens the database, binds the port and serves until stopped. `authority` answers for tokens.
    pub fn start<A: TokenAuthority>(settings: MetaSettings, authority: A) -> Result<Self, MetaError> {
        let cpus = allowed_cpus();
        let count = settings.threads.unwrap_or(cpus.len()).max(1);
        let sockets = server::bind(settings.bind_addr, count)?;
        let addr = sockets[0].local_addr().map_err(|source| MetaError::Thread { source })?;
        let identity = settings.identity;
        let journal = Arc::new(Journal::new());
        let volumes = HostedVolumes::open(&settings.db_folder, settings.db_cache_max, Arc::clone(&journal))?;
        let volumes = Arc::new(volumes);
        let key = |purpose: &str| identity.derived_secret(purpose);
        let authenticator = Authenticator::new(authority, settings.authenticator, &key("marks of volume tokens"));
        let remembered = Arc::new(RememberedFile::new(&settings.db_folder, &key("known volume tokens")));
        authenticator.recall(remembered.load(SystemTime::now()), Instant::now());
        let token_use = Arc::new(TokenUses::default());
        let server = Arc::new(Server {
            authenticator,
            throttle: Throttle::default(),
            token_use: Arc::clone(&token_use),
            remembered,
            volumes: Arc::clone(&volumes),
            journal: Arc::clone(&journal),
            sync: settings.sync,
            session_grace: settings.session_grace,
        });
        let metrics = MetaMetrics::new(count, Arc::clone(&volumes));
        let (stop, stopped) = flag::channel(false);
        let (lines, heard) = mpsc::channel(UNHEARD_MAX);
        let (ear, threads) = (Ear { lines }, Vec::new());
        let shown = identity.clone();
        let mut running = Self { addr, identity: shown, volumes, journal, metrics, token_use, ear, stop, threads };
        for (index, socket) in sockets.into_iter().enumerate() {
            let (server, identity, stopped) = (Arc::clone(&server), identity.clone(), stopped.clone());
            let (cpu, times) = (cpus[index % cpus.len()], running.metrics.thread(index));
            running.spawn(format!("meta-{index}"), async move || {
                pin(cpu);
                match Listener::new(socket, &identity, CONNECTIONS_MAX) {
                    Ok(listener) => peer::serve(server, listener, times, stopped).await,
                    Err(error) => tracing::error!(%error, "serving thread cannot start"),
                }
            })?;
        }
        let (watching, ending) = (Arc::clone(&server), stopped.clone());
        running.spawn("meta-tokens".to_owned(), async move || watch::run(watching, heard, ending).await)?;
        running.spawn("meta-housekeeping".to_owned(), async move || housekeeping::run(server, stopped).await)?;
        Ok(running)
    }

    fn spawn<F, R>(&mut self, name: String, work: F) -> Result<(), MetaError>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = ()>,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(BLOCKING_THREADS_MAX)
            .thread_keep_alive(Duration::from_secs(2))
            .build()
            .map_err(|source| MetaError::Thread { source })?;
        let body = move || tokio::task::LocalSet::new().block_on(&runtime, work());
        let thread =
            std::thread::Builder::new().name(name).spawn(body).map_err(|source| MetaError::Thread { source })?;
        self.threads.push(thread);
        Ok(())
    }

    /// The address that mounts connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// By what mounts recognise the server now.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.identity.fingerprint()
    }

    /// Waits until its certificate was replaced.
    pub async fn certificate_replaced(&self) -> Fingerprint {
        self.identity.replaced().await
    }

    /// What the volumes served here hold right now.
    #[must_use]
    pub fn volume_use(&self) -> Vec<VolumeUse> {
        self.volumes.usage()
    }

    /// Changes with each event that [`MetaServer::session_report`] will tell.
    #[must_use]
    pub fn session_news(&self) -> flag::Receiver<u64> {
        self.journal.news()
    }

    /// What became of sessions since the event number `reported`, from the oldest on; `None` if nothing did. It is kept until
    /// [`MetaServer::reported`]. The first report of a run is due even if nothing happened.
    #[must_use]
    pub fn session_report(&self, reported: Option<u64>) -> Option<SessionReport> {
        self.journal.report(reported)
    }

    /// Lets go of events before `next`: the admin server has them.
    pub fn reported(&self, next: u64) {
        self.journal.forget(next);
    }

    /// The report that ends this run of the server, of which everything before event `reported` is taken.
    #[must_use]
    pub fn last_session_report(&self, reported: u64) -> SessionReport {
        self.journal.farewell(reported)
    }

    /// The server's numbers, which go on with it.
    #[must_use]
    pub fn metrics(&self) -> MetaMetrics {
        self.metrics.clone()
    }

    /// The tokens that have mounts here, and those that had one since this was asked last.
    #[must_use]
    pub fn token_use(&self) -> Vec<TokenUse> {
        self.token_use.take(&self.volumes)
    }

    /// Keeps what was said in vain of tokens in use, until it is asked again.
    pub fn token_use_untold(&self, uses: &[TokenUse]) {
        uses.iter().for_each(|token| self.token_use.note(token.token_id));
    }

    /// Where to tell the server what changed.
    #[must_use]
    pub fn ear(&self) -> Ear {
        self.ear.clone()
    }

    /// Whether the database takes no more writes, because one failed: only a new start mends that.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.volumes.is_broken()
    }

    /// Says goodbye to the mounts, puts everything on disk and ends the threads.
    pub fn stop(mut self) -> Result<(), MetaError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), MetaError> {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a serving thread panicked");
            }
        }
        self.volumes.persist_all()
    }
}

impl Drop for MetaServer {
    fn drop(&mut self) {
        if !self.threads.is_empty()
            && let Err(error) = self.end()
        {
            tracing::error!(%error, "the last commits may not be on disk");
        }
    }
}

/// Connections per serving thread: each of some thousand mounts has one for each of its cores, spread over our threads.
const CONNECTIONS_MAX: usize = 16_384;
/// Changes that were told and not acted on yet.
const UNHEARD_MAX: usize = 1024;
/// Threads per runtime for opening volumes and deleting objects.
const BLOCKING_THREADS_MAX: usize = 4;

#[cfg(test)]
mod tests;
