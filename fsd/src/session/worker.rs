//! `Worker`: one thread's share of a mount. Reads requests, carries each out in a task of its own, replies.

mod carry;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::{Caller, Errno, Timespec};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, watch};
use tokio::task::spawn_local;

use super::buffers::BufferPool;
use super::device::{Device, Received};
use super::interrupts::Interrupts;
use super::notify::drop_caches;
use super::uring::{DEPTH, EntryId, Ring};
use crate::adapter::{Incoming, Operation, parse};
use crate::client::{Link, Rpc, ServerSession};
use crate::meter::{Meter, Meters};
use crate::ops::{Asking, Cx, GivenUp, WaitingRoom, flush_everything, settle, write_back};
use crate::state::State;
use crate::trace::Slowest;

/// Requests show as readable, the end of the mount as an error.
const READY: Interest = Interest::READABLE.add(Interest::ERROR);
/// Requests a thread works on at once; more wait in the kernel.
const IN_WORK_MAX: usize = 1024;
/// Of them, and of each queue's, those that may wait for locks of other programs: an eighth is left for those that give
/// the locks up.
const fn waiting_max(places: usize) -> usize {
    places - places / 8
}
/// Requests, or turns of a ring, before others get their turn.
const BURST: usize = 32;
/// A request at least this large hands its buffer over instead of being copied.
const HAND_OVER_MIN: usize = 512 << 10;
/// Bytes that were not committed for so long are, without being asked.
const WRITE_BACK: Duration = Duration::from_secs(5);
/// How long the end of a mount waits for operations that are still going on.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// What the threads of a mount share.
#[derive(Debug)]
pub(crate) struct Serving {
    /// What operations work on.
    pub(crate) state: Arc<State>,
    /// The life with the metadata server.
    pub(crate) session: Arc<ServerSession>,
    /// Requests in work, of all threads.
    pub(crate) interrupts: Interrupts,
    /// Whether the threads shall end though the mount may be in use.
    pub(crate) stop: watch::Sender<Stop>,
    /// What the threads count, if anybody is to see it.
    pub(crate) meters: Option<Meters>,
    /// Threads that still work.
    pub(crate) busy_threads: AtomicUsize,
}

/// Whether threads go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    /// They do.
    No,
    /// They end with the operations in work.
    Drain,
    /// They end at once.
    Abandon,
}

/// Belongs to its thread.
pub(crate) struct Worker {
    serving: Arc<Serving>,
    link: Rc<Link>,
    device: Rc<Device>,
    /// Where requests come from, if not from the device.
    ring: Option<Ring>,
    /// For requests that wait for other programs: by the kernel's queue, and at the end of those that came over the device.
    rooms: Vec<(Option<u16>, Rc<WaitingRoom>)>,
    in_work: Cell<usize>,
    /// Those of them that are seen through when the mount ends: they may have changed something.
    to_finish: Cell<usize>,
    finished: Notify,
    buffers: Arc<BufferPool>,
    /// When the thread woke for the requests it takes up, where they are several.
    woken: Cell<Option<Instant>>,
    slowest: Arc<Mutex<Slowest>>,
    meter: Option<Arc<Meter>>,
}

impl Worker {
    /// A worker on the current runtime, which must have a `LocalSet`. It serves `queues` of the kernel's rings, or the
    /// device where there are none.
    pub(crate) fn new(
        serving: Arc<Serving>,
        link: Rc<Link>,
        device: Device,
        queues: &[u16],
    ) -> std::io::Result<Rc<Self>> {
        let device = Rc::new(device);
        let ring = if queues.is_empty() { None } else { Some(Ring::new(Rc::clone(&device), queues)?) };
        let slowest = serving.state.slow.join();
        let meter = serving.meters.as_ref().map(Meters::join);
        let asking = Rc::<Asking>::default();
        let room = |places| Rc::new(WaitingRoom::new(waiting_max(places), Rc::clone(&asking)));
        let of_queues = queues.iter().map(|queue| (Some(*queue), room(DEPTH)));
        let rooms = of_queues.chain([(None, room(IN_WORK_MAX))]).collect();
        Ok(Rc::new(Self {
            serving,
            link,
            device,
            ring,
            rooms,
            in_work: Cell::new(0),
            to_finish: Cell::new(0),
            finished: Notify::new(),
            buffers: Arc::default(),
            woken: Cell::new(None),
            slowest,
            meter,
        }))
    }

    /// Serves until the file system is unmounted or the threads are told to stop; then lets go of everything.
    /// `is_first`: with rings, what they do not carry comes to this thread.
    pub(crate) async fn run(self: Rc<Self>, is_first: bool) -> std::io::Result<()> {
        let link = Rc::clone(&self.link);
        let keeping = spawn_local(async move { link.run().await });
        let served = match &self.ring {
            None => self.serve_device().await,
            Some(ring) if is_first => tokio::try_join!(self.serve_ring(ring), self.serve_device()).map(drop),
            Some(ring) => self.serve_ring(ring).await,
        };
        let is_last = self.drain().await;
        keeping.abort();
        if is_last {
            self.link.finish();
        } else {
            self.link.close();
        }
        // The farewell is on its way when the runtime has had its turn.
        tokio::time::sleep(Duration::from_millis(10)).await;
        served
    }

    /// Waits for the end of the session and makes the kernel forget what it cached; says why the session ended.
    pub(crate) async fn watch_session(&self) -> String {
        let reason = self.serving.session.wait_ended().await;
        let state = &self.serving.state;
        let root = state.presentation.root;
        let mut inodes = state.files.inodes();
        inodes.push(root);
        match self.device.clone_attached() {
            // On a thread of its own: the kernel waits for pages whose reads this thread has to answer.
            Ok(device) => drop(std::thread::spawn(move || drop_caches(&device, &inodes, root))),
            Err(error) => tracing::warn!(%error, "the kernel's caches stay until they time out"),
        }
        reason
    }

    async fn serve_ring(self: &Rc<Self>, ring: &Ring) -> std::io::Result<()> {
        let mut stop = self.serving.stop.subscribe();
        let worker = Rc::clone(self);
        let telling = spawn_local(async move { worker.tell_replies().await });
        let mut turns = 0;
        loop {
            let arrived = ring.arrived();
            if ring.is_over() {
                break;
            }
            if arrived.is_empty() {
                turns = 0;
                tokio::select! {
                    ready = ring.ready() => ready?,
                    _ = stop.wait_for(|stop| *stop != Stop::No) => return Ok(()),
                }
                continue;
            }
            self.woken.set((arrived.len() > 1).then(Instant::now));
            for entry in arrived {
                self.take_up_entry(ring, entry);
            }
            ring.submit()?;
            turns += 1;
            // Telling the kernel of a reply lets its program run, and the next request is often there when it returns:
            // where nothing else goes on here, it is taken up without a look at anything else.
            if turns == BURST || self.in_work.get() > 0 {
                turns = 0;
                tokio::task::yield_now().await;
            }
        }
        telling.abort();
        Ok(())
    }

    /// Tells the kernel of replies that come later, those of one turn of the runtime together. Does not end.
    async fn tell_replies(&self) {
        let Some(ring) = &self.ring else { return };
        loop {
            ring.replied().await;
            if let Err(error) = ring.submit() {
                tracing::error!(%error, "replies cannot be handed to the kernel");
            }
        }
    }

    fn take_up_entry(self: &Rc<Self>, ring: &Ring, entry: EntryId) {
        let root = self.serving.state.presentation.root;
        let incoming = ring.with_message(entry, |message| {
            let message = message?;
            parse(message, root, |place| Bytes::copy_from_slice(&message[place]))
        });
        match incoming {
            Some(incoming) => self.start(incoming, Some(entry)),
            None => {
                tracing::error!("the kernel sent a request without a header, or of another length than it says");
                ring.refuse(entry, Errno::EIO);
            }
        }
    }

    async fn serve_device(self: &Rc<Self>) -> std::io::Result<()> {
        self.device.set_nonblocking()?;
        // SAFETY: the device's descriptor stays the same and open as long as the `Device` that `AsyncFd` shares.
        let device = unsafe { AsyncFd::register_with_interest(Rc::clone(&self.device), READY)? };
        let mut stop = self.serving.stop.subscribe();
        let mut buffer = self.buffers.take();
        loop {
            while self.in_work.get() >= IN_WORK_MAX {
                self.finished.notified().await;
            }
            let mut ready = tokio::select! {
                ready = device.ready(READY) => ready?,
                _ = stop.wait_for(|stop| *stop != Stop::No) => return Ok(()),
            };
            self.woken.set(Some(Instant::now()));
            for _ in 0..BURST {
                match self.device.receive(&mut buffer)? {
                    Received::Request(0) => {}
                    Received::Request(len) => self.take_up(&mut buffer, len),
                    Received::Nothing => {
                        ready.clear_ready();
                        break;
                    }
                    Received::Unmounted => return Ok(()),
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn take_up(self: &Rc<Self>, buffer: &mut Vec<u8>, len: usize) {
        let root = self.serving.state.presentation.root;
        let incoming = if len < HAND_OVER_MIN {
            let message = &buffer[..len];
            parse(message, root, |place| Bytes::copy_from_slice(&message[place]))
        } else {
            let message = self.buffers.share(std::mem::replace(buffer, self.buffers.take()), len);
            parse(&message, root, |place| message.slice(place))
        };
        match incoming {
            Some(Incoming { operation: Ok(Operation::Interrupt { unique }), .. }) => {
                self.serving.interrupts.interrupt(unique);
            }
            Some(Incoming { operation: Ok(Operation::Forget), .. }) => {}
            Some(incoming) => self.start(incoming, None),
            None => tracing::error!(len, "the kernel sent a request without a header"),
        }
    }

    /// Carries a request out: at once if it need not wait, else in a task. `entry`: where it lies, if in the ring.
    fn start(self: &Rc<Self>, incoming: Incoming, entry: Option<EntryId>) {
        let worker = Rc::clone(self);
        let matters = |operation: &Operation| !operation.is_droppable() && !operation.waits_for_others();
        let matters = usize::from(incoming.operation.as_ref().is_ok_and(matters));
        let mut task = Box::pin(async move { worker.carry_out(incoming, entry).await });
        if !is_done_at_once(task.as_mut()) {
            let worker = Rc::clone(self);
            self.in_work.update(|in_work| in_work + 1);
            self.to_finish.update(|to_finish| to_finish + matters);
            spawn_local(async move {
                task.await;
                worker.in_work.update(|in_work| in_work - 1);
                worker.to_finish.update(|to_finish| to_finish - matters);
                worker.finished.notify_one();
            });
        }
    }

    fn context(&self, incoming: &Incoming, entry: Option<EntryId>) -> Cx<Rpc> {
        let now = now();
        let queue = self.ring.as_ref().zip(entry).map(|(ring, entry)| ring.queue(entry));
        Cx {
            state: Arc::clone(&self.serving.state),
            client: Rpc::new(Rc::clone(&self.link), incoming.pid, now),
            caller: Caller { uid: incoming.uid, gid: incoming.gid, groups: None },
            ino: incoming.ino,
            now,
            given_up: GivenUp::default(),
            room: self.room(queue),
        }
    }

    fn room(&self, queue: Option<u16>) -> Rc<WaitingRoom> {
        let room = self.rooms.iter().find(|(of, _)| *of == queue);
        Rc::clone(&room.expect("requests come from queues that are served, or from the device").1)
    }

    /// Waits for what is still in work; the last thread then sees to it that nothing written is left behind. Whether this
    /// was the last, and nothing was given up.
    async fn drain(&self) -> bool {
        let mut stop = self.serving.stop.subscribe();
        let drained = async {
            while self.to_finish.get() > 0 {
                self.finished.notified().await;
            }
            let is_last = self.serving.busy_threads.fetch_sub(1, Ordering::AcqRel) == 1;
            if is_last && !self.serving.session.is_ended() {
                let flushed = flush_everything(&self.own_context()).await;
                flushed.unwrap_or_else(|errno| tracing::error!(%errno, "written data is lost"));
            }
            is_last
        };
        tokio::select! {
            is_last = drained => return is_last,
            () = tokio::time::sleep(DRAIN_MAX) => {}
            _ = stop.wait_for(|stop| *stop == Stop::Abandon) => {}
        }
        tracing::error!(operations = self.to_finish.get(), "operations were given up: written data may be lost");
        false
    }

    /// Commits what lies about for long, so that others see it and a crash takes little, and settles what a lost reply
    /// left open. Does not end.
    pub(crate) async fn write_back(&self) {
        loop {
            tokio::time::sleep(WRITE_BACK).await;
            let cx = self.own_context();
            let since = Timespec { secs: cx.now.secs - WRITE_BACK.as_secs() as i64, ..cx.now };
            write_back(&cx, since).await;
            settle(&cx).await;
        }
    }

    /// For what the mount does of itself.
    fn own_context(&self) -> Cx<Rpc> {
        let state = Arc::clone(&self.serving.state);
        let (ino, now) = (state.presentation.root, now());
        let client = Rpc::new(Rc::clone(&self.link), 0, now);
        Cx { state, client, caller: Caller::ROOT, ino, now, given_up: GivenUp::default(), room: self.room(None) }
    }
}

fn now() -> Timespec {
    Timespec::from_system_time(std::time::SystemTime::now())
}

/// Whether `task` ends without waiting. If not, it is polled again by whoever it is given to, so no wake-up is lost.
fn is_done_at_once(task: Pin<&mut impl Future<Output = ()>>) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    task.poll(&mut cx) == Poll::Ready(())
}
