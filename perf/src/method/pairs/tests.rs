use super::*;

fn series<'a>(run: &'a str, samples: &'a [(u32, f64)]) -> PairedSeries<'a> {
    PairedSeries { run, samples }
}

#[test]
fn ratio_is_taken_round_by_round() {
    // The machine was half as fast in round 2: the quotient of the medians would be 0.75, each round says 0.5.
    let ours = [(1, 50.0), (2, 25.0), (3, 60.0)];
    let theirs = [(1, 100.0), (2, 50.0), (3, 120.0)];
    let ratio = ratio(series("a", &ours), series("a", &theirs)).unwrap();
    assert_eq!((ratio.median, ratio.min, ratio.max, ratio.count), (0.5, 0.5, 0.5, 3));
}

#[test]
fn order_within_a_run_does_not_matter() {
    let ours = [(2, 2.0), (1, 1.0)];
    let theirs = [(1, 10.0), (2, 10.0)];
    let ratio = ratio(series("a", &ours), series("a", &theirs)).unwrap();
    assert_eq!((ratio.min, ratio.max), (0.1, 0.2));
}

#[test]
fn two_runs_have_no_ratio() {
    let samples = [(1, 1.0), (2, 1.0), (3, 1.0)];
    let refused = ratio(series("old", &samples), series("new", &samples)).unwrap_err();
    assert_eq!(refused, Unpaired::Runs("old".to_owned(), "new".to_owned()));
}

#[test]
fn other_rounds_of_the_same_run_have_no_ratio() {
    let refused = ratio(series("a", &[(1, 1.0), (2, 1.0)]), series("a", &[(2, 1.0), (3, 1.0)])).unwrap_err();
    assert_eq!(refused, Unpaired::Rounds(vec![1, 2], vec![2, 3]));
    let refused = ratio(series("a", &[(1, 1.0), (2, 1.0)]), series("a", &[(1, 1.0)])).unwrap_err();
    assert!(matches!(refused, Unpaired::Rounds(..)));
}

#[test]
fn nothing_and_zero_have_no_ratio() {
    assert_eq!(ratio(series("a", &[]), series("a", &[])), Err(Unpaired::Nothing));
    assert_eq!(ratio(series("a", &[(1, 1.0)]), series("a", &[(1, 0.0)])), Err(Unpaired::Nothing));
}
