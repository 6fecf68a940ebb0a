use proptest::prelude::*;

use super::{LockSpan, LockSpans};

fn span(start: u64, end: u64, exclusive: bool) -> LockSpan {
    LockSpan { start, end, exclusive, pid: 7 }
}

fn held(spans: &[LockSpan]) -> LockSpans {
    let mut held = LockSpans::default();
    spans.iter().for_each(|span| held.hold(*span));
    held
}

#[test]
fn neighbours_of_one_kind_become_one_range() {
    assert_eq!(held(&[span(0, 9, true), span(20, 29, true), span(10, 19, true)]).spans(), [span(0, 29, true)]);
    assert_eq!(held(&[span(0, 9, true), span(10, 19, false)]).spans(), [span(0, 9, true), span(10, 19, false)]);
}

#[test]
fn a_part_of_a_range_is_turned_into_the_other_kind_or_given_up() {
    let mut locks = held(&[span(0, 99, false), span(40, 59, true)]);
    assert_eq!(locks.spans(), [span(0, 39, false), span(40, 59, true), span(60, 99, false)]);
    locks.release(50, 69);
    assert_eq!(locks.spans(), [span(0, 39, false), span(40, 49, true), span(70, 99, false)]);
    assert_eq!(locks.within(30, 75), [span(30, 39, false), span(40, 49, true), span(70, 75, false)]);
}

#[test]
fn shared_locks_stand_beside_one_another_and_exclusive_ones_beside_none() {
    let locks = held(&[span(10, 19, false), span(30, 39, true)]);
    assert_eq!(locks.first_against(&span(0, 29, false)), None);
    assert_eq!(locks.first_against(&span(0, 29, true)), Some(span(10, 19, false)));
    assert_eq!(locks.first_against(&span(39, 50, false)), Some(span(30, 39, true)));
    assert_eq!(locks.first_against(&span(20, 29, true)), None);
}

#[test]
fn ranges_at_both_ends_of_the_longest_file_are_ranges() {
    let mut locks = held(&[span(0, 0, true), LockSpan::whole(false, 7)]);
    assert_eq!(locks.spans(), [LockSpan::whole(false, 7)]);
    locks.release(0, LockSpan::END);
    assert!(locks.is_empty());
    assert!(!LockSpan { start: 1, end: 0, exclusive: false, pid: 0 }.is_valid());
    assert!(!LockSpan { start: 0, end: LockSpan::END + 1, exclusive: false, pid: 0 }.is_valid());
}

proptest! {
    /// Against a table with an entry for each byte.
    #[test]
    fn any_steps_leave_what_a_table_of_bytes_says(steps in prop::collection::vec((0u64..32, 0u64..32, 0u8..3), 0..40)) {
        let (mut locks, mut bytes) = (LockSpans::default(), [None; 32]);
        for (one, other, what) in steps {
            let (start, end) = (one.min(other), one.max(other));
            let exclusive = (what > 0).then_some(what == 2);
            match exclusive {
                Some(exclusive) => locks.hold(span(start, end, exclusive)),
                None => locks.release(start, end),
            }
            bytes[start as usize..=end as usize].fill(exclusive);
        }
        let mut shown = [None; 32];
        for held in locks.spans() {
            shown[held.start as usize..=held.end as usize].fill(Some(held.exclusive));
        }
        prop_assert_eq!(shown, bytes);
        prop_assert!(locks.spans().windows(2).all(|pair| pair[0].end < pair[1].start));
        let is_joined = |pair: &[LockSpan]| pair[0].end + 1 < pair[1].start || pair[0].exclusive != pair[1].exclusive;
        prop_assert!(locks.spans().windows(2).all(is_joined));
    }
}
