//! One request from its operation to its reply: interruption, panic and a kernel that stopped waiting included.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use proto::Errno;

use super::super::notify::{drop_attributes, drop_pages};
use super::super::uring::EntryId;
use super::Worker;
use crate::adapter::{Answer, Incoming, Locked, Operation, encode};
use crate::client::{Rpc, ServerSession};
use crate::ops::{Cx, perform, undo};
use crate::trace::{Ended, Subject, Traced};

/// How long an interrupted operation may still come to its end. Most signals are no reason to fail (timers, children,
/// a runtime's own), and an answer is usually on its way; a process that is to die waits no longer than this.
const GRACE: Duration = Duration::from_millis(500);

/// Whose reply it is: the request's number, and where it lies if it came over the ring.
#[derive(Clone, Copy)]
struct Whose {
    unique: u64,
    entry: Option<EntryId>,
}

impl Worker {
    /// Carries out one request and answers it, and counts it where that is wished.
    pub(super) async fn carry_out(&self, incoming: Incoming, entry: Option<EntryId>) {
        let counted = self.meter.as_ref().zip(incoming.operation.as_ref().ok()).map(|(meter, operation)| {
            if let Operation::Write(write) = operation {
                meter.note_written(write.data.len() as u64);
            }
            (meter, operation.number(), Instant::now())
        });
        self.answer(incoming, entry).await;
        if let Some((meter, operation, begin)) = counted {
            meter.record(operation, begin.elapsed());
        }
    }

    async fn answer(&self, incoming: Incoming, entry: Option<EntryId>) {
        let cx = self.context(&incoming, entry);
        let Incoming { unique, ino, operation, .. } = incoming;
        let whose = Whose { unique, entry };
        let operation = match operation {
            Ok(operation) if cx.caller.uid == 0 && cx.state.flags.demotes_root() => operation.by_nobody_special(),
            Ok(operation) => operation,
            Err(errno) => {
                self.reply(whose, Err(errno));
                return;
            }
        };
        let session = &self.serving.session;
        let (name, droppable) = (operation.name(), operation.is_droppable());
        let grace = if operation.waits_for_others() { Duration::ZERO } else { GRACE };
        // Nobody waits for the end of a handle: neither the process that closed it nor the kernel.
        let is_release = matches!(operation, Operation::Release { .. } | Operation::ReleaseDir { .. });
        let is_read = matches!(operation, Operation::Read(_));
        let subject = Subject { operation: name, ino, began: cx.now, woken: self.woken.get() };
        let mut slow = None;
        if is_release {
            self.reply(whose, Ok(Answer::Done));
        } else if session.is_ended() {
            self.reply(whose, Err(Errno::EACCES));
            return;
        }
        let work = AssertUnwindSafe(async {
            let outcome = perform(&cx, operation).await;
            if let Ok(Answer::Locked(Locked { news: Some(version), .. })) = &outcome {
                self.drop_pages(&cx, *version).await;
            }
            outcome
        });
        let work = work.catch_unwind();
        let mut work = pin!(work.map(|outcome| outcome.unwrap_or_else(|_| {
            tracing::error!(operation = name, %ino, "operation panicked: answered with EIO");
            Err(Errno::EIO)
        })));
        let mut outcome = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if outcome.is_pending() && !is_release {
            let interruptible = self.serving.interrupts.register(unique);
            let mut traced = Traced::new(&mut work);
            tokio::select! {
                biased;
                done = &mut traced => outcome = Poll::Ready(done),
                () = grace_over(interruptible.interrupted(), grace, session) => {}
            }
            slow = Some(traced.finish(subject));
        }
        let error = match &outcome {
            Poll::Ready(outcome) => outcome.as_ref().err().map(|errno| errno.name()),
            Poll::Pending => Some(Errno::EINTR.name()),
        };
        match outcome {
            Poll::Ready(_) if is_release => {}
            Poll::Ready(outcome) => {
                if let (Some(meter), Ok(Answer::Data(data))) = (&self.meter, &outcome) {
                    meter.note_read(data.iter().map(|bytes| bytes.len() as u64).sum());
                }
                let attr_changed = match &outcome {
                    Ok(Answer::Opened { attr_changed, .. }) => *attr_changed,
                    // Perhaps the kernel reads where the file is no more: it is to ask for the length.
                    Err(_) => is_read,
                    Ok(_) => false,
                };
                if attr_changed {
                    drop_attributes(&self.device, ino, cx.state.presentation.root);
                }
                let given = outcome.as_ref().ok().filter(|answer| answer.gives_something()).cloned();
                let is_received = self.reply(whose, outcome);
                self.take_in(slow, error);
                if !is_received && let Some(answer) = given {
                    undo(&cx, answer).await;
                }
            }
            Poll::Pending => {
                // What may have changed something is seen through, though nobody waits for it.
                let mut rest = pin!(async {
                    if !droppable && let Ok(answer) = work.await {
                        undo(&cx, answer).await;
                    }
                });
                let mut is_over = false;
                if !is_release {
                    cx.given_up.set();
                    // What is to be taken back takes its turn before the program can ask again.
                    is_over = std::future::poll_fn(|cx| Poll::Ready(rest.as_mut().poll(cx).is_ready())).await;
                    self.reply(whose, Err(Errno::EINTR));
                    self.take_in(slow, error);
                }
                if !is_over {
                    rest.await;
                }
            }
        }
    }

    /// Makes the kernel drop pages that may be older than `version`, which came with a lock; unless nobody waits any more.
    async fn drop_pages(&self, cx: &Cx<Rpc>, version: u64) {
        let (ino, root) = (cx.ino, cx.state.presentation.root);
        // On a thread of its own: the kernel waits for pages whose reads this thread has to answer.
        let dropped = match self.device.share() {
            Ok(device) => tokio::task::spawn_blocking(move || drop_pages(&device, ino, root)),
            Err(error) => {
                return tracing::error!(%ino, %error, "the kernel's pages stay, though others changed the file");
            }
        };
        tokio::select! {
            done = dropped => match done {
                Ok(()) => cx.state.data.settle_dropped(ino, version),
                Err(error) => tracing::error!(%ino, %error, "the kernel's pages stay, though others changed the file"),
            },
            () = cx.given_up.wait() => {}
        }
    }

    /// Notes an operation that had to wait, for whoever asks what was slow.
    fn take_in(&self, slow: Option<Ended>, error: Option<&'static str>) {
        if let Some(ended) = slow {
            self.slowest.lock().expect("no code under this lock panics").take_in(ended, error);
        }
    }

    /// Replies; false where the kernel does not wait any more.
    fn reply(&self, Whose { unique, entry }: Whose, outcome: Result<Answer, Errno>) -> bool {
        let encoded = encode(unique, outcome, &self.serving.state.presentation);
        if let (Some(ring), Some(entry)) = (&self.ring, entry) {
            ring.reply(entry, &encoded);
            return true;
        }
        self.device.reply(encoded).unwrap_or_else(|error| {
            tracing::error!(unique, %error, "the kernel refused a reply");
            false
        })
    }
}

async fn grace_over(interrupted: impl Future<Output = ()>, grace: Duration, session: &ServerSession) {
    interrupted.await;
    tokio::select! {
        () = tokio::time::sleep(grace) => {}
        _ = session.wait_ended() => {}
    }
}
