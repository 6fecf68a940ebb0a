use anyhow::Context as _;

use super::*;

#[test]
fn causes_are_joined_once_and_on_one_line() {
    let inner = std::io::Error::other("disk\n  is full");
    let error = Err::<(), _>(inner).context("cannot write /x: disk is full").context("saving").unwrap_err();
    assert_eq!(one_line(&error), "saving: cannot write /x: disk is full");
}

#[test]
fn clap_errors_shrink_to_a_line() {
    let command = clap::Command::new("flexfs").arg(clap::Arg::new("bindAddr").long("bindAddr"));
    let error = command.try_get_matches_from(["flexfs", "--bindAdr", "x"]).unwrap_err();
    let error = from_clap(&error);
    let line = one_line(&error);
    assert!(line.starts_with("unexpected argument '--bindAdr' found"), "{line}");
    assert!(line.contains("--bindAddr"), "{line}");
    assert!(!line.contains("Usage"), "{line}");
    assert_eq!(exit_code(&error), ExitCode::from(2));
}

#[test]
fn token_in_the_wrong_place_is_not_repeated() {
    let token = "01234567-89ab-cdef-0123-456789abcdef";
    let error = clap::Command::new("flexfs").try_get_matches_from(["flexfs", token]).unwrap_err();
    let line = one_line(&from_clap(&error));
    assert!(line.starts_with("unexpected argument *** found") && !line.contains("0123"), "{line}");
}
