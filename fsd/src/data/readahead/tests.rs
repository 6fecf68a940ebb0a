use proptest::prelude::*;

use super::*;

const SIZE: u64 = 64 << 20;
const STEP: u64 = 128 << 10;

#[test]
fn reader_in_order_is_led_by_a_growing_window() {
    let mut ahead = ReadAhead::default();
    let mut asked = 0;
    for offset in (0..16 << 20).step_by(STEP as usize) {
        if let Some(range) = ahead.note(offset, STEP, SIZE, WINDOW_MAX) {
            assert!(range.start >= asked, "nothing is asked for twice");
            asked = range.end;
        }
        assert!(asked > offset + STEP, "always ahead");
    }
    assert!(asked >= (16 << 20) + WINDOW_MAX / 2);
}

#[test]
fn reader_who_jumps_about_is_not_led() {
    let mut ahead = ReadAhead::default();
    for index in 1..100u64 {
        let offset = index * 0x9e37_79b9 % (SIZE / STEP) * STEP;
        assert_eq!(ahead.note(offset, 4096, SIZE, WINDOW_MAX), None);
    }
}

#[test]
fn requests_that_overtake_each_other_are_in_order() {
    let mut ahead = ReadAhead::default();
    ahead.note(0, STEP, SIZE, WINDOW_MAX);
    let mut led = false;
    for pair in 1..20u64 {
        led |= ahead.note((pair * 2 + 1) * STEP, STEP, SIZE, WINDOW_MAX).is_some();
        led |= ahead.note(pair * 2 * STEP, STEP, SIZE, WINDOW_MAX).is_some();
    }
    assert!(led);
}

#[test]
fn nothing_behind_the_end_is_asked_for() {
    let mut ahead = ReadAhead::default();
    assert_eq!(ahead.note(0, 1000, 5000, WINDOW_MAX), Some(1000..5000));
    assert_eq!(ahead.note(1000, 4000, 5000, WINDOW_MAX), None);
}

proptest! {
    #[test]
    fn bound_holds_for_every_reader(reads in prop::collection::vec((0u64..SIZE, 0u64..2 << 20, any::<bool>()), 1..50)) {
        let mut ahead = ReadAhead::default();
        let mut last_end = 0;
        let mut reached = 0;
        for (offset, len, go_on) in reads {
            let offset = if go_on { last_end } else { offset };
            last_end = offset + len;
            reached = reached.max(last_end);
            if let Some(range) = ahead.note(offset, len, SIZE, WINDOW_MAX) {
                prop_assert!(range.start < range.end && range.end <= SIZE);
                prop_assert!(range.end <= reached + WINDOW_MAX);
            }
        }
    }
}
