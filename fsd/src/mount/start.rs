//! The steps of mounting, each of which can fail with a line for the user. The session comes first: nothing is mounted
//! that could not be served.

use std::rc::Rc;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use proto::Welcome;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::{LocalSet, spawn_local};
use transport::tls::Trust;

use super::end::{End, Ended};
use super::{Mount, Shared};
use crate::adapter::Presentation;
use crate::client::{Link, ServerSession, SessionSettings};
use crate::data::{DataPlane, DataSettings};
use crate::session::{
    Device, Interrupts, KernelMount, MountPoint, Serving, Stop, Worker, allowed_cpus, handshake, pin,
};
use crate::state::{KnownDirs, LiveFlags, OpenFiles, State};
use crate::{MountError, MountSettings};

/// What a thread needs to serve.
type Post = (Arc<Serving>, Device);

pub(super) fn start(settings: MountSettings) -> Result<Mount, MountError> {
    let point = MountPoint::check(&settings.mount_point, settings.non_empty)?;
    let (files, flags) = (Arc::new(OpenFiles::default()), Arc::new(LiveFlags::new(settings.flags)));
    let known_dirs = Arc::new(KnownDirs::default());
    let session = Arc::new(ServerSession::new(
        session_settings(&settings, &point),
        Arc::clone(&files),
        Arc::clone(&flags),
        Arc::clone(&known_dirs),
    ));
    let end = Arc::new(End::default());
    let cpus = allowed_cpus();
    let count = settings.threads.unwrap_or(cpus.len()).max(1);
    let mut crew =
        Crew { session: Arc::clone(&session), end: Arc::clone(&end), posts: Vec::new(), threads: Vec::new() };

    let welcome = crew.hire_first(cpus[0])?;
    for index in 1..count {
        crew.hire(index, cpus[index % cpus.len()])?;
    }
    let data = data_plane(&settings, &welcome)?;
    let presentation = presentation(&settings, &welcome, &flags);
    let serving = Arc::new(Serving {
        state: Arc::new(State::new(presentation, Arc::clone(&flags), files, known_dirs, data)),
        session,
        interrupts: Interrupts::default(),
        stop: watch::Sender::new(Stop::No),
        busy_threads: AtomicUsize::new(count),
    });
    let (kernel, device) = KernelMount::new(point, &settings.volume_name, flags.current())?;
    let shared = Arc::new(Shared { kernel, serving: Arc::clone(&serving), end });
    if let Err(error) = put_to_work(&mut crew, device, &shared) {
        shared.abandon();
        return Err(error);
    }
    tracing::info!(volume = %settings.volume_name, path = %shared.kernel.point().path().display(), threads = count,
        flags = %flags.current(), "mounted");
    Ok(Mount { shared, threads: crew.threads })
}

fn session_settings(settings: &MountSettings, point: &MountPoint) -> SessionSettings {
    let host = rustix::system::uname();
    SessionSettings {
        addr: settings.meta_addr.clone(),
        trust: Trust::Pinned(settings.meta_fingerprint),
        token: settings.token.clone(),
        flags: settings.flags,
        place: format!("{}:{}", host.nodename().to_string_lossy(), point.path().display()),
    }
}

fn data_plane(settings: &MountSettings, welcome: &Welcome) -> Result<DataPlane, MountError> {
    let volume = &welcome.volume;
    let store = block::open(&volume.block_store, volume.id)
        .map_err(|error| MountError::BlockStore { volume: volume.name.clone(), reason: error.to_string() })?;
    DataPlane::new(store, volume, DataSettings { memory_max: settings.memory_max }).map_err(|_| MountError::Server {
        addr: settings.meta_addr.clone(),
        reason: format!("block size {} of volume {} is none that this version knows", volume.block_size, volume.name),
    })
}

fn presentation(settings: &MountSettings, welcome: &Welcome, flags: &LiveFlags) -> Presentation {
    Presentation {
        root: welcome.root.ino,
        attr_valid: settings.attr_valid,
        entry_valid: settings.entry_valid,
        no_suid: flags.current().no_suid,
    }
}

/// Answers the kernel's INIT and gives each thread a descriptor of its own.
fn put_to_work(crew: &mut Crew, device: Device, shared: &Shared) -> Result<(), MountError> {
    handshake(&device, shared.kernel.point())?;
    let clones = (1..crew.posts.len()).map(|_| device.clone_attached()).collect::<Result<Vec<_>, _>>();
    let clones = clones.map_err(|source| MountError::Thread { source })?;
    for (post, device) in crew.posts.drain(..).zip(std::iter::once(device).chain(clones)) {
        // A thread that is gone already has said why in the log; the others serve.
        let _ = post.send((Arc::clone(&shared.serving), device));
    }
    Ok(())
}

/// The threads of a mount that is being made. Dropping it before they got work sends them home.
struct Crew {
    session: Arc<ServerSession>,
    end: Arc<End>,
    posts: Vec<oneshot::Sender<Post>>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// The first thread opens the session: what it learns decides over everything else.
    fn hire_first(&mut self, cpu: usize) -> Result<Welcome, MountError> {
        let (learnt, lesson) = mpsc::channel();
        let link = move |session: Arc<ServerSession>| async move {
            let link = Rc::new(Link::new(session));
            let outcome = link.connect().await;
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
        let runtime = runtime().map_err(|source| MountError::Thread { source })?;
        let (post, awaited) = oneshot::channel();
        let (session, end) = (Arc::clone(&self.session), Arc::clone(&self.end));
        let on_duty = end.on_duty();
        let body = move || {
            let _on_duty = on_duty;
            pin(cpu);
            let is_first = index == 0;
            LocalSet::new().block_on(&runtime, async move {
                let Some(link) = link(session).await else { return };
                let Ok((serving, device)) = awaited.await else { return link.close() };
                work(serving, link, device, is_first, &end).await;
            });
            // Blocking work that is stuck must not keep the mount from ending.
            runtime.shutdown_timeout(Duration::from_secs(1));
        };
        let thread = std::thread::Builder::new().name(format!("fsd-{index}")).spawn(body);
        self.threads.push(thread.map_err(|source| MountError::Thread { source })?);
        self.posts.push(post);
        Ok(())
    }
}

fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_all().max_blocking_threads(8).build()
}

async fn work(serving: Arc<Serving>, link: Rc<Link>, device: Device, is_first: bool, end: &Arc<End>) {
    let worker = match Worker::new(Arc::clone(&serving), link, device) {
        Ok(worker) => worker,
        Err(error) => return tracing::error!(%error, "serving thread cannot start"),
    };
    if is_first {
        let (watching, end) = (Rc::clone(&worker), Arc::clone(end));
        spawn_local(async move { end.set(Ended::SessionEnded(watching.watch_session().await)) });
        let writing = Rc::clone(&worker);
        spawn_local(async move { writing.write_back().await });
    }
    if let Err(error) = worker.run().await {
        tracing::error!(%error, "serving thread failed");
    }
}
