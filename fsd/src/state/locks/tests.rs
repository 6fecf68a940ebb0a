use futures_util::FutureExt;

use super::*;

const FILE: InodeId = InodeId(9);
const FIRST: HandleId = HandleId(1);
const SECOND: HandleId = HandleId(2);

fn process(owner: u64) -> Holder {
    Holder { ino: FILE, kind: LockKind::Range, owner: LockOwner(owner) }
}

fn span(start: u64, end: u64, exclusive: bool) -> LockSpan {
    LockSpan { start, end, exclusive, pid: 7 }
}

impl HeldLocks {
    fn take(&self, holder: Holder, handle: HandleId, span: LockSpan) {
        assert!(self.settle_lock(self.session(), holder, handle, span));
    }
}

#[test]
fn ranges_are_each_holders_own() {
    let locks = HeldLocks::default();
    locks.take(process(1), FIRST, span(0, 99, false));
    locks.take(process(2), SECOND, span(50, 149, false));
    assert!(locks.settle_unlock(0, process(1), 40, 59));
    assert_eq!(locks.held(process(1), 30, 70), [span(30, 39, false), span(60, 70, false)]);
    assert_eq!(locks.held(process(2), 0, 200), [span(50, 149, false)]);
    assert!(locks.holds(process(1)) && !locks.holds(process(3)));
}

#[test]
fn what_stands_against_a_lock_is_of_others_and_of_the_same_kind() {
    let locks = HeldLocks::default();
    locks.take(process(1), FIRST, span(10, 19, false));
    let asks = |holder, span| locks.stand_against(holder, &span);
    assert!(asks(process(2), span(0, 10, true)));
    assert!(!asks(process(2), span(0, 10, false)));
    assert!(!asks(process(1), span(0, 10, true)));
    assert!(!asks(Holder { kind: LockKind::Whole, ..process(2) }, span(0, 10, true)));
    assert!(!asks(Holder { ino: InodeId(8), ..process(2) }, span(0, 10, true)));
}

#[test]
fn locks_go_with_the_last_handle_that_their_holder_took_any_through() {
    let locks = HeldLocks::default();
    locks.take(process(1), FIRST, span(0, 9, true));
    locks.take(process(1), SECOND, span(20, 29, true));
    locks.take(process(2), SECOND, span(40, 49, true));
    assert!(locks.came_through(FILE, FIRST) && !locks.came_through(FILE, HandleId(3)));
    assert_eq!(locks.leave(FILE, FIRST), []);
    assert_eq!(locks.held(process(1), 0, 99).len(), 2);
    assert_eq!(locks.leave(FILE, SECOND), [process(1), process(2)]);
}

#[test]
fn turns_are_had_in_the_order_they_were_asked_for() {
    let locks = HeldLocks::default();
    let first = locks.turn(FILE).now_or_never().unwrap();
    let (mut second, mut third) = (Box::pin(locks.turn(FILE)), Box::pin(locks.turn(FILE)));
    assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
    assert!(locks.turn(InodeId(8)).now_or_never().is_some(), "files do not wait for each other");
    drop(first);
    assert!(third.as_mut().now_or_never().is_none());
    assert!(second.now_or_never().is_some());
    assert!(third.now_or_never().is_some());
}

#[test]
fn files_without_locks_are_forgotten() {
    let locks = HeldLocks::default();
    let turn = locks.turn(FILE).now_or_never().unwrap();
    let waiting = Box::pin(locks.turn(FILE));
    locks.take(process(1), FIRST, span(0, 9, true));
    assert!(locks.settle_unlock(0, process(1), 0, LockSpan::END));
    drop(waiting);
    assert_eq!(locks.files.len(), 1, "somebody has the turn");
    drop(turn);
    assert!(locks.files.is_empty());
    let turn = locks.turn(FILE).now_or_never().unwrap();
    locks.take(process(1), FIRST, span(0, 9, true));
    drop(turn);
    assert_eq!(locks.files.len(), 1);
    locks.forget(process(1), 0, 9);
    assert!(locks.files.is_empty());
}

#[test]
fn answer_of_a_session_that_is_over_does_not_count() {
    let locks = HeldLocks::default();
    locks.take(process(1), FIRST, span(0, 9, true));
    locks.take(process(1), FIRST, span(20, 29, false));
    let before = locks.session();
    assert_eq!(locks.renew(), [(process(1), span(0, 9, true)), (process(1), span(20, 29, false))]);
    assert!(!locks.settle_lock(before, process(1), FIRST, span(40, 49, true)));
    assert!(!locks.settle_unlock(before, process(1), 0, 9));
    assert_eq!(locks.held(process(1), 0, 99).len(), 2);
    assert!(locks.settle_unlock(locks.session(), process(1), 0, 9));
    assert_eq!(locks.renew().len(), 1);
}
