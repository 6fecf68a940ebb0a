use futures_util::FutureExt;

use super::*;

#[test]
fn interruption_reaches_its_request_only() {
    let interrupts = Interrupts::default();
    let (first, second) = (interrupts.register(1), interrupts.register(2));
    interrupts.interrupt(2);
    assert_eq!(second.interrupted().now_or_never(), Some(()));
    assert_eq!(first.interrupted().now_or_never(), None);
}

#[test]
fn interruption_that_comes_first_is_kept() {
    let interrupts = Interrupts::default();
    interrupts.interrupt(7);
    assert_eq!(interrupts.register(7).interrupted().now_or_never(), Some(()));
    assert_eq!(interrupts.register(7).interrupted().now_or_never(), None);
}

#[test]
fn interruptions_of_answered_requests_do_not_pile_up() {
    let interrupts = Interrupts::default();
    drop(interrupts.register(1));
    for unique in 0..2 * EARLY_MAX as u64 {
        interrupts.interrupt(unique);
    }
    assert_eq!(interrupts.early().len(), EARLY_MAX);
    assert!(interrupts.waiting.is_empty());
}
