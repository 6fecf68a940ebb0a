//! Where the time of slow operations went, for `flexfs explain`.
//!
//! An operation that is answered at once costs nothing here. One that has to wait gets a [`Trace`], which is the
//! thread's current one while the operation is being polled; what it waits for notes its time there ([`stage()`]). The
//! slowest of the last minutes are kept, a few for each thread ([`SlowLog`]), and read through an extended attribute.

mod slowest;
mod stage;

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use proto::{InodeId, Timespec};
use serde::{Deserialize, Serialize};

pub(crate) use slowest::{SlowLog, Slowest};
pub(crate) use stage::{TimedStore, note, stage};

/// The extended attribute whose value is the slowest operations, as JSON ([`SlowOperation`]): of a file, or of the whole
/// mount if asked of its root. Shown to root and to the user of the mount daemon, and in no list. For names of the
/// system's the kernel asks for no attributes first, which a server that is away would not tell.
pub const SLOW_XATTR: &str = "system.flexfs.slow";

/// Stages that are noted of one operation; those beyond are left out.
const STAGES_MAX: usize = 24;

/// An operation that took long, and where its time went. All times are in microseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SlowOperation {
    /// What it was, as `fsync`.
    pub operation: String,
    /// The file it was about; the directory where it was about a name.
    pub inode: u64,
    /// When it was taken up, in seconds since 1970.
    pub began: f64,
    /// From when the thread woke for it to its reply.
    pub total: u64,
    /// Of that, before it was taken up: others were first on the thread. What it waited in the kernel is not known here.
    pub queue: u64,
    /// Of that, writing the reply: copying its bytes to the kernel.
    pub reply: u64,
    /// The error it ended with, as `EIO`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it waited for, in the order it was begun. A stage may lie within another or beside it.
    pub stages: Vec<StageTime>,
}

/// Something that an operation waited for. All times are in microseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageTime {
    /// What it was.
    pub stage: Stage,
    /// Of a call: the request, as `commit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// When it began, since the operation was taken up.
    pub at: u64,
    /// How long it took.
    pub took: u64,
    /// Of a call: from reading to answering it, as the server says.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub server: u64,
    /// Of that: waiting until the server's journal was on disk.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub disk: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What an operation may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// A call of the metadata server: the network and the server.
    Call,
    /// A connection to the metadata server, while there is none.
    Reconnect,
    /// Bytes of stored blocks: fetched, checked and unpacked, by this operation or by another that was first.
    Blocks,
    /// The block store's answer, within that.
    Store,
    /// Other commits of the same file.
    Turn,
    /// Uploads of written bytes: packed, and put into the block store.
    Upload,
    /// Room for written bytes, where too many were not committed yet.
    Room,
}

/// What is known of an operation while it goes on.
#[derive(Debug)]
struct Trace {
    began: Instant,
    stages: Vec<Noted>,
}

/// A stage that is over.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    stage: Stage,
    at: Duration,
    took: Duration,
    /// Of a call: the request, and what the server says, in microseconds.
    pub(crate) request: Option<&'static str>,
    pub(crate) server: u32,
    pub(crate) disk: u32,
}

impl Trace {
    /// A trace that begins now.
    fn begin() -> Self {
        let stages = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        Self { began: Instant::now(), stages }
    }

    /// Keeps the memory for another: most traces are of operations that were fast enough.
    fn discard(mut self) {
        self.stages.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < SPARE_MAX {
                spare.push(self.stages);
            }
        });
    }
}

/// Lists of stages a thread keeps for later. Worst case of memory: about two kilobytes each.
const SPARE_MAX: usize = 64;

thread_local! {
    /// The trace of the operation that is being polled on this thread.
    static CURRENT: RefCell<Option<Trace>> = const { RefCell::new(None) };
    /// Lists of stages to be used again.
    static SPARE: RefCell<Vec<Vec<Noted>>> = const { RefCell::new(Vec::new()) };
}

/// What an operation was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject {
    pub(crate) operation: &'static str,
    pub(crate) ino: InodeId,
    pub(crate) began: Timespec,
    /// When the thread woke for the requests that this one was among; `None` where it was the only one.
    pub(crate) woken: Option<Instant>,
}

/// An operation that waits, with its trace.
#[derive(Debug)]
pub(crate) struct Traced<F> {
    work: F,
    trace: Option<Trace>,
}

impl<F: Future + Unpin> Traced<F> {
    /// From here on `work` notes what it waits for.
    pub(crate) fn new(work: F) -> Self {
        Self { work, trace: Some(Trace::begin()) }
    }

    /// Ends the trace: the operation is over but for its reply.
    pub(crate) fn finish(self, subject: Subject) -> Ended {
        Ended { subject, trace: self.trace.unwrap_or_else(Trace::begin), ended: Instant::now() }
    }
}

impl<F: Future + Unpin> Future for Traced<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let swap = |trace: &mut Option<Trace>| {
            CURRENT.with_borrow_mut(|current| std::mem::swap(current, trace));
        };
        swap(&mut this.trace);
        // A panic is caught in the work itself, so the trace comes back.
        let polled = Pin::new(&mut this.work).poll(cx);
        swap(&mut this.trace);
        polled
    }
}

/// An operation that is over but for its reply.
#[derive(Debug)]
pub(crate) struct Ended {
    subject: Subject,
    trace: Trace,
    ended: Instant,
}

impl Ended {
    /// How long it took so far.
    fn total(&self) -> Duration {
        self.ended - self.subject.woken.unwrap_or(self.trace.began)
    }

    /// The record, when the reply is written: `replied`.
    fn record(self, replied: Instant, error: Option<&'static str>) -> SlowOperation {
        let Self { subject, trace, ended } = self;
        let woken = subject.woken.unwrap_or(trace.began);
        let record = SlowOperation {
            operation: subject.operation.to_owned(),
            inode: subject.ino.0,
            began: subject.began.secs as f64 + f64::from(subject.began.nanos) / 1e9,
            total: micros(replied - woken),
            queue: micros(trace.began - woken),
            reply: micros(replied - ended),
            error: error.map(str::to_owned),
            stages: trace.stages.iter().map(StageTime::of).collect(),
        };
        trace.discard();
        record
    }
}

impl StageTime {
    fn of(noted: &Noted) -> Self {
        let Noted { stage, at, took, request, server, disk } = noted.clone();
        let (at, took, request) = (micros(at), micros(took), request.map(str::to_owned));
        Self { stage, request, at, took, server: server.into(), disk: disk.into() }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
