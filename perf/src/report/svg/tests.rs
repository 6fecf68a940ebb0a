use super::*;

fn latency(micros: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    micros.iter().for_each(|micros| histogram.record(Duration::from_micros(*micros)));
    histogram
}

#[test]
fn bar_shows_median_range_samples_and_ceiling() {
    let share = Spread { median: 0.5, min: 0.25, max: 0.75, count: 3 };
    let svg = bar(share, &[0.25, 0.5, 0.75], 1.0);
    assert!(svg.contains("<rect class=\"fill\" x=\"0\" y=\"6\" width=\"230.0\""), "{svg}");
    assert!(svg.contains("<line class=\"range\" x1=\"115.0\" x2=\"345.0\""), "{svg}");
    assert!(svg.contains("<line class=\"mark\" x1=\"460.0\""), "{svg}");
    assert_eq!(svg.matches("<circle").count(), 3);
}

#[test]
fn axis_of_shares_reaches_beyond_the_ceiling_where_a_sample_does() {
    let share = |max| Spread { median: 0.5, min: 0.1, max, count: 3 };
    assert_eq!(axis_end(&[share(0.9)]), 1.0);
    assert_eq!(axis_end(&[share(0.9), share(1.3)]), 1.5);
    assert!(bar(share(1.3), &[1.3], 1.5).contains("<line class=\"mark\" x1=\"306.7\""));
}

#[test]
fn steps_of_a_histogram_add_up_to_all_operations() {
    let latency = latency(&[10, 20, 30, 40, 1000]);
    let lines = [Line { class: "measured", latency: &latency }];
    let axis = Axis::of(&lines).unwrap();
    let sum: f64 = axis.shares(&latency).iter().sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
    assert!(axis.place(10_000.0) > 0.0 && axis.place(1_000_000.0) < 1.0);
    assert_eq!(axis.ticks().iter().map(|tick| time(*tick)).collect::<Vec<_>>(), ["10 µs", "100 µs", "1 ms"]);
}

#[test]
fn equal_times_still_make_a_plot_and_none_make_none() {
    let same = latency(&[50; 10]);
    assert!(histogram(&[Line { class: "measured", latency: &same }]).contains("<path"));
    assert_eq!(histogram(&[]), "");
    assert_eq!(histogram(&[Line { class: "measured", latency: &Histogram::default() }]), "");
}

#[test]
fn times_are_short() {
    let table = [(900, "900 ns"), (1_500, "1.5 µs"), (10_000, "10 µs"), (2_000_000, "2 ms"), (3_400_000_000, "3.4 s")];
    for (nanos, expected) in table {
        assert_eq!(time(Duration::from_nanos(nanos)), expected);
    }
}
