use super::*;

#[test]
fn transport_is_the_one_that_the_flags_name() {
    let of = |flags: &str| transport_of(&flags.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    assert_eq!(of("--threads 1 --transport classic"), "classic");
    assert_eq!(of("--transport=uring --threads 1"), "uring");
    assert_eq!(of("--threads 1"), fsd::Transport::available()[0].to_string());
    assert_eq!(of("--transport auto"), of(""));
}
