use super::*;

const TOKEN: &str = "01234567-89ab-cdef-0123-456789abcdef";

#[track_caller]
fn blanked(words: &[&str]) -> String {
    let mut memory: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    let len = memory.len();
    blank(&mut memory);
    assert_eq!(memory.len(), len);
    String::from_utf8(memory).unwrap().replace('\0', " ").trim_end().to_owned()
}

#[test]
fn tokens_and_passwords_are_blanked_and_nothing_else() {
    let stars = "*".repeat(TOKEN.len());
    assert_eq!(blanked(&["flexfs", "show", "volume-token", TOKEN]), format!("flexfs show volume-token {stars}"));
    assert_eq!(blanked(&["x", "--token", TOKEN, "--force"]), format!("x --token {stars} --force"));
    assert_eq!(blanked(&["x", &format!("--token={TOKEN}"), "y=z"]), format!("x --token={stars} y=z"));
    assert_eq!(blanked(&["x", "--blockPass", "hunter2", "--password=a b"]), "x --blockPass ******* --password=***");
    assert_eq!(blanked(&["x", "--token"]), "x --token");
    assert_eq!(blanked(&[]), "");
}

#[test]
fn place_is_found_whatever_the_process_is_called() {
    let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
    let stat = format!("1 (a b) c) {}", fields.join(" "));
    assert_eq!(arguments_place(&stat), Some(48..49));
    assert_eq!(arguments_place("1 (x) S 2"), None);
    assert_eq!(arguments_place(""), None);
}
