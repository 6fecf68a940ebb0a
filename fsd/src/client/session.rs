//! `ServerSession`: this mount's life with the metadata server, shared by the connections of all threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use auth::{MountFlags, VolumeToken};
use proto::limits::HANDLES_MAX;
use proto::{
    Caller, Claim, Errno, InodeId, Refused, Reply, ReplyFrame, Request, RequestFrame, SessionId, SessionKey,
    SessionRefusal, Welcome, codec,
};
use tokio::sync::{MutexGuard, mpsc, watch};
use transport::CallError;
use transport::client::{Connection, Receipt};
use transport::tls::Trust;

use super::greeting::greet;
use super::rpc::CROWDED_PAUSE;
use super::window::OperationWindow;
use crate::MountError;
use crate::state::{HeldLocks, Holder, KnownDirs, LiveFlags, OpenFiles};

/// What a session is opened with.
#[derive(Clone, Debug)]
pub(crate) struct SessionSettings {
    /// `host:port` of the server.
    pub(crate) addr: String,
    /// How the server is recognised.
    pub(crate) trust: Trust,
    /// Opens the volume.
    pub(crate) token: VolumeToken,
    /// Restrictions of the command line.
    pub(crate) flags: MountFlags,
    /// Host and mount point, for the server's logs.
    pub(crate) place: String,
}

/// One opening of the session. Where the server forgot the session, a new one follows with the next generation.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    id: SessionId,
    key: SessionKey,
    /// Counts the openings.
    pub(super) generation: u64,
    /// Operation ids of this opening.
    pub(super) window: Arc<OperationWindow>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct ServerSession {
    settings: SessionSettings,
    files: Arc<OpenFiles>,
    locks: Arc<HeldLocks>,
    flags: Arc<LiveFlags>,
    known_dirs: Arc<KnownDirs>,
    /// The root the kernel knows: a session with another one cannot go on under this mount.
    root: OnceLock<InodeId>,
    identity: Mutex<Option<Identity>>,
    /// One connection at a time opens a session anew or claims open files.
    renewal: tokio::sync::Mutex<Renewal>,
    ended: watch::Sender<Option<String>>,
    reconnects: AtomicU64,
    /// Wakes who follows the restrictions, with what says that they are followed.
    flags_changed: mpsc::Sender<Option<Receipt>>,
    following: Mutex<Option<mpsc::Receiver<Option<Receipt>>>>,
}

#[derive(Debug, Default)]
struct Renewal {
    generation: u64,
    /// Begin of the last claim that the server took as a whole.
    claimed: Option<Instant>,
}

/// Why a connection did not come about.
#[derive(Debug)]
pub(super) enum Failed {
    /// Try again later.
    Retry(MountError),
    /// The session is over for good.
    Ended(MountError),
}

/// Changes of restrictions that nobody followed yet.
const CHANGES_MAX: usize = 16;
/// Reclaiming must not take longer than any other request.
const CLAIM_DEADLINE: Duration = Duration::from_secs(30);

impl ServerSession {
    /// A session to be opened by its first connection. `files` are claimed again when the server was away, `locks` taken
    /// again when it forgot the session; `flags` take up the restrictions that the server adds, `known_dirs` what its
    /// replies tell.
    pub(crate) fn new(
        settings: SessionSettings,
        files: Arc<OpenFiles>,
        locks: Arc<HeldLocks>,
        flags: Arc<LiveFlags>,
        known_dirs: Arc<KnownDirs>,
    ) -> Self {
        let (flags_changed, following) = mpsc::channel(CHANGES_MAX);
        Self {
            settings,
            files,
            locks,
            flags_changed,
            following: Mutex::new(Some(following)),
            flags,
            known_dirs,
            root: OnceLock::new(),
            identity: Mutex::new(None),
            renewal: tokio::sync::Mutex::default(),
            ended: watch::Sender::new(None),
            reconnects: AtomicU64::new(0),
        }
    }

    /// How often a thread made its connection again.
    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    pub(super) fn note_reconnect(&self) {
        self.reconnects.fetch_add(1, Ordering::Relaxed);
    }

    /// The metadata server, as the settings name it.
    pub(crate) fn addr(&self) -> &str {
        &self.settings.addr
    }

    pub(super) fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// Whether a change through an open file may be sent: `ESTALE` where the file is gone for who changes it.
    pub(super) fn permit_commit(&self, ino: InodeId) -> Result<(), Errno> {
        self.files.permit_use(ino)
    }

    pub(super) fn known_dirs(&self) -> &KnownDirs {
        &self.known_dirs
    }

    /// Ends the session for good: every operation from here on is refused. The first reason stays.
    pub(crate) fn end(&self, reason: &str) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            ended.get_or_insert_with(|| reason.to_owned());
            first
        });
    }

    /// Whether the session is over.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Waits until the session is over and says why.
    pub(crate) async fn wait_ended(&self) -> String {
        let mut ended = self.ended.subscribe();
        let reason = ended.wait_for(Option::is_some).await.map(|reason| reason.clone());
        reason.ok().flatten().expect("the sender lives as long as the session, and the condition was met")
    }

    /// Goes by restrictions that the server says hold since `since`. The receipt is given when the kernel's mount goes by
    /// them too.
    pub(super) fn take_up_flags(&self, flags: MountFlags, fixed_identity: bool, since: i64, receipt: Option<Receipt>) {
        if self.flags.take_up(flags, fixed_identity, since) {
            // Where as many wait already, the newest of them looks at what holds by then.
            let _ = self.flags_changed.try_send(receipt);
        }
    }

    /// Tells of restrictions as they change, each time with the receipt to be given when they are followed. Once.
    pub(crate) fn flags_changed(&self) -> Option<mpsc::Receiver<Option<Receipt>>> {
        self.following.lock().expect("no code under this lock panics").take()
    }

    fn identity(&self) -> Option<Identity> {
        self.identity.lock().expect("no code under this lock panics").clone()
    }

    /// Greets on a fresh connection: joins the session, or opens it where there is none (any more). A session that was
    /// taken up again gets its open files claimed, unless that was done after `lost`, when the last connection broke.
    pub(super) async fn attend(
        &self,
        connection: &Connection,
        lost: Option<Instant>,
    ) -> Result<(Identity, Welcome), Failed> {
        let Some(identity) = self.identity() else {
            let renewal = self.renewal.lock().await;
            return match self.identity() {
                Some(identity) => {
                    drop(renewal);
                    self.join(connection, identity, lost).await
                }
                None => self.open(connection, renewal).await,
            };
        };
        self.join(connection, identity, lost).await
    }

    async fn join(
        &self,
        connection: &Connection,
        identity: Identity,
        lost: Option<Instant>,
    ) -> Result<(Identity, Welcome), Failed> {
        match greet(connection, &self.settings, Some((identity.id, identity.key))).await {
            Ok(welcome) => {
                self.accept(&welcome)?;
                if let Some(lost) = lost {
                    let mut renewal = self.renewal.lock().await;
                    if renewal.claimed.is_none_or(|claimed| claimed < lost) {
                        let begun = Instant::now();
                        self.claim(connection).await?;
                        renewal.claimed = Some(begun);
                    }
                }
                Ok((identity, welcome))
            }
            Err(MountError::Refused { refusal: SessionRefusal::SessionUnknown, reason, addr }) => {
                self.forget(&identity);
                Err(Failed::Retry(MountError::Refused { refusal: SessionRefusal::SessionUnknown, reason, addr }))
            }
            Err(error) => Err(judge(error)),
        }
    }

    async fn open(
        &self,
        connection: &Connection,
        mut renewal: MutexGuard<'_, Renewal>,
    ) -> Result<(Identity, Welcome), Failed> {
        let welcome = greet(connection, &self.settings, None).await.map_err(judge)?;
        self.accept(&welcome)?;
        renewal.generation += 1;
        let identity =
            Identity { id: welcome.session, key: welcome.key, generation: renewal.generation, window: Arc::default() };
        if renewal.generation > 1 {
            tracing::warn!(session = %identity.id, "the metadata server forgot the session: a new one is open");
            let renewed = async {
                self.claim(connection).await?;
                self.lock_again(connection, &identity.window).await
            };
            // What it holds already must not stand against the next one.
            renewed.await.inspect_err(|_| connection.finish("not renewed"))?;
        }
        *self.identity.lock().expect("no code under this lock panics") = Some(identity.clone());
        Ok((identity, welcome))
    }

    /// The session `stale` is no more; unless a newer one is open already.
    fn forget(&self, stale: &Identity) {
        let mut identity = self.identity.lock().expect("no code under this lock panics");
        if identity.as_ref().is_some_and(|current| current.generation == stale.generation) {
            *identity = None;
        }
    }

    /// Takes up what the server says of the session: restrictions that came, and that the root is the one we show.
    fn accept(&self, welcome: &Welcome) -> Result<(), Failed> {
        let failed = |reason: String| Failed::Ended(MountError::Server { addr: self.settings.addr.clone(), reason });
        let flags = MountFlags::from_bits(welcome.flags)
            .map_err(|error| failed(format!("it restricts the mount in a way this version does not know: {error}")))?;
        self.take_up_flags(flags, welcome.fixed_identity, welcome.flags_since, None);
        // The server may have lost its newest commits, or applied some whose replies did not arrive.
        self.known_dirs.clear();
        let root = *self.root.get_or_init(|| welcome.root.ino);
        if welcome.root.ino == root {
            Ok(())
        } else {
            Err(failed("the token's mount path names another directory now: mount again".to_owned()))
        }
    }

    /// Tells the server which files are open. By a list that is not full it knows that it heard of all.
    async fn claim(&self, connection: &Connection) -> Result<(), Failed> {
        let claims = self.files.claims();
        let mut full_lists = claims.chunks_exact(HANDLES_MAX);
        for list in &mut full_lists {
            self.claim_list(connection, list).await?;
        }
        self.claim_list(connection, full_lists.remainder()).await
    }

    /// Takes all locks in a session that knows of none. Files whose locks others have by now are gone for their holders,
    /// who must not go on as if they had them.
    async fn lock_again(&self, connection: &Connection, window: &Arc<OperationWindow>) -> Result<(), Failed> {
        let mut lost = Vec::new();
        for (holder, span) in self.locks.renew() {
            let Holder { ino, kind, owner } = holder;
            let ticket = window.ticket().await;
            let request = Request::Lock { ino, kind, owner, span };
            let frame = RequestFrame { operation: Some(ticket.id()), caller: Caller::ROOT, request };
            match self.ask(connection, &frame).await? {
                Ok(Reply::Entry(_)) => {}
                Err(Refused::Error(_)) => {
                    self.locks.forget(holder, span.start, span.end);
                    lost.push(ino);
                }
                other => return Err(self.failed(format!("locks cannot be taken again: {other:?}"))),
            }
        }
        if !lost.is_empty() {
            tracing::warn!(
                locks = lost.len(),
                "locks were lost with the session: their files cannot be used until they are opened again"
            );
            self.files.mark_gone(&lost);
        }
        Ok(())
    }

    async fn claim_list(&self, connection: &Connection, claims: &[Claim]) -> Result<(), Failed> {
        let request = Request::Reclaim { claims: claims.to_vec() };
        match self.ask(connection, &RequestFrame { operation: None, caller: Caller::ROOT, request }).await? {
            Ok(Reply::Claimed { gone }) => {
                if !gone.is_empty() {
                    tracing::warn!(files = gone.len(), "open files vanished while the metadata server was away");
                }
                self.files.mark_gone(&gone);
                Ok(())
            }
            other => Err(self.failed(format!("open files cannot be claimed: {other:?}"))),
        }
    }

    /// Asks on a connection that is no link's yet.
    async fn ask(&self, connection: &Connection, frame: &RequestFrame) -> Result<Result<Reply, Refused>, Failed> {
        let request = codec::encode(frame);
        let answer = loop {
            match connection.call(&request, CLAIM_DEADLINE).await {
                Err(CallError::Crowded) => tokio::time::sleep(CROWDED_PAUSE).await,
                answer => break answer.map_err(|error| self.failed(error.to_string()))?,
            }
        };
        let reply = codec::decode::<ReplyFrame>(&answer).map_err(|error| self.failed(error.to_string()))?;
        Ok(reply.result)
    }

    fn failed(&self, reason: String) -> Failed {
        Failed::Retry(MountError::Server { addr: self.settings.addr.clone(), reason })
    }
}

/// Which errors end the session, and which pass.
fn judge(error: MountError) -> Failed {
    use SessionRefusal as R;
    match &error {
        MountError::Refused { refusal: R::TokenRejected | R::MountPathMissing | R::Version | R::Malformed, .. } => {
            Failed::Ended(error)
        }
        _ => Failed::Retry(error),
    }
}
