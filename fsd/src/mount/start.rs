//! The steps of mounting, each of which can fail with a line for the user. The session comes first: nothing is mounted
//! that could not be served.

use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use proto::{AttrChanges, Caller, Errno, Request, Timespec, Welcome};
use tokio::sync::{oneshot, watch};
use tokio::task::spawn_local;
use transport::cpus::{allowed_cpus, pin};
use transport::tls::Trust;

use super::end::{End, Ended};
use super::runtime::{Host, Runtime};
use super::{Mount, Shared};
use crate::adapter::Presentation;
use crate::client::{Link, MetaClient, Rpc, ServerSession, SessionSettings};
use crate::data::{DataPlane, DataSettings};
use crate::meter::Meters;
use crate::session::{
    Device, Interrupts, KernelMount, MountPoint, Serving, Stop, Wishes, Worker, handshake, obstacle, queue_count,
};
use crate::state::{HeldLocks, KnownDirs, LiveFlags, OpenFiles, Permissions, State};
use crate::{MountError, MountSettings, Transport};

/// What a thread needs to serve.
struct Post {
    shared: Arc<Shared>,
    device: Device,
    /// The kernel's rings that are the thread's; none where requests come over the device.
    queues: Vec<u16>,
    /// Takes the thread's word that it serves.
    report: mpsc::Sender<std::io::Result<()>>,
}

pub(super) fn start(settings: MountSettings) -> Result<Mount, MountError> {
    let point = MountPoint::check(&settings.mount_point, settings.non_empty)?;
    let (files, flags) = (Arc::new(OpenFiles::default()), Arc::new(LiveFlags::new(settings.flags)));
    let (known_dirs, locks) = (Arc::new(KnownDirs::default()), Arc::new(HeldLocks::default()));
    let session = Arc::new(ServerSession::new(
        session_settings(&settings, &point),
        Arc::clone(&files),
        Arc::clone(&locks),
        Arc::clone(&flags),
        Arc::clone(&known_dirs),
    ));
    let end = Arc::new(End::default());
    let cpus = allowed_cpus();
    let count = settings.threads.unwrap_or(cpus.len()).max(1);
    let mut crew = Crew {
        session: Arc::clone(&session),
        end: Arc::clone(&end),
        runtime: settings.runtime,
        cpus: Vec::new(),
        posts: Vec::new(),
        threads: Vec::new(),
    };

    let welcome = crew.hire_first(cpus[0], settings.root_owner)?;
    for index in 1..count {
        crew.hire(index, cpus[index % cpus.len()])?;
    }
    let data = data_plane(&settings, &welcome)?;
    let permissions = permissions(&welcome);
    let presentation = presentation(&settings, &welcome, &flags, permissions);
    let serving = Arc::new(Serving {
        state: Arc::new(State::new(presentation, settings.umask, Arc::clone(&flags), files, known_dirs, locks, data)),
        session,
        interrupts: Interrupts::default(),
        stop: watch::Sender::new(Stop::No),
        meters: settings.metrics.then(Meters::default),
        busy_threads: AtomicUsize::new(count),
    });
    let wanted = choose_transport(settings.transport, &settings.mount_point)?;
    let (kernel, device) = KernelMount::new(point, &settings.volume_name, flags.own(), flags.current(), permissions)?;
    let wishes = Wishes {
        transport: wanted,
        own_umask: settings.umask.is_some(),
        max_pages: settings.max_pages,
        passthrough: false,
        locks: true,
    };
    let transport = handshake(&device, kernel.point(), wishes).inspect_err(|_| {
        let _ = kernel.detach();
    })?;
    let (volume, runtime) = (settings.volume_name.clone(), settings.runtime);
    let shared = Arc::new(Shared { kernel, transport, volume, runtime, serving: Arc::clone(&serving), end });
    if let Err(error) = put_to_work(&mut crew, device, &shared) {
        shared.abandon();
        return Err(error);
    }
    // Read-only by the token alone, which may change: the file system is not made so, only this mount of it.
    if flags.current().ro && !flags.own().ro {
        shared.restrict_kernel();
    }
    tracing::info!(volume = %settings.volume_name, path = %shared.kernel.point().path().display(), threads = count,
        flags = %flags.current(), %transport, runtime = %settings.runtime, "mounted");
    Ok(Mount { shared, threads: crew.threads })
}

/// Rings where the kernel has them, unless the user chose. Who chose rings is told why there are none.
fn choose_transport(wish: Option<Transport>, mount_point: &Path) -> Result<Transport, MountError> {
    if wish == Some(Transport::Classic) {
        return Ok(Transport::Classic);
    }
    match obstacle() {
        None => Ok(Transport::Uring),
        Some(reason) if wish.is_some() => Err(MountError::Kernel {
            path: mount_point.to_owned(),
            reason: format!("{reason}; or mount with --transport classic"),
        }),
        Some(reason) => {
            tracing::info!(reason, "requests come over /dev/fuse");
            Ok(Transport::Classic)
        }
    }
}

fn session_settings(settings: &MountSettings, point: &MountPoint) -> SessionSettings {
    let host = rustix::system::uname();
    SessionSettings {
        addr: settings.meta_addr.clone(),
        trust: Trust::Renewed(Arc::clone(&settings.meta_pin)),
        token: settings.token.clone(),
        flags: settings.flags,
        place: format!("{}:{}", host.nodename().to_string_lossy(), point.path().display()),
    }
}

fn data_plane(settings: &MountSettings, welcome: &Welcome) -> Result<DataPlane, MountError> {
    let volume = &welcome.volume;
    let store = block::open(&volume.block_store, volume.id, settings.bops_max)
        .map_err(|error| MountError::BlockStore { volume: volume.name.clone(), reason: error.to_string() })?;
    let limits = DataSettings { memory_max: settings.memory_max.bytes(volume.block_size) };
    DataPlane::new(store, volume, limits).map_err(|_| MountError::Server {
        addr: settings.meta_addr.clone(),
        reason: format!("block size {} of volume {} is none that this version knows", volume.block_size, volume.name),
    })
}

/// The kernel takes callers for the users of this host. Where they are one user to the server, it would refuse what that
/// one may do.
fn permissions(welcome: &Welcome) -> Permissions {
    if welcome.fixed_identity { Permissions::ServerAlone } else { Permissions::KernelFirst }
}

fn presentation(
    settings: &MountSettings,
    welcome: &Welcome,
    flags: &Arc<LiveFlags>,
    permissions: Permissions,
) -> Presentation {
    Presentation {
        root: welcome.root.ino,
        attr_valid: settings.attr_valid,
        entry_valid: settings.entry_valid,
        permissions,
        flags: Arc::clone(flags),
    }
}

/// Gives each thread a descriptor of its own and its share of the kernel's rings, and waits until all serve.
fn put_to_work(crew: &mut Crew, device: Device, shared: &Arc<Shared>) -> Result<(), MountError> {
    let clones = (1..crew.posts.len()).map(|_| device.clone_attached()).collect::<Result<Vec<_>, _>>();
    let clones = clones.map_err(|source| MountError::Thread { source })?;
    let mut queues = match shared.transport {
        Transport::Uring => share_queues(queue_count(), &crew.cpus),
        Transport::Classic => vec![Vec::new(); crew.posts.len()],
    };
    let (report, reports) = mpsc::channel();
    for (index, (post, device)) in crew.posts.drain(..).zip(std::iter::once(device).chain(clones)).enumerate() {
        let (shared, queues, report) = (Arc::clone(shared), queues[index].split_off(0), report.clone());
        // A thread that is gone already has said why in the log; its report is missed below.
        let _ = post.send(Post { shared, device, queues, report });
    }
    drop(report);
    for _ in 0..crew.threads.len() {
        let silent = || Err(std::io::Error::other("a serving thread did not begin to serve"));
        reports.recv_timeout(BEGIN_MAX).unwrap_or_else(|_| silent()).map_err(|source| MountError::Thread { source })?;
    }
    Ok(())
}

/// Which thread serves which queue: the one that is pinned to the queue's CPU, where there is one. `cpus` are the
/// threads' CPUs.
pub(crate) fn share_queues(count: usize, cpus: &[usize]) -> Vec<Vec<u16>> {
    let mut shares = vec![Vec::new(); cpus.len()];
    for queue in 0..count {
        let thread = cpus.iter().position(|cpu| *cpu == queue).unwrap_or(queue % cpus.len());
        shares[thread].push(queue as u16);
    }
    shares
}

/// The threads of a mount that is being made. Dropping it before they got work sends them home.
struct Crew {
    session: Arc<ServerSession>,
    end: Arc<End>,
    runtime: Runtime,
    /// The CPU of each thread.
    cpus: Vec<usize>,
    posts: Vec<oneshot::Sender<Post>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// The first thread opens the session: what it learns decides over everything else.
    fn hire_first(&mut self, cpu: usize, root_owner: Option<(u32, u32)>) -> Result<Welcome, MountError> {
        let (learnt, lesson) = mpsc::channel();
        let link = move |session: Arc<ServerSession>| async move {
            let link = Rc::new(Link::new(session));
            let outcome = match (link.connect().await, root_owner) {
                (Ok(welcome), Some(owner)) => give_root_away(&link, &welcome, owner).await.map(|()| welcome),
                (outcome, _) => outcome,
            };
            let is_connected = outcome.is_ok();
            let is_awaited = learnt.send(outcome).is_ok();
            (is_connected && is_awaited).then_some(link)
        };
        self.spawn(0, cpu, link)?;
        lesson.recv().unwrap_or_else(|_| {
            Err(MountError::Thread { source: std::io::Error::other("the first thread ended before it connected") })
        })
    }

    /// The others join the session when they begin to work.
    fn hire(&mut self, index: usize, cpu: usize) -> Result<(), MountError> {
        self.spawn(index, cpu, async |session| Some(Rc::new(Link::new(session))))
    }

    fn spawn<F>(&mut self, index: usize, cpu: usize, link: F) -> Result<(), MountError>
    where
        F: AsyncFnOnce(Arc<ServerSession>) -> Option<Rc<Link>> + Send + 'static,
    {
        let (post, awaited) = oneshot::channel();
        let (built, building) = mpsc::channel();
        let (session, end, runtime) = (Arc::clone(&self.session), Arc::clone(&self.end), self.runtime);
        let on_duty = end.on_duty();
        let body = move || {
            pin(cpu);
            let host = match Host::build(runtime) {
                Ok(host) => host,
                Err(error) => return drop(built.send(Err(error))),
            };
            // Who spawned the thread waits for this word.
            let _ = built.send(Ok(()));
            let is_first = index == 0;
            host.block_on(async move {
                // Over with the future: the mount may be over while reads of the block store are stuck.
                let _on_duty = on_duty;
                let Some(link) = link(session).await else { return };
                let Ok(post) = awaited.await else { return link.close() };
                work(post, link, is_first, &end).await;
            });
            host.shut_down(BLOCKING_MAX);
        };
        let thread = std::thread::Builder::new().name(format!("fsd-{index}")).spawn(body);
        self.threads.push(thread.map_err(|source| MountError::Thread { source })?);
        let silent = |_| Err(std::io::Error::other("it ended before it had a runtime"));
        building.recv().unwrap_or_else(silent).map_err(|source| MountError::Thread { source })?;
        self.posts.push(post);
        self.cpus.push(cpu);
        Ok(())
    }
}

/// Makes `owner` (user and group) the owner of the root directory where that is still root's.
async fn give_root_away(link: &Rc<Link>, welcome: &Welcome, owner: (u32, u32)) -> Result<(), MountError> {
    if welcome.root.uid != 0 {
        return Ok(());
    }
    let changes = AttrChanges { uid: Some(owner.0), gid: Some(owner.1), ..AttrChanges::default() };
    let request = Request::SetAttr { ino: welcome.root.ino, changes, by_handle: false };
    let now = Timespec::from_system_time(std::time::SystemTime::now());
    let rpc = Rpc::new(Rc::clone(link), 0, now);
    let given = tokio::time::timeout(GIVING_MAX, rpc.call(&Caller::ROOT, request)).await;
    given.unwrap_or(Err(Errno::ETIMEDOUT)).map(drop).map_err(|errno| MountError::Server {
        addr: link.session().addr().to_owned(),
        reason: format!("the root directory cannot be given to user {}: {errno}", owner.0),
    })
}

/// How long that may take: a link that is being made does not reconnect.
const GIVING_MAX: Duration = Duration::from_secs(10);

async fn work(post: Post, link: Rc<Link>, is_first: bool, end: &Arc<End>) {
    let Post { shared, device, queues, report } = post;
    let worker = match Worker::new(Arc::clone(&shared.serving), link, device, &queues) {
        Ok(worker) => worker,
        Err(error) => return drop(report.send(Err(error))),
    };
    // Nobody waits for the word of a thread that took too long: the mount is being given up.
    let _ = report.send(Ok(()));
    if is_first {
        let (watching, end) = (Rc::clone(&worker), Arc::clone(end));
        spawn_local(async move { end.set(Ended::SessionEnded(watching.watch_session().await)) });
        let writing = Rc::clone(&worker);
        spawn_local(async move { writing.write_back().await });
        spawn_local(restrict_kernel(shared));
    }
    if let Err(error) = worker.run(is_first).await {
        tracing::error!(%error, "serving thread failed");
    }
}

/// Lets the kernel's mount follow the restrictions that hold. Does not end.
async fn restrict_kernel(shared: Arc<Shared>) {
    let Some(mut changed) = shared.serving.session.flags_changed() else { return };
    let mut known = shared.serving.state.flags.current();
    while let Some(receipt) = changed.recv().await {
        let flags = shared.serving.state.flags.current();
        if flags != known {
            tracing::info!(%flags, "other restrictions hold");
            known = flags;
        }
        let shared = Arc::clone(&shared);
        // The kernel may ask this thread something meanwhile.
        let mut restricting = tokio::task::spawn_blocking(move || shared.restrict_kernel());
        let done = tokio::time::timeout(FOLLOW_MAX, &mut restricting).await;
        drop(receipt);
        let done = match done {
            Ok(done) => done,
            Err(_) => restricting.await,
        };
        if let Err(panic) = done {
            tracing::error!(%panic, "the kernel's mount keeps its restrictions");
        }
    }
}

/// The server is kept waiting so long for the kernel to follow. The daemon goes by the restrictions from the start.
const FOLLOW_MAX: Duration = Duration::from_millis(500);
/// Threads begin to serve within so long, or the mount is given up.
const BEGIN_MAX: Duration = Duration::from_secs(20);
/// How long a thread waits for blocking work when it serves no more.
const BLOCKING_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
