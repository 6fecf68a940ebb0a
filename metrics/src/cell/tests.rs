use super::*;

#[test]
fn duration_falls_into_the_first_bucket_that_holds_it() {
    let durations = Durations::default();
    for micros in [0, 2, 3, 1_000, 1_001, 3_600_000_000] {
        durations.record(Duration::from_micros(micros));
    }
    let mut sum = Sum::default();
    sum.add(&durations);
    sum.add(&durations);
    assert_eq!(sum.count(), 12);
    let buckets = sum.buckets();
    let within = |end: f64| buckets.iter().find(|(other, _)| *other == end).map(|(_, count)| *count);
    assert_eq!(within(2e-6), Some(4));
    assert_eq!(within(5e-6), Some(2));
    assert_eq!(within(1e-3), Some(2));
    assert_eq!(within(2.5e-3), Some(2));
    assert_eq!(within(f64::INFINITY), Some(2));
    assert!((sum.seconds() - 7_200.004_012).abs() < 1e-6, "{}", sum.seconds());
}
