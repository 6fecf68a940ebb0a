//! `Ring`: a thread's ring and its entries.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::rc::Rc;

use io_uring::squeue::Entry128;
use io_uring::{IoUring, cqueue, opcode, types};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Notify;

use super::entry::{Entry, Part};
use proto::Errno;

use crate::adapter::Encoded;
use crate::session::device::Device;

/// Requests of a queue that are worked on at once; more wait in the kernel, which takes the entry that was used last.
/// Worst case of memory: a mebibyte for each, if so many large requests were ever there at once.
pub(crate) const DEPTH: usize = 64;

/// An entry that has a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryId(usize);

/// See the module's text. Belongs to the thread it was made in.
pub(crate) struct Ring {
    io: AsyncFd<RingFd>,
    lent: RefCell<Vec<Lent>>,
    /// Entries that got their first request while others were being registered.
    early: RefCell<Vec<EntryId>>,
    /// The device the queues belong to; kept open as long as the kernel knows the entries by it.
    device: Rc<Device>,
    /// Submissions that the kernel has not been told of.
    unsubmitted: Cell<usize>,
    /// Entries that the kernel will give a request at some time.
    live: Cell<usize>,
    replied: Notify,
}

struct RingFd {
    ring: RefCell<IoUring<Entry128, cqueue::Entry>>,
    number: RawFd,
}

impl AsRawFd for RingFd {
    fn as_raw_fd(&self) -> RawFd {
        self.number
    }
}

struct Lent {
    entry: Entry,
    queue: u16,
    /// Whether a request lies in it that was not replied to.
    is_ours: bool,
}

impl Ring {
    /// Registers entries for `queues` of the mount that `device` belongs to. Every queue of the kernel needs them, from
    /// some thread, before the mount serves anything.
    pub(crate) fn new(device: Rc<Device>, queues: &[u16]) -> io::Result<Self> {
        let ring = build(queues.len() * DEPTH)?;
        let number = ring.as_raw_fd();
        let fd = RingFd { ring: RefCell::new(ring), number };
        // SAFETY: the ring's descriptor stays the same and open as long as the `RingFd` that `AsyncFd` owns.
        let io = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
        let entries = queues.iter().flat_map(|queue| (0..DEPTH).map(|_| *queue));
        let lend = |queue| Ok(Lent { entry: Entry::new()?, queue, is_ours: false });
        let lent = entries.map(lend).collect::<io::Result<Vec<Lent>>>()?;
        let live = Cell::new(lent.len());
        let (unsubmitted, replied) = (Cell::new(0), Notify::new());
        let (lent, early) = (RefCell::new(lent), RefCell::default());
        let ring = Self { io, lent, early, device, unsubmitted, live, replied };
        ring.register()?;
        ring.settle_registration()?;
        Ok(ring)
    }

    fn register(&self) -> io::Result<()> {
        let lent = self.lent.borrow();
        // The kernel reads the lists of parts while they are submitted.
        let parts: Vec<[Part; 2]> = lent.iter().map(|lent| lent.entry.parts()).collect();
        for (index, (lent, parts)) in lent.iter().zip(&parts).enumerate() {
            self.push(index, REGISTER, lent.queue, 0, Some(parts));
        }
        self.submit()
    }

    /// Takes what the kernel said to the registrations. Requests may be among it already: they are kept.
    fn settle_registration(&self) -> io::Result<()> {
        let mut ring = self.io.get_ref().ring.borrow_mut();
        for completion in ring.completion() {
            if completion.result() < 0 {
                return Err(io::Error::from_raw_os_error(-completion.result()));
            }
            self.early.borrow_mut().push(self.arrive(completion.user_data() as usize));
        }
        Ok(())
    }

    /// Waits until there may be requests, or the end of the mount.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        // Cleared before the completions are taken: one that comes in between makes it ready again.
        self.io.readable().await?.clear_ready();
        Ok(())
    }

    /// The entries that got a request. Each is replied to by [`Ring::reply`], exactly once.
    pub(crate) fn arrived(&self) -> Vec<EntryId> {
        let mut arrived = self.early.take();
        for completion in self.io.get_ref().ring.borrow_mut().completion() {
            if completion.result() == 0 {
                arrived.push(self.arrive(completion.user_data() as usize));
            } else {
                // The mount is over, or was over when the reply came.
                self.live.update(|live| live - 1);
            }
        }
        arrived
    }

    fn arrive(&self, index: usize) -> EntryId {
        self.lent.borrow_mut()[index].is_ours = true;
        EntryId(index)
    }

    /// Whether no request can come any more, and none is waiting for its reply.
    pub(crate) fn is_over(&self) -> bool {
        self.live.get() == 0
    }

    /// The kernel's queue that an entry belongs to.
    pub(crate) fn queue(&self, id: EntryId) -> u16 {
        self.lent.borrow()[id.0].queue
    }

    /// Lets `read` look at the request in an entry; it is `None` where the kernel contradicts itself.
    pub(crate) fn with_message<T>(&self, id: EntryId, read: impl FnOnce(Option<&[u8]>) -> T) -> T {
        let mut lent = self.lent.borrow_mut();
        let lent = &mut lent[id.0];
        assert!(lent.is_ours, "an entry is read while a request lies in it");
        read(lent.entry.message())
    }

    /// Replies to the request in an entry. The kernel is told by the next [`Ring::submit`].
    pub(crate) fn reply(&self, id: EntryId, reply: &Encoded) {
        let mut all = self.lent.borrow_mut();
        let lent = &mut all[id.0];
        assert!(lent.is_ours, "a request is replied to once");
        if !lent.entry.put(reply) {
            tracing::error!("a reply is longer than any that was asked for: answered with EIO");
            lent.entry.refuse(Errno::EIO);
        }
        self.give_back(id, lent);
    }

    /// Replies that the request cannot be carried out, whatever lies in the entry.
    pub(crate) fn refuse(&self, id: EntryId, errno: Errno) {
        let mut all = self.lent.borrow_mut();
        let lent = &mut all[id.0];
        lent.entry.refuse(errno);
        self.give_back(id, lent);
    }

    fn give_back(&self, id: EntryId, lent: &mut Lent) {
        lent.is_ours = false;
        self.push(id.0, COMMIT_AND_FETCH, lent.queue, lent.entry.commit_id(), None);
        self.replied.notify_one();
    }

    /// Waits until there are replies the kernel was not told of.
    pub(crate) async fn replied(&self) {
        self.replied.notified().await;
    }

    /// Tells the kernel of the replies so far.
    pub(crate) fn submit(&self) -> io::Result<()> {
        while self.unsubmitted.get() > 0 {
            match self.io.get_ref().ring.borrow().submit() {
                Ok(submitted) => self.unsubmitted.update(|unsubmitted| unsubmitted.saturating_sub(submitted)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn push(&self, index: usize, command: u32, queue: u16, commit_id: u64, parts: Option<&[Part; 2]>) {
        let mut argument = [0; 80];
        argument[8..16].copy_from_slice(&commit_id.to_le_bytes());
        argument[16..18].copy_from_slice(&queue.to_le_bytes());
        let command = opcode::UringCmd80::new(types::Fd(self.device.as_raw_fd()), command).cmd(argument);
        let mut submission = match parts {
            Some(parts) => command.addr(Some(parts.as_ptr() as u64)).build(),
            None => command.build(),
        };
        if parts.is_some() {
            set_len(&mut submission, 2);
        }
        let mut ring = self.io.get_ref().ring.borrow_mut();
        // SAFETY: the entry's memory lives as long as the ring. The parts of a registration are read during the
        // submission that follows before they are dropped.
        let pushed = unsafe { ring.submission().push(&submission.user_data(index as u64)) };
        pushed.expect("an entry has one submission at a time, and there is room for each");
        self.unsubmitted.update(|unsubmitted| unsubmitted + 1);
    }
}

/// Sets `len` of a submission, for which the crate has no setter.
fn set_len(submission: &mut Entry128, len: u32) {
    /// Place of `len` in `struct io_uring_sqe`.
    const LEN: usize = 24;
    // SAFETY: `Entry128` is `#[repr(C)]` around `struct io_uring_sqe`, whose field `len` is a u32 at this place.
    unsafe { std::ptr::from_mut(submission).cast::<u8>().add(LEN).cast::<u32>().write(len) };
}

/// Tries to make such a ring.
pub(super) fn probe() -> io::Result<()> {
    build(DEPTH).map(drop)
}

fn build(entries: usize) -> io::Result<IoUring<Entry128, cqueue::Entry>> {
    let entries = u32::try_from(entries).map_err(io::Error::other)?;
    IoUring::builder().setup_single_issuer().setup_submit_all().setup_coop_taskrun().setup_taskrun_flag().build(entries)
}

/// Commands of `enum fuse_uring_cmd`.
const REGISTER: u32 = 1;
const COMMIT_AND_FETCH: u32 = 2;
