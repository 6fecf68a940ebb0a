use super::*;

#[test]
fn pauses_double_up_to_the_longest_and_begin_anew_after_success() {
    let mut backoff = Backoff::default();
    let pauses: Vec<Duration> = (0..40).map(|_| backoff.pause(1023)).collect();
    assert!(pauses[0] <= FIRST && pauses[0] >= FIRST / 2);
    assert!(pauses.is_sorted());
    assert!(pauses[39] <= LONGEST && pauses[39] > LONGEST / 2);
    backoff.reset();
    assert!(backoff.pause(0) <= FIRST);
}

#[test]
fn noise_moves_the_pause_by_up_to_half() {
    assert_eq!(Backoff::default().pause(0), FIRST / 2);
    assert!(Backoff::default().pause(1023) > FIRST * 9 / 10);
}
