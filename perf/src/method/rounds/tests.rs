use super::*;

#[test]
fn everybody_takes_one_turn_and_each_comes_first_equally_often() {
    let mut first = [0; 4];
    let mut last = [0; 4];
    for round in 0..8 {
        let order = order(round, 5, 4);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3]);
        first[order[0]] += 1;
        last[order[3]] += 1;
    }
    assert_eq!(first, [2; 4]);
    assert_eq!(last, [2; 4]);
}

#[test]
fn neighbours_change_places_between_rounds() {
    assert_eq!(order(0, 0, 3), [0, 1, 2]);
    assert_eq!(order(1, 0, 3), [2, 1, 0]);
    assert_eq!(order(2, 0, 3), [1, 2, 0]);
    assert!(order(3, 7, 0).is_empty());
}

#[test]
fn round_that_would_end_late_is_not_begun() {
    let secs = Duration::from_secs;
    assert!(fits(secs(60), secs(30), secs(90)));
    assert!(!fits(secs(61), secs(30), secs(90)));
}
