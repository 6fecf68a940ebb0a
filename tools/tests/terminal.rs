//! Questions at a terminal, which script(1) provides.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

#[test]
fn token_that_is_asked_for_is_written_and_never_shown() {
    let home = tempfile::tempdir().unwrap();
    let token = "01234567-89ab-4def-8123-456789abcdef";
    let line = format!("{} admin init creds", env!("CARGO_BIN_EXE_flexfs"));
    let mut terminal = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("HOME", home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1) starts");
    let (mut keyboard, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let (mut shown, mut byte) = (Vec::new(), [0]);
    while !shown.ends_with(b"token of the root account: ") {
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    keyboard.write_all(format!("{token}\n").as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    let shown = String::from_utf8(shown).unwrap();
    assert!(terminal.wait().unwrap().success(), "{shown}");
    assert!(shown.contains("wrote ") && !shown.contains("01234567"), "{shown}");
    let file = home.path().join(".flexfs/admin/creds");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(file).unwrap().contains(token));
}
