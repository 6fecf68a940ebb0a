use super::*;

const TEXT: &str = "01234567-89ab-cdef-0123-456789abcdef";

#[test]
fn token_reads_what_it_writes_in_any_form() {
    let token = VolumeToken::parse(TEXT).unwrap();
    assert_eq!(token.expose(), TEXT);
    for form in [TEXT.to_uppercase(), TEXT.replace('-', ""), format!("  {TEXT}\n")] {
        assert_eq!(VolumeToken::parse(&form).unwrap(), token, "{form}");
    }
    assert_ne!(VolumeToken::parse(&TEXT.replace('f', "e")).unwrap(), token);
}

#[test]
fn generated_tokens_differ_and_can_be_read_back() {
    let token = AccountToken::generate();
    assert_ne!(token, AccountToken::generate());
    assert_eq!(AccountToken::parse(token.expose()).unwrap(), token);
}

#[test]
fn bad_token_is_refused_without_being_repeated() {
    for bad in ["", "secret", &TEXT[1..], "01234567-89ab-cdef-0123-456789abcdeg"] {
        let error = ServerToken::parse(bad).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("metadata") && (bad.is_empty() || !text.contains(bad)), "{text}");
    }
}

#[test]
fn no_debug_shows_a_token() {
    let shown = format!(
        "{:?} {:?} {:?} {:?}",
        VolumeToken::parse(TEXT).unwrap(),
        AccountToken::parse(TEXT).unwrap(),
        ServerToken::parse(TEXT).unwrap(),
        Secret::new(TEXT.to_owned()),
    );
    assert!(!shown.contains("0123"), "{shown}");
    assert!(shown.contains("VolumeToken(***)"), "{shown}");
}
