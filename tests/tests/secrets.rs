//! What others on the host can learn of tokens.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Command, Stdio};

use tests::{Cluster, Daemon, Ordinary, flexfs, wait_for};

const TOKEN: &str = "77777777-aaaa-4bbb-8ccc-dddddddddddd";

/// Starts `command`, which waits for a server that says nothing, and returns it when it runs the program itself.
fn waiting(command: &mut Command, home: &std::path::Path) -> Daemon {
    let daemon = Daemon::start(command, &home.join("waiting.log"));
    let limits = format!("/proc/{}/limits", daemon.pid());
    wait_for("the program closed itself", 20, || {
        let limits = fs::read_to_string(&limits).unwrap_or_default();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        core.split_whitespace().skip(4).take(2).all(|limit| limit == "0") && !core.is_empty()
    });
    daemon
}

#[test]
fn token_on_a_command_line_is_blanked_and_memory_is_closed() {
    let user = Ordinary::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let mut command = user.flexfs(&["configure", "init", "creds", "--adminAddr", &addr, "--token", TOKEN]);
    let daemon = waiting(&mut command, user.home());
    let of = |file: &str| format!("/proc/{}/{file}", daemon.pid());
    wait_for("the token is blanked", 5, || {
        let words = String::from_utf8(fs::read(of("cmdline")).unwrap()).unwrap();
        words.contains("--token") && words.contains(&"*".repeat(36)) && !words.contains(TOKEN)
    });
    // The files of a process that lets nobody look into it are root's, whoever runs it.
    assert_eq!(fs::metadata(of("mem")).unwrap().uid(), 0);
    let peeped = user.sh(&format!("cat {} > /dev/null", of("environ")));
    assert_ne!(peeped.status, 0, "another process of the same user looked in");
}

#[test]
fn token_is_read_from_standard_input() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let file = cluster.home().join("creds-of-stdin");
    let path = file.to_str().unwrap();
    let addr = cluster.admin_addr();
    let args = ["mount", "init", "creds", "volume", "--adminAddr", addr, "--token", "-", "--credsFile", path];
    let mut child = flexfs(cluster.home(), &args).stdin(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", volume.token).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(fs::read_to_string(&file).unwrap().contains(&volume.token));
    let line = cluster.run(&[&args[..], &["--force"]].concat()).failure(2);
    assert!(line.contains("--token") && line.contains("0 bytes"), "{line}");
}
