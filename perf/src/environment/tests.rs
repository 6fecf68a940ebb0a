use std::time::{Duration, UNIX_EPOCH};

use super::*;

#[test]
fn moments_are_written_in_utc() {
    let table = [
        (0, "1970-01-01T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (1_772_323_199, "2026-02-28T23:59:59Z"),
        (1_772_323_200, "2026-03-01T00:00:00Z"),
        (4_102_444_799, "2099-12-31T23:59:59Z"),
    ];
    for (seconds, expected) in table {
        assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
    }
}

#[test]
fn only_what_matters_to_figures_differs() {
    let one = Environment { kernel: "6.1".to_owned(), cpus: 2, started: "then".to_owned(), ..Default::default() };
    let other = Environment { kernel: "6.18".to_owned(), cpus: 4, started: "now".to_owned(), ..Default::default() };
    assert_eq!(one.differences(&other), ["kernel: 6.1, 6.18", "cpus: 2, 4"]);
    assert!(one.differences(&one.clone()).is_empty());
}

#[test]
fn cpu_has_a_name_or_none_that_is_known() {
    assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Fast CPU @ 3 GHz\n"), "Fast CPU @ 3 GHz");
    assert_eq!(cpu_model(""), "unknown");
}
