use super::*;

#[test]
fn median_is_the_middle_whatever_the_order() {
    let odd = Spread::of(&[9.0, 1.0, 4.0]).unwrap();
    assert_eq!(odd, Spread { median: 4.0, min: 1.0, max: 9.0, count: 3 });
    let even = Spread::of(&[10.0, 1.0, 4.0, 2.0]).unwrap();
    assert_eq!((even.median, even.min, even.max), (3.0, 1.0, 10.0));
    assert_eq!(Spread::of(&[5.0]).unwrap().median, 5.0);
}

#[test]
fn one_outlier_does_not_move_the_median() {
    let calm = Spread::of(&[100.0, 101.0, 99.0, 100.0, 102.0]).unwrap();
    let disturbed = Spread::of(&[100.0, 101.0, 99.0, 100.0, 5.0]).unwrap();
    assert_eq!(calm.median, disturbed.median);
    assert_eq!(disturbed.min, 5.0);
}

#[test]
fn nothing_and_no_numbers_have_no_spread() {
    assert_eq!(Spread::of(&[]), None);
    assert_eq!(Spread::of(&[1.0, f64::NAN]), None);
    assert_eq!(Spread::of(&[f64::INFINITY]), None);
}

#[test]
fn ranges_that_touch_overlap() {
    let spread = |samples: &[f64]| Spread::of(samples).unwrap();
    assert!(spread(&[1.0, 3.0]).overlaps(&spread(&[3.0, 5.0])));
    assert!(spread(&[1.0, 9.0]).overlaps(&spread(&[3.0, 5.0])));
    assert!(!spread(&[1.0, 2.0]).overlaps(&spread(&[3.0, 5.0])));
}
