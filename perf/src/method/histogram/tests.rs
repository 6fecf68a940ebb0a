use super::*;

fn of(nanos: &[u64]) -> Histogram {
    let mut histogram = Histogram::default();
    for nanos in nanos {
        histogram.record(Duration::from_nanos(*nanos));
    }
    histogram
}

#[test]
fn every_value_lies_in_its_bucket_and_buckets_are_narrow() {
    let mut values: Vec<u64> = (0..63).flat_map(|power| [1 << power, (1 << power) + 1, (3 << power) / 2]).collect();
    values.extend([0, 15, 16, 17, u64::MAX - 1, u64::MAX]);
    for value in values {
        let bucket = bucket_of(value);
        assert!(bucket < BUCKETS, "{value}");
        assert!(start_of(bucket) <= value && (value < end_of(bucket) || value == u64::MAX), "{value}");
        assert!(end_of(bucket) - start_of(bucket) <= 1 + start_of(bucket) / 16, "{value}");
    }
}

#[test]
fn quantiles_are_those_of_the_sorted_list_to_a_bucket() {
    let values: Vec<u64> = (1..=1000).map(|value| value * 1000).collect();
    let histogram = of(&values);
    for (quantile, exact) in [(0.5, 500_000.0), (0.9, 900_000.0), (0.99, 990_000.0), (1.0, 1_000_000.0)] {
        let found = histogram.quantile(quantile).unwrap().as_nanos() as f64;
        assert!((found - exact).abs() <= exact / 16.0, "{quantile}: {found}");
    }
    assert_eq!(histogram.quantile(0.0), of(&[1000]).quantile(1.0));
    assert_eq!(Histogram::default().quantile(0.5), None);
}

#[test]
fn merging_counts_both() {
    let mut one = of(&[10, 1000]);
    one.merge(&of(&[1000, 5_000_000]));
    assert_eq!(one, of(&[10, 1000, 1000, 5_000_000]));
    assert_eq!(one.count(), 4);
}

#[test]
fn json_keeps_what_was_counted() {
    let histogram = of(&[0, 3, 999, 123_456, 9_876_543_210]);
    let json = serde_json::to_string(&histogram).unwrap();
    assert_eq!(serde_json::from_str::<Histogram>(&json).unwrap(), histogram);
    assert!(json.len() < 100, "{json}");
}
