use super::*;

fn verdict(old: &[f64], new: &[f64]) -> Verdict {
    Verdict::of(&Spread::of(old).unwrap(), &Spread::of(new).unwrap())
}

#[test]
fn ranges_apart_and_medians_apart_is_a_change() {
    assert_eq!(verdict(&[100.0, 102.0, 98.0], &[120.0, 118.0, 125.0]), Verdict::Rose);
    assert_eq!(verdict(&[100.0, 102.0, 98.0], &[80.0, 81.0, 90.0]), Verdict::Fell);
}

#[test]
fn one_sample_in_the_other_range_is_noise_however_far_the_medians() {
    assert_eq!(verdict(&[100.0, 102.0, 98.0], &[150.0, 160.0, 101.0]), Verdict::WithinNoise);
}

#[test]
fn medians_within_five_per_cent_are_noise_however_narrow_the_ranges() {
    assert_eq!(verdict(&[100.0, 100.1, 99.9], &[104.0, 104.1, 103.9]), Verdict::WithinNoise);
    assert_eq!(verdict(&[100.0, 100.1, 99.9], &[105.5, 105.4, 105.6]), Verdict::Rose);
}

#[test]
fn two_samples_prove_nothing() {
    assert_eq!(verdict(&[100.0, 100.0], &[900.0, 900.0, 900.0]), Verdict::TooFewSamples);
    assert_eq!(verdict(&[100.0, 100.0, 100.0], &[900.0]), Verdict::TooFewSamples);
}
