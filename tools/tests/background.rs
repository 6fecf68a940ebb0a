//! `mount start` in the background, as far as it gets without a server: what is said, where, and with which status.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

fn flexfs(home: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flexfs"));
    command.args(line.split(' ')).env("HOME", home).env_remove("NOTIFY_SOCKET").output().expect("the program starts")
}

fn one_line(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).expect("errors are UTF-8");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("flexfs: "), "{said}");
    said
}

#[test]
fn failure_of_the_background_process_reaches_the_terminal_and_the_log() {
    let home = tempfile::tempdir().unwrap();
    let output = flexfs(home.path(), "mount start data /mnt");
    assert_eq!(output.status.code(), Some(1));
    let said = one_line(&output);
    assert!(said.contains("mount/creds/data does not exist"), "{said}");
    let log = home.path().join(".flexfs/mount/log/data.log");
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(std::fs::read_to_string(log).unwrap().contains("does not exist"));
}

#[test]
fn absent_admin_server_is_named_and_the_token_is_not() {
    let home = tempfile::tempdir().unwrap();
    let creds = home.path().join("creds");
    let token = "01234567-89ab-4def-8123-456789abcdef";
    std::fs::write(&creds, format!("adminAddr = \"127.0.0.1:9\"\ntoken = \"{token}\"\n")).unwrap();
    std::fs::set_permissions(&creds, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mount_point = home.path().join("mnt");
    std::fs::create_dir(&mount_point).unwrap();
    let line = format!("mount start data {} --credsFile {} --wait 0", mount_point.display(), creds.display());
    let said = one_line(&flexfs(home.path(), &line));
    assert!(said.contains("127.0.0.1:9"), "{said}");
    let log = std::fs::read_to_string(home.path().join(".flexfs/mount/log/data.log")).unwrap();
    assert!(!said.contains("01234567") && !log.contains("01234567"), "{log}");
}

#[test]
fn mount_helper_fails_with_the_status_that_mount_8_expects() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(flexfs(home.path(), "mount data /mnt -o ro,_netdev").status.code(), Some(32));
    assert_eq!(flexfs(home.path(), "mount data /mnt -o nosiud").status.code(), Some(1));
    assert_eq!(flexfs(home.path(), "mount data /mnt -f -o ro").status.code(), Some(0));
}

#[test]
fn volume_name_cannot_lead_out_of_the_log_folder() {
    let home = tempfile::tempdir().unwrap();
    let said = one_line(&flexfs(home.path(), "mount start ../x /mnt"));
    assert!(said.contains("\"../x\""), "{said}");
}
