use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::FutureExt;
use proto::{Attr, Caller, LockSpans, Timespec};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

use super::*;
use crate::adapter::{Open, Operation, Write};
use crate::ops::tests::{DIR, READ_ONLY, WRITE, attr, empty_layout, world_with};
use crate::ops::{GivenUp, perform, undo, write_back};

/// The other mounts, as one owner.
const OTHERS: LockOwner = LockOwner(99);
const ME: LockOwner = LockOwner(1);
const YOU: LockOwner = LockOwner(2);

/// A server with one file and its locks, as the protocol has them.
#[derive(Default)]
struct Server {
    held: RefCell<Vec<(LockKind, LockOwner, LockSpans)>>,
    version: Cell<u64>,
    changed: Notify,
    asked: RefCell<Vec<Request>>,
    /// Lets requests for locks through, if they are held up.
    gate: RefCell<Option<Rc<Semaphore>>>,
    /// Noise for the times that requests and answers take; 0 = none.
    noise: Cell<u64>,
    awaiting: Cell<usize>,
    awaiting_most: Cell<usize>,
    /// How many requests for locks are answered from here on as by a session that is lost.
    lost: Cell<usize>,
}

impl Server {
    fn of(&self, kind: LockKind, owner: LockOwner) -> LockSpans {
        let held = self.held.borrow();
        let found = held.iter().find(|(held_kind, held_owner, _)| (*held_kind, *held_owner) == (kind, owner));
        found.map(|(.., spans)| spans.clone()).unwrap_or_default()
    }

    fn set(&self, kind: LockKind, owner: LockOwner, spans: LockSpans) {
        let mut held = self.held.borrow_mut();
        held.retain(|(held_kind, held_owner, _)| (*held_kind, *held_owner) != (kind, owner));
        held.push((kind, owner, spans));
        self.changed.notify_waiters();
    }

    fn others_hold(&self, kind: LockKind, span: LockSpan) {
        let mut spans = self.of(kind, OTHERS);
        spans.hold(span);
        self.set(kind, OTHERS, spans);
    }

    fn others_let_go(&self, kind: LockKind) {
        self.set(kind, OTHERS, LockSpans::default());
    }

    fn against(&self, kind: LockKind, owner: LockOwner, span: &LockSpan) -> Option<LockSpan> {
        let held = self.held.borrow();
        let others = held.iter().filter(|(held_kind, held_owner, _)| *held_kind == kind && *held_owner != owner);
        others.filter_map(|(.., spans)| spans.first_against(span)).next()
    }

    fn attr(&self) -> Attr {
        attr(1 + self.version.get(), 0o644)
    }

    async fn delay(&self) {
        if self.noise.get() > 0 {
            let noise =
                self.noise.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            self.noise.set(noise);
            tokio::time::sleep(Duration::from_millis((noise >> 60) + 1)).await;
        }
    }

    fn carry_out(&self, request: &Request) -> Result<Reply, Errno> {
        match request {
            Request::Open { .. } => Ok(Reply::Opened(self.attr(), empty_layout(1 + self.version.get()))),
            Request::Release { .. } => Ok(Reply::Done),
            Request::Commit(_) => {
                self.version.update(|version| version + 1);
                Ok(Reply::Entry(self.attr()))
            }
            Request::Lock { kind, owner, span, .. } => match self.against(*kind, *owner, span) {
                Some(_) => Err(Errno::EAGAIN),
                None => {
                    let mut spans = self.of(*kind, *owner);
                    spans.hold(*span);
                    self.set(*kind, *owner, spans);
                    Ok(Reply::Entry(self.attr()))
                }
            },
            Request::Unlock { kind, owner, start, end, .. } => {
                let mut spans = self.of(*kind, *owner);
                spans.release(*start, *end);
                self.set(*kind, *owner, spans);
                Ok(Reply::Done)
            }
            Request::TestLock { kind, owner, span, .. } => Ok(Reply::Lock(self.against(*kind, *owner, span))),
            other => panic!("not asked for: {other:?}"),
        }
    }
}

impl MetaClient for &Server {
    async fn call(&self, _caller: &Caller, request: Request) -> Result<Reply, Errno> {
        self.asked.borrow_mut().push(request.clone());
        if let Request::AwaitLock { kind, owner, span, .. } = request {
            let _awaiting = Awaiting::new(self);
            while self.against(kind, owner, &span).is_some() {
                self.changed.notified().await;
            }
            return Ok(Reply::Done);
        }
        let gate = self.gate.borrow().clone();
        if let (Some(gate), true) = (gate, request.is_lock()) {
            gate.acquire().await.unwrap().forget();
        }
        if request.is_lock() && self.lost.get() > 0 {
            self.lost.update(|lost| lost - 1);
            return Err(Errno::EIO);
        }
        self.delay().await;
        let reply = self.carry_out(&request);
        self.delay().await;
        reply
    }
}

struct Awaiting<'a>(&'a Server);

impl<'a> Awaiting<'a> {
    fn new(server: &'a Server) -> Self {
        server.awaiting.update(|awaiting| awaiting + 1);
        server.awaiting_most.update(|most| most.max(server.awaiting.get()));
        Self(server)
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.0.awaiting.update(|awaiting| awaiting - 1);
    }
}

/// Another operation of the same mount.
fn beside<'a>(cx: &Cx<&'a Server>) -> Cx<&'a Server> {
    let (state, client, room) = (Arc::clone(&cx.state), cx.client, Rc::clone(&cx.room));
    Cx { state, client, caller: Caller::ROOT, ino: DIR, now: cx.now, given_up: GivenUp::default(), room }
}

async fn open(cx: &Cx<&Server>, how: Open) -> HandleId {
    match perform(cx, Operation::Open(how)).await {
        Ok(Answer::Opened { handle, .. }) => handle,
        other => panic!("{other:?}"),
    }
}

fn range(handle: HandleId, owner: LockOwner, start: u64, end: u64, exclusive: bool) -> Lock {
    Lock { handle, kind: LockKind::Range, owner, span: LockSpan { start, end, exclusive, pid: 7 }, wait: false }
}

fn whole(handle: HandleId, exclusive: bool) -> Lock {
    let span = LockSpan::whole(exclusive, 7);
    Lock { handle, kind: LockKind::Whole, owner: LockOwner(handle.0), span, wait: false }
}

fn waiting(lock: Lock) -> Lock {
    Lock { wait: true, ..lock }
}

async fn take(cx: &Cx<&Server>, lock: Lock) -> Result<(), Errno> {
    perform(cx, Operation::Lock(lock)).await.map(|answer| assert!(matches!(answer, Answer::Locked(_))))
}

async fn write(cx: &Cx<&Server>, handle: HandleId) {
    let write =
        Write { handle, offset: 0, data: bytes::Bytes::from_static(b"x"), kill_privileges: false, append: false };
    perform(cx, Operation::Write(write)).await.unwrap();
}

/// Names of the requests since the last look.
fn asked(server: &Server) -> Vec<&'static str> {
    server.asked.take().iter().map(Request::name).collect()
}

#[tokio::test(start_paused = true)]
async fn closing_a_file_without_locks_asks_nothing_about_locks() {
    let server = Server::default();
    let cx = world_with("", &server);
    let (handle, other) = (open(&cx, WRITE).await, open(&cx, WRITE).await);
    take(&cx, range(other, YOU, 0, 9, true)).await.unwrap();
    asked(&server);
    perform(&cx, Operation::Flush { handle, owner: ME }).await.unwrap();
    perform(&cx, Operation::Release { handle }).await.unwrap();
    assert_eq!(asked(&server), ["release"]);
}

#[tokio::test(start_paused = true)]
async fn locks_of_a_process_end_with_its_first_close_and_others_stay() {
    let server = Server::default();
    let cx = world_with("", &server);
    let (handle, other) = (open(&cx, WRITE).await, open(&cx, WRITE).await);
    for lock in [range(handle, ME, 0, 9, true), range(handle, YOU, 20, 29, true), whole(handle, true)] {
        take(&cx, lock).await.unwrap();
    }
    perform(&cx, Operation::Flush { handle: other, owner: ME }).await.unwrap();
    assert!(server.of(LockKind::Range, ME).is_empty());
    assert!(!server.of(LockKind::Range, YOU).is_empty());
    assert!(!server.of(LockKind::Whole, LockOwner(handle.0)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn locks_of_an_open_file_end_when_it_is_gone_and_before_it_is_closed() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    take(&cx, whole(handle, true)).await.unwrap();
    take(&cx, range(handle, ME, 0, 9, true)).await.unwrap();
    asked(&server);
    perform(&cx, Operation::Release { handle }).await.unwrap();
    assert_eq!(asked(&server), ["unlock", "unlock", "release"]);
    assert!(server.held.borrow().iter().all(|(.., spans)| spans.is_empty()));
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_committed_before_a_lock_is_given_up() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    let lock = range(handle, ME, 0, 9, true);
    let shared = Operation::Lock(range(handle, ME, 0, 9, false));
    let flush = Operation::Flush { handle, owner: ME };
    for ending in [Operation::Unlock(lock), shared, flush, Operation::Release { handle }] {
        take(&cx, lock).await.unwrap();
        write(&cx, handle).await;
        asked(&server);
        perform(&cx, ending.clone()).await.unwrap();
        let asked = asked(&server);
        assert_eq!(asked[0], "commit", "{ending:?}");
        assert!(asked[1] == "unlock" || asked[1] == "lock", "{ending:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn unlocking_what_is_not_locked_asks_nothing() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    asked(&server);
    assert_eq!(perform(&cx, Operation::Unlock(range(handle, ME, 0, 9, true))).await, Ok(Answer::Done));
    assert!(asked(&server).is_empty());
}

#[tokio::test(start_paused = true)]
async fn lock_that_others_hold_is_refused_at_once() {
    let server = Server::default();
    server.others_hold(LockKind::Whole, LockSpan::whole(true, 0));
    let cx = world_with("", &server);
    let handle = open(&cx, READ_ONLY).await;
    let before = Instant::now();
    assert_eq!(take(&cx, whole(handle, false)).await, Err(Errno::EAGAIN));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn unlock_on_its_way_is_waited_for() {
    let server = Server::default();
    let cx = world_with("", &server);
    let (first, second) = (open(&cx, WRITE).await, open(&cx, WRITE).await);
    take(&cx, whole(first, true)).await.unwrap();
    let gate = Rc::new(Semaphore::new(0));
    server.gate.replace(Some(Rc::clone(&gate)));
    let (leaving, coming) = (beside(&cx), beside(&cx));
    let release = perform(&leaving, Operation::Release { handle: first });
    let lock = take(&coming, whole(second, true));
    let passage = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        gate.add_permits(2);
    };
    let (_, locked, ()) = tokio::join!(release, lock, passage);
    assert_eq!(locked, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn lock_that_this_mount_holds_is_looked_at_again() {
    let server = Server::default();
    let cx = world_with("", &server);
    let (first, second) = (open(&cx, WRITE).await, open(&cx, WRITE).await);
    take(&cx, whole(first, true)).await.unwrap();
    let (leaving, coming) = (beside(&cx), beside(&cx));
    // The word that the handle is gone comes to another thread, and a little later.
    let release = async {
        tokio::time::sleep(Duration::from_millis(12)).await;
        perform(&leaving, Operation::Release { handle: first }).await
    };
    let (_, locked) = tokio::join!(release, take(&coming, whole(second, true)));
    assert_eq!(locked, Ok(()));
    let before = Instant::now();
    let third = open(&cx, WRITE).await;
    assert_eq!(take(&cx, whole(third, true)).await, Err(Errno::EAGAIN));
    assert!(before.elapsed() < Duration::from_millis(30));
}

#[tokio::test(start_paused = true)]
async fn waiter_gets_the_lock_when_others_let_go() {
    let server = Server::default();
    server.others_hold(LockKind::Range, LockSpan::whole(true, 0));
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    let coming = beside(&cx);
    let mut lock = Box::pin(take(&coming, waiting(range(handle, ME, 5, 9, true))));
    assert!(lock.as_mut().now_or_never().is_none());
    server.others_let_go(LockKind::Range);
    assert_eq!(lock.await, Ok(()));
    assert!(cx.state.locks.holds(Holder { ino: DIR, kind: LockKind::Range, owner: ME }));
}

#[tokio::test(start_paused = true)]
async fn deadlock_is_told_to_who_waits() {
    let server = Server::default();
    let cx = world_with("", Deadlocked(&server));
    let handle = match perform(&cx, Operation::Open(WRITE)).await {
        Ok(Answer::Opened { handle, .. }) => handle,
        other => panic!("{other:?}"),
    };
    server.others_hold(LockKind::Range, LockSpan::whole(true, 0));
    let lock = perform(&cx, Operation::Lock(waiting(range(handle, ME, 0, 9, true)))).await;
    assert_eq!(lock, Err(Errno::EDEADLK));
}

struct Deadlocked<'a>(&'a Server);

impl MetaClient for Deadlocked<'_> {
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, Errno> {
        match request {
            Request::AwaitLock { .. } => Err(Errno::EDEADLK),
            request => self.0.call(caller, request).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waiter_that_is_given_up_ends_at_once_and_holds_nothing() {
    let server = Server::default();
    server.others_hold(LockKind::Range, LockSpan::whole(true, 0));
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    let coming = beside(&cx);
    let mut lock = Box::pin(take(&coming, waiting(range(handle, ME, 0, 9, true))));
    assert!(lock.as_mut().now_or_never().is_none());
    coming.given_up.set();
    assert_eq!(lock.now_or_never(), Some(Err(Errno::EINTR)));
    assert_eq!(server.awaiting.get(), 0);
    server.others_let_go(LockKind::Range);
    assert!(server.of(LockKind::Range, ME).is_empty());
}

#[tokio::test(start_paused = true)]
async fn lock_that_is_granted_to_nobody_is_taken_back() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    take(&cx, range(handle, ME, 10, 19, false)).await.unwrap();
    let gate = Rc::new(Semaphore::new(0));
    server.gate.replace(Some(Rc::clone(&gate)));
    let (first, second) = (beside(&cx), beside(&cx));
    let mut lock = Box::pin(take(&first, waiting(range(handle, ME, 0, 29, true))));
    assert!(lock.as_mut().now_or_never().is_none());
    first.given_up.set();
    // The program asks again before the answer is there.
    let mut again = Box::pin(take(&second, range(handle, ME, 25, 29, true)));
    assert!(lock.as_mut().now_or_never().is_none() && again.as_mut().now_or_never().is_none());
    gate.add_permits(10);
    assert_eq!(tokio::join!(lock, again), (Err(Errno::EINTR), Ok(())));
    let expected = [range(handle, ME, 10, 19, false).span, range(handle, ME, 25, 29, true).span];
    assert_eq!(server.of(LockKind::Range, ME).spans(), expected);
    assert_eq!(cx.state.locks.held(Holder { ino: DIR, kind: LockKind::Range, owner: ME }, 0, 99), expected);
}

#[tokio::test(start_paused = true)]
async fn lock_whose_answer_does_not_arrive_is_taken_back() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    take(&cx, range(handle, ME, 0, 4, true)).await.unwrap();
    let answer = perform(&cx, Operation::Lock(range(handle, ME, 0, 9, false))).await.unwrap();
    undo(&cx, answer).await;
    assert_eq!(server.of(LockKind::Range, ME).spans(), [range(handle, ME, 0, 4, true).span]);
}

#[tokio::test(start_paused = true)]
async fn two_that_share_a_file_and_want_it_for_themselves_both_get_it() {
    let server = Server::default();
    let cx = world_with("", &server);
    let (first, second) = (open(&cx, WRITE).await, open(&cx, WRITE).await);
    take(&cx, whole(first, false)).await.unwrap();
    take(&cx, whole(second, false)).await.unwrap();
    let one = async {
        let cx = beside(&cx);
        take(&cx, waiting(whole(first, true))).await.unwrap();
        perform(&cx, Operation::Unlock(whole(first, true))).await.unwrap();
    };
    let other = async {
        let cx = beside(&cx);
        take(&cx, waiting(whole(second, true))).await.unwrap();
        perform(&cx, Operation::Unlock(whole(second, true))).await.unwrap();
    };
    tokio::time::timeout(Duration::from_secs(1), async { tokio::join!(one, other) }).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn many_waiters_leave_room_for_others_and_all_get_their_turn() {
    let server = Server::default();
    server.others_hold(LockKind::Range, LockSpan::whole(true, 0));
    let mut cx = world_with("", &server);
    cx.room = Rc::new(WaitingRoom::new(100, Rc::default()));
    let handle = open(&cx, WRITE).await;
    let cxs: Vec<_> = (0..101).map(|_| beside(&cx)).collect();
    let lock = |number: usize| waiting(range(handle, LockOwner(1000 + number as u64), 0, 9, false));
    let locks = cxs.iter().enumerate().map(|(number, cx)| take(cx, lock(number)));
    let letting_go = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(server.awaiting.get(), 64);
        server.asked.take();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(server.asked.take().len() <= 36 * 20 + 36, "they ask four times a second");
        server.others_let_go(LockKind::Range);
    };
    let (outcomes, ()) = tokio::join!(futures_util::future::join_all(locks), letting_go);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 100);
    assert_eq!(outcomes[100], Err(Errno::ENOLCK), "the last one finds no place");
    assert_eq!(server.awaiting_most.get(), 64);
}

#[tokio::test(start_paused = true)]
async fn session_that_is_lost_is_asked_again() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    server.lost.set(2);
    assert_eq!(take(&cx, range(handle, ME, 0, 9, true)).await, Ok(()));
    // The answer is of the session before.
    let gate = Rc::new(Semaphore::new(0));
    server.gate.replace(Some(Rc::clone(&gate)));
    let mut unlock = Box::pin(perform(&cx, Operation::Unlock(range(handle, ME, 0, 9, true))));
    assert!(unlock.as_mut().now_or_never().is_none());
    assert_eq!(cx.state.locks.renew().len(), 1);
    asked(&server);
    gate.add_permits(2);
    assert_eq!(unlock.await, Ok(Answer::Done));
    assert_eq!(asked(&server), ["unlock"]);
    assert!(!cx.state.locks.holds(Holder { ino: DIR, kind: LockKind::Range, owner: ME }));
}

#[tokio::test(start_paused = true)]
async fn read_only_mount_shares_locks_and_gives_them_up() {
    let server = Server::default();
    let cx = world_with("ro", &server);
    let handle = open(&cx, READ_ONLY).await;
    assert_eq!(take(&cx, whole(handle, true)).await, Err(Errno::EROFS));
    assert_eq!(take(&cx, whole(handle, false)).await, Ok(()));
    assert_eq!(perform(&cx, Operation::Unlock(whole(handle, false))).await, Ok(Answer::Done));
}

#[tokio::test(start_paused = true)]
async fn lock_of_a_file_that_is_gone_is_refused_and_ends_with_its_close() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    take(&cx, range(handle, ME, 0, 9, true)).await.unwrap();
    cx.state.files.mark_gone(&[DIR]);
    assert_eq!(take(&cx, range(handle, ME, 20, 29, true)).await, Err(Errno::ESTALE));
    assert_eq!(perform(&cx, Operation::Flush { handle, owner: ME }).await, Err(Errno::ESTALE));
    assert!(server.of(LockKind::Range, ME).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_written_under_a_lock_that_was_lost_is_not_committed() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    take(&cx, whole(handle, true)).await.unwrap();
    write(&cx, handle).await;
    cx.state.files.mark_gone(&[DIR]);
    asked(&server);
    write_back(&cx, Timespec { secs: cx.now.secs + 1, ..cx.now }).await;
    perform(&cx, Operation::Release { handle }).await.unwrap();
    assert_eq!(asked(&server), ["unlock", "release"]);
}

#[tokio::test(start_paused = true)]
async fn lock_tells_what_others_changed_once() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    let news = async || match perform(&cx, Operation::Lock(whole(handle, true))).await {
        Ok(Answer::Locked(locked)) => locked.news,
        other => panic!("{other:?}"),
    };
    assert_eq!(news().await, None);
    write(&cx, handle).await;
    perform(&cx, Operation::Unlock(whole(handle, true))).await.unwrap();
    assert_eq!(news().await, None, "the change is its own");
    server.version.update(|version| version + 1);
    let version = server.attr().version;
    assert_eq!(news().await, Some(version));
    assert_eq!(news().await, Some(version), "until the kernel has dropped its pages");
    cx.state.data.settle_dropped(DIR, version);
    assert_eq!(news().await, None);
}

#[tokio::test(start_paused = true)]
async fn what_stands_against_a_lock_is_told() {
    let server = Server::default();
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    let test = Operation::TestLock(range(handle, ME, 0, 9, true));
    assert_eq!(perform(&cx, test.clone()).await, Ok(Answer::Lock(None)));
    let held = LockSpan { start: 5, end: 7, exclusive: false, pid: 0 };
    server.others_hold(LockKind::Range, held);
    assert_eq!(perform(&cx, test).await, Ok(Answer::Lock(Some(held))));
}

/// Operations of a few owners at random, which overlap and some of which are given up.
async fn random_steps(seed: u64) {
    let server = Server::default();
    server.noise.set(seed);
    let cx = world_with("", &server);
    let handle = open(&cx, WRITE).await;
    let mut noise = seed;
    let mut random = |below: u64| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) % below
    };
    let steps: Vec<_> = (0..30)
        .map(|_| {
            let (one, other) = (random(20), random(20));
            let owner = LockOwner(1 + random(2));
            let lock = range(handle, owner, one.min(other), one.max(other), random(2) == 0);
            let lock = Lock { wait: random(3) == 0, ..lock };
            (random(300), random(4), lock, beside(&cx))
        })
        .collect();
    let work = steps.iter().map(|(at, what, lock, cx)| async move {
        tokio::time::sleep(Duration::from_millis(*at)).await;
        let operation = match what {
            0 => Operation::Unlock(*lock),
            _ => Operation::Lock(*lock),
        };
        let mut work = Box::pin(perform(cx, operation));
        // Waiters end at last, some others in the middle of something.
        let patience = if *what == 3 { 5 } else { 500 };
        if tokio::time::timeout(Duration::from_millis(patience), &mut work).await.is_err() {
            cx.given_up.set();
            if let Ok(answer) = work.await {
                undo(cx, answer).await;
            }
        }
    });
    futures_util::future::join_all(work).await;
    for owner in [ME, YOU] {
        let held = cx.state.locks.held(Holder { ino: DIR, kind: LockKind::Range, owner }, 0, 99);
        assert_eq!(held, server.of(LockKind::Range, owner).spans(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn table_has_what_the_server_has_whatever_overlaps() {
    for seed in 1..300 {
        random_steps(seed).await;
    }
}
