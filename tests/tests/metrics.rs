//! Metrics: what a scraper finds at the servers and at a mount, and what it never finds.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use tests::{Cluster, Outcome, flexfs, free_addr, transport, wait_for};

/// Status line and body of `GET path`.
fn get(addr: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

fn scrape(addr: &str) -> String {
    let (status, body) = get(addr, "/metrics");
    assert_eq!(status, "HTTP/1.1 200 OK");
    assert!(body.ends_with("# EOF\n"), "{body}");
    body
}

/// The value of the line that begins with `name` and its labels.
#[track_caller]
fn value(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
}

#[test]
fn servers_and_mount_tell_what_they_did_and_no_secret() {
    let (mut cluster, [admin, meta]) = Cluster::start_scraped();
    let volume = cluster.create_volume("told", &[]);
    let addr = free_addr();
    let mount = cluster.mount(&volume, &volume.token, &["--metricsAddr", &addr]);
    fs::write(mount.path("a-file-name"), vec![7; 3 << 20]).unwrap();
    assert_eq!(fs::read(mount.path("a-file-name")).unwrap().len(), 3 << 20);

    let of_mount = scrape(&addr);
    let info = of_mount.lines().find(|line| line.starts_with("flexfs_mount_info{")).unwrap();
    assert!(info.contains(r#"volume="told""#) && info.contains(r#"runtime="tokio""#), "{info}");
    let transport = transport();
    let ways = if transport == "auto" { vec!["uring", "classic"] } else { vec![transport.as_str()] };
    assert!(ways.iter().any(|way| info.contains(&format!("transport=\"{way}\""))), "{info}");
    let created = r#"flexfs_mount_operation_duration_seconds_count{operation="create"}"#;
    assert_eq!(value(&of_mount, created), 1.0);
    assert_eq!(value(&of_mount, "flexfs_mount_written_bytes_total"), f64::from(3 << 20));
    for name in ["read_bytes_total", "cache_hits_total", "cache_misses_total", "cache_bytes", "dirty_bytes"] {
        value(&of_mount, &format!("flexfs_mount_{name}"));
    }
    assert_eq!(value(&of_mount, "flexfs_mount_reconnects_total"), 0.0);

    let of_meta = scrape(&meta);
    assert_eq!(value(&of_meta, r#"flexfs_meta_rpc_duration_seconds_count{rpc="create"}"#), 1.0);
    assert_eq!(value(&of_meta, &format!("flexfs_meta_sessions{{volume=\"{}\"}}", volume.id)), 1.0);
    assert_eq!(value(&of_meta, &format!("flexfs_meta_inodes{{volume=\"{}\"}}", volume.id)), 2.0);
    let (capacity, available) =
        ("flexfs_meta_db_folder_disk_capacity_bytes", "flexfs_meta_db_folder_disk_available_bytes");
    assert!(value(&of_meta, capacity) > value(&of_meta, available));
    assert!(value(&of_meta, "flexfs_meta_db_disk_usage_bytes") > 0.0);

    let of_admin = scrape(&admin);
    let validated = r#"flexfs_admin_request_duration_seconds_count{route="POST /v1/volume-tokens/validate"}"#;
    assert!(value(&of_admin, validated) >= 1.0);
    assert!(value(&of_admin, r#"flexfs_admin_answers_total{class="2xx"}"#) > 1.0);
    for text in [&of_mount, &of_meta, &of_admin] {
        assert!(!text.contains(&volume.token) && !text.contains("a-file-name"), "{text}");
    }
    assert_eq!(get(&meta, "/").0, "HTTP/1.1 404 Not Found");

    cluster.meta.kill();
    cluster.restart_meta();
    wait_for("the mount counts its connections", 20, || value(&scrape(&addr), "flexfs_mount_reconnects_total") > 0.0);
}

#[test]
fn nothing_listens_unless_asked_and_never_for_others_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    for program in [&["meta", "start"][..], &["admin", "start"], &["mount", "start", "volume", "mnt"], &["up", "mnt"]] {
        let words = [program, &["--metricsAddr", "0.0.0.0:9"]].concat();
        let outcome = Outcome::of(&mut flexfs(folder.path(), &words));
        let line = outcome.failure(2);
        assert!(line.contains("--metricsAddr 0.0.0.0:9") && line.contains("--metricsPublic"), "{line}");
    }
}
