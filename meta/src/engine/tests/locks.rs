//! Locks: who gets them, who waits, and how they end.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use proptest::prelude::*;
use proto::limits::LOCK_SPANS_MAX;
use proto::{
    Access, Caller, Claim, Errno, InodeId, LockKind, LockOwner, LockSpan, LockSpans, Refused, Reply, Request,
    RequestFrame,
};

use super::world::{BOTH, LIMITS, READ, ROOT, User, World, at};
use crate::engine::SessionContext;
use crate::engine::locks::{LOCKS_MAX, Locker};
use crate::engine::ops::lock::drop_of_closed;
use crate::engine::tx::Tx;
use crate::engine::volume::Volume;
use crate::store::MemoryKv;

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicU32);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rang(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

fn span(start: u64, end: u64, exclusive: bool) -> LockSpan {
    LockSpan { start, end, exclusive, pid: 7 }
}

impl User<'_> {
    fn lock(&self, ino: InodeId, owner: u64, span: LockSpan) -> Result<(), Refused> {
        self.lock_as(ino, LockKind::Range, owner, span)
    }

    fn lock_as(&self, ino: InodeId, kind: LockKind, owner: u64, span: LockSpan) -> Result<(), Refused> {
        match self.ask(Request::Lock { ino, kind, owner: LockOwner(owner), span })? {
            Reply::Entry(attr) if attr.ino == ino => Ok(()),
            other => panic!("{other:?}"),
        }
    }

    fn unlock(&self, ino: InodeId, owner: u64, start: u64, end: u64) {
        let request = Request::Unlock { ino, kind: LockKind::Range, owner: LockOwner(owner), start, end };
        assert_eq!(self.ask(request), Ok(Reply::Done));
    }

    fn test_lock(&self, ino: InodeId, owner: u64, span: LockSpan) -> Option<LockSpan> {
        match self.ask(Request::TestLock { ino, kind: LockKind::Range, owner: LockOwner(owner), span }) {
            Ok(Reply::Lock(against)) => against,
            other => panic!("{other:?}"),
        }
    }

    fn wait_frame(&self, ino: InodeId, owner: u64, span: LockSpan) -> RequestFrame {
        let request = Request::AwaitLock { ino, kind: LockKind::Range, owner: LockOwner(owner), span };
        RequestFrame { operation: None, caller: self.caller.clone(), request }
    }

    /// What a wait comes to at once; `None` where it goes on.
    fn wait_once(&self, ino: InodeId, owner: u64, span: LockSpan) -> Option<Result<Reply, Refused>> {
        let frame = self.wait_frame(ino, owner, span);
        match self.world.volume.await_lock(&self.session, &frame, self.world.now()) {
            Ok(wait) => match pin!(wait).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(result) => Some(result),
                Poll::Pending => None,
            },
            Err(executed) => Some(executed.reply.result),
        }
    }
}

const BUSY: Result<(), Refused> = Err(Refused::Error(Errno::EAGAIN));

/// A file that two mounts have open for reading and writing.
fn shared_file(world: &World) -> (User<'_>, User<'_>, InodeId) {
    let (one, two) = (world.superuser(), world.user(world.mount(2, ROOT, false), Caller::ROOT));
    let file = one.create(ROOT, "f", 0o644).unwrap();
    two.open(file, BOTH).unwrap();
    (one, two, file)
}

#[test]
fn exclusive_lock_keeps_others_out_and_shared_ones_stand_together() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    one.lock(file, 1, span(0, 9, true)).unwrap();
    assert_eq!(two.lock(file, 1, span(9, 20, false)), BUSY, "the same number at another mount is somebody else");
    assert_eq!(one.lock(file, 2, span(0, 0, false)), BUSY);
    two.lock(file, 1, span(10, 20, true)).unwrap();
    assert_eq!(one.test_lock(file, 2, span(0, 5, true)), Some(span(0, 9, true)));
    assert_eq!(two.test_lock(file, 9, span(0, 5, true)), Some(LockSpan { pid: 0, ..span(0, 9, true) }));
    one.lock(file, 1, span(0, 9, false)).unwrap();
    two.lock(file, 1, span(0, 9, false)).unwrap();
    assert_eq!(one.lock(file, 1, span(0, 9, true)), BUSY, "no upgrade while another one reads");
    one.lock_as(file, LockKind::Whole, 1, LockSpan::whole(true, 7)).unwrap();
    assert_eq!(two.lock_as(file, LockKind::Whole, 1, LockSpan::whole(false, 7)), BUSY);
    world.check();
}

#[test]
fn only_open_files_are_locked_and_only_for_what_they_are_open() {
    let world = World::new();
    let (root, other) = (world.superuser(), world.user(world.mount(2, ROOT, false), Caller::ROOT));
    let (reader, file) = (world.user(world.mount(3, ROOT, true), Caller::ROOT), root.create(ROOT, "f", 0o644).unwrap());
    let errno = |errno: Errno| Err(Refused::Error(errno));
    assert_eq!(other.lock(file, 1, span(0, 9, false)), errno(Errno::EBADF));
    other.open(file, READ).unwrap();
    other.lock(file, 1, span(0, 9, false)).unwrap();
    assert_eq!(other.lock(file, 1, span(0, 9, true)), errno(Errno::EBADF), "fcntl wants it open for writing");
    other.lock_as(file, LockKind::Whole, 1, LockSpan::whole(true, 7)).unwrap();
    reader.open(file, READ).unwrap();
    reader.lock(file, 1, span(0, 9, false)).unwrap();
    for kind in [LockKind::Range, LockKind::Whole] {
        assert_eq!(reader.lock_as(file, kind, 1, LockSpan::whole(true, 7)), errno(Errno::EROFS));
    }
    assert_eq!(reader.wait_once(file, 1, span(0, 9, true)), Some(Err(Refused::Error(Errno::EROFS))));
    assert_eq!(root.lock(file, 1, span(9, 8, true)), Err(Refused::Malformed));
    assert_eq!(root.lock(file, 1, LockSpan { end: u64::MAX, ..span(0, 0, true) }), Err(Refused::Malformed));
    assert_eq!(root.lock_as(file, LockKind::Whole, 1, span(0, 9, true)), Err(Refused::Malformed));
    world.check();
}

#[test]
fn locks_end_with_the_last_close_and_with_the_session() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    one.open(file, Access { read: true, write: false, execute: false }).unwrap();
    one.lock(file, 1, span(0, 9, true)).unwrap();
    one.close(file);
    assert_eq!(two.lock(file, 1, span(0, 9, true)), BUSY, "it is open once more");
    one.close(file);
    two.lock(file, 1, span(0, 9, true)).unwrap();
    one.open(file, BOTH).unwrap();
    let bell = Arc::new(Bell::default());
    let frame = one.wait_frame(file, 1, span(5, 5, true));
    let mut wait = pin!(world.volume.await_lock(&one.session, &frame, world.now()).ok().unwrap());
    let waker = Waker::from(Arc::clone(&bell));
    assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    world.volume.close_session(two.session.id, at(9)).unwrap();
    assert_eq!(bell.rang(), 1);
    assert_eq!(wait.as_mut().poll(&mut Context::from_waker(&waker)), Poll::Ready(Ok(Reply::Done)));
    one.lock(file, 1, span(0, 9, true)).unwrap();
    assert_eq!(two.lock(file, 1, span(0, 9, true)), Err(Refused::SessionEnded));
    world.check();
}

#[test]
fn nameless_file_is_locked_by_those_who_have_it_open() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    one.unlink(ROOT, "f").unwrap();
    one.lock(file, 1, span(0, 9, true)).unwrap();
    assert_eq!(two.lock(file, 1, span(0, 9, true)), BUSY);
    two.close(file);
    assert_eq!(two.lock(file, 1, span(20, 29, true)), Err(Refused::Error(Errno::ESTALE)));
    one.close(file);
    assert_eq!(world.volume.stat().inodes_used, 1);
    world.check();
}

#[test]
fn locks_outlive_the_process_and_go_with_a_claim_that_leaves_their_file_out() {
    let kv = MemoryKv::default();
    let world = World::on(kv.clone(), LIMITS);
    let (one, two, file) = shared_file(&world);
    one.lock(file, 1, span(0, 9, true)).unwrap();
    two.lock(file, 1, span(10, 19, true)).unwrap();
    let sessions = [one.session, two.session];
    let world = world.restarted(kv);
    let [one, two] = sessions.map(|session| world.user(&session, Caller::ROOT));
    let claim = |user: &User<'_>, count| {
        let claims = (0..count).map(|_| Claim { ino: file, count: 1, write: true }).collect();
        assert!(matches!(user.ask(Request::Reclaim { claims }), Ok(Reply::Claimed { .. })));
    };
    claim(&two, 1);
    assert_eq!(two.lock(file, 1, span(0, 9, true)), BUSY, "its holder may yet come back");
    claim(&one, 0);
    two.lock(file, 1, span(0, 9, true)).unwrap();
    assert_eq!(two.test_lock(file, 5, span(0, 99, true)), Some(span(0, 19, true)), "what it held before is there");
    world.check();
}

#[test]
fn waiters_are_woken_in_turn_and_only_when_they_can_have_it() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    one.lock(file, 1, span(0, 99, true)).unwrap();
    let spans = [span(0, 9, true), span(5, 9, true), span(20, 29, false), span(25, 29, false)];
    let frames: Vec<_> = (0..4).map(|owner| two.wait_frame(file, owner, spans[owner as usize])).collect();
    let bells: Vec<Arc<Bell>> = (0..4).map(|_| Arc::default()).collect();
    let mut waits: Vec<_> = frames
        .iter()
        .map(|frame| Box::pin(world.volume.await_lock(&two.session, frame, world.now()).ok().unwrap()))
        .collect();
    let mut poll = |number: usize| {
        let waker = Waker::from(Arc::clone(&bells[number]));
        waits[number].as_mut().poll(&mut Context::from_waker(&waker))
    };
    assert!((0..4).all(|number| poll(number).is_pending()));
    let rang = || bells.iter().map(|bell| bell.rang()).collect::<Vec<_>>();
    one.unlock(file, 1, 0, 19);
    assert_eq!(rang(), [1, 0, 0, 0], "the second would stand against the first");
    assert_eq!(poll(0), Poll::Ready(Ok(Reply::Done)));
    two.lock(file, 0, spans[0]).unwrap();
    one.lock(file, 1, span(20, 99, false)).unwrap();
    assert_eq!(rang(), [1, 0, 1, 1], "both can share with it");
    two.unlock(file, 0, 0, 9);
    assert_eq!(rang(), [1, 1, 1, 1]);
}

#[test]
fn wait_for_what_waits_for_oneself_is_a_deadlock() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    let three = world.user(world.mount(3, ROOT, false), Caller::ROOT);
    three.open(file, BOTH).unwrap();
    let users = [&one, &two, &three];
    for (place, user) in users.iter().enumerate() {
        user.lock(file, 1, span(place as u64, place as u64, true)).unwrap();
    }
    let wanted = |place: u64| span((place + 1) % 3, (place + 1) % 3, true);
    let frames = [0, 1].map(|place: usize| users[place].wait_frame(file, 1, wanted(place as u64)));
    let mut waits: Vec<_> = frames
        .iter()
        .zip(users)
        .map(|(frame, user)| Box::pin(world.volume.await_lock(&user.session, frame, world.now()).ok().unwrap()))
        .collect();
    for wait in &mut waits {
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(three.wait_once(file, 1, wanted(2)), Some(Err(Refused::Error(Errno::EDEADLK))));
    assert_eq!(three.wait_once(file, 2, wanted(2)), None, "another owner of the same mount holds nothing");
    drop(waits);
    assert_eq!(three.wait_once(file, 1, wanted(2)), None, "nobody waits any more");
}

#[test]
fn no_owner_holds_more_ranges_than_it_may() {
    let world = World::new();
    let (one, _, file) = shared_file(&world);
    for place in 0..LOCK_SPANS_MAX as u64 {
        one.lock(file, 1, span(place * 2, place * 2, true)).unwrap();
    }
    let full = Err(Refused::Error(Errno::ENOLCK));
    assert_eq!(one.lock(file, 1, span(1 << 20, 1 << 20, true)), full);
    one.lock(file, 1, span(0, 0, true)).unwrap();
    one.lock(file, 1, LockSpan::whole(true, 7)).unwrap();
    one.lock(file, 1, span(1 << 20, 1 << 20, true)).unwrap();
    world.check();
}

#[test]
fn regression_holes_in_ranges_count_too() {
    let world = World::new();
    let (one, _, file) = shared_file(&world);
    // Nearly as many ranges as the session may have, as other requests would leave them.
    let mut ranges = LockSpans::default();
    (0..LOCK_SPANS_MAX as u64 - 1).for_each(|place| ranges.hold(span(2 * place, 2 * place, false)));
    for owner in 0..64 {
        let locker = Locker { session: one.session.id, kind: LockKind::Range, owner: LockOwner(owner) };
        let mut tx = Tx::begin(&world.volume);
        tx.set_locks((file, locker, ranges.clone()));
        tx.commit().unwrap();
    }
    one.lock(file, 64, LockSpan::whole(false, 7)).unwrap();
    let full = (0..100).map(|hole| {
        let (kind, owner, place) = (LockKind::Range, LockOwner(64), 2 * hole + 1);
        one.ask(Request::Unlock { ino: file, kind, owner, start: place, end: place })
    });
    assert_eq!(full.into_iter().find(Result::is_err), Some(Err(Refused::Error(Errno::ENOLCK))));
    assert_eq!(world.volume.locks().count(one.session.id), LOCKS_MAX);
    world.volume.close_session(one.session.id, at(9)).unwrap();
    world.check();
}

#[test]
fn regression_close_that_is_overtaken_by_an_open_leaves_its_locks() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    one.lock(file, 1, span(0, 9, true)).unwrap();
    // The close took the last open back; before it comes to the locks, the file is open and locked again.
    drop_of_closed(&world.volume, one.session.id, file).unwrap();
    assert_eq!(two.lock(file, 1, span(0, 9, false)), BUSY);
    world.check();
}

#[test]
fn close_with_many_owners_wakes_who_comes_first_and_once() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    (0..100).for_each(|owner| one.lock(file, owner, span(0, 9, false)).unwrap());
    let frames = [0, 1].map(|owner| two.wait_frame(file, owner, span(9, 9, true)));
    let bells: [Arc<Bell>; 2] = Default::default();
    let mut waits: Vec<_> = frames
        .iter()
        .map(|frame| Box::pin(world.volume.await_lock(&two.session, frame, world.now()).ok().unwrap()))
        .collect();
    for (wait, bell) in waits.iter_mut().zip(&bells) {
        let waker = Waker::from(Arc::clone(bell));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    one.close(file);
    assert_eq!(bells.map(|bell| bell.rang()), [1, 0], "the second stands against the first");
    world.check();
}

#[test]
fn question_about_a_lock_needs_no_right_to_it() {
    let world = World::new();
    let (one, _, file) = shared_file(&world);
    let reader = world.user(world.mount(3, ROOT, true), Caller::ROOT);
    reader.open(file, READ).unwrap();
    assert_eq!(reader.test_lock(file, 1, span(0, 9, true)), None);
    one.lock(file, 1, span(5, 5, false)).unwrap();
    assert_eq!(reader.test_lock(file, 1, span(0, 9, true)), Some(LockSpan { pid: 0, ..span(5, 5, false) }));
}

#[test]
fn repeated_lock_is_not_taken_again() {
    let world = World::new();
    let (one, two, file) = shared_file(&world);
    let lock = Request::Lock { ino: file, kind: LockKind::Range, owner: LockOwner(1), span: span(0, 9, true) };
    let operation = Some(world.next_operation());
    one.ask_as(operation, lock.clone()).unwrap();
    one.unlock(file, 1, 0, 9);
    assert!(matches!(one.ask_as(operation, lock), Ok(Reply::Entry(_))), "its first answer");
    two.lock(file, 1, span(0, 9, true)).unwrap();
    world.check();
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Lock { session: usize, kind: LockKind, owner: u64, start: u64, end: u64, exclusive: bool },
    Unlock { session: usize, kind: LockKind, owner: u64, start: u64, end: u64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![Just(LockKind::Range), Just(LockKind::Whole)];
    let range = (kind, 0..16_u64, 0..16_u64).prop_map(|(kind, one, other)| match kind {
        LockKind::Range => (kind, one.min(other), one.max(other)),
        LockKind::Whole => (kind, 0, LockSpan::END),
    });
    let whose = (0..2_usize, 0..3_u64, range);
    prop_oneof![
        6 => (whose.clone(), any::<bool>()).prop_map(|((session, owner, (kind, start, end)), exclusive)| {
            Step::Lock { session, kind, owner, start, end, exclusive }
        }),
        4 => whose.prop_map(|(session, owner, (kind, start, end))| Step::Unlock { session, kind, owner, start, end }),
        1 => Just(Step::Restart),
    ]
}

/// Who holds which of the first 16 bytes, and how.
type Bytes = BTreeMap<(usize, LockKind, u64), [Option<bool>; 16]>;

fn byte_range(start: u64, end: u64) -> std::ops::RangeInclusive<usize> {
    start as usize..=end.min(15) as usize
}

proptest! {
    /// Against a table of bytes, through restarts.
    #[test]
    fn random_locks_are_granted_as_a_table_of_bytes_says(steps in prop::collection::vec(step(), 1..60)) {
        let kv = MemoryKv::default();
        let mut world = World::on(kv.clone(), LIMITS);
        let sessions: [SessionContext; 2] = {
            let (one, two, _) = shared_file(&world);
            [one.session, two.session]
        };
        let file = world.user(&sessions[0], Caller::ROOT).lookup(ROOT, "f").unwrap().ino;
        let mut model = Bytes::new();
        for step in steps {
            match step {
                Step::Lock { session, kind, owner, start, end, exclusive } => {
                    let user = world.user(&sessions[session], Caller::ROOT);
                    let whose = (session, kind, owner);
                    let is_free = model.iter().filter(|(other, _)| **other != whose && other.1 == kind).all(|(_, held)| {
                        byte_range(start, end).all(|place| held[place].is_none_or(|theirs| !theirs && !exclusive))
                    });
                    let outcome = user.lock_as(file, kind, owner, span(start, end, exclusive));
                    prop_assert_eq!(outcome, if is_free { Ok(()) } else { BUSY });
                    if is_free {
                        model.entry(whose).or_default()[byte_range(start, end)].fill(Some(exclusive));
                    }
                }
                Step::Unlock { session, kind, owner, start, end } => {
                    let user = world.user(&sessions[session], Caller::ROOT);
                    let done = user.ask(Request::Unlock { ino: file, kind, owner: LockOwner(owner), start, end });
                    prop_assert_eq!(done, Ok(Reply::Done));
                    model.entry((session, kind, owner)).or_default()[byte_range(start, end)].fill(None);
                }
                Step::Restart => {
                    world = world.restarted(kv.clone());
                    for session in &sessions {
                        let claims = vec![Claim { ino: file, count: 1, write: true }];
                        let user = world.user(session, Caller::ROOT);
                        let claimed = user.ask(Request::Reclaim { claims });
                        prop_assert!(claimed.is_ok(), "{claimed:?}");
                    }
                }
            }
        }
        world.check();
    }
}

/// Nothing but a wait is one.
#[test]
fn any_other_request_is_no_wait() {
    let world = World::new();
    let root = world.superuser();
    let frame = RequestFrame { operation: None, caller: Caller::ROOT, request: Request::StatFs };
    let refused = |volume: &Volume<MemoryKv>| match volume.await_lock(&root.session, &frame, world.now()) {
        Ok(_) => panic!("taken for a wait"),
        Err(executed) => executed.reply.result,
    };
    assert_eq!(refused(&world.volume), Err(Refused::Malformed));
}
