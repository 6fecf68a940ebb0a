//! What users get wrong: one clear line, the right exit status, nothing half made, no token shown.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tests::{Cluster, Mounted, Outcome, flexfs, require_fuse};

const WRONG: &str = "99999999-aaaa-4bbb-8ccc-dddddddddddd";

/// The line of a failure, after checking that no token is in it.
#[track_caller]
fn refusal(cluster: &Cluster, status: i32, args: &[&str]) -> String {
    let line = cluster.run(args).failure(status);
    assert!(!line.contains(WRONG), "a token was shown: {line}");
    line
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn tokens_that_open_nothing_are_refused_before_anything_is_written() {
    let cluster = Cluster::start();
    cluster.create_volume("volume", &[]);
    let file = cluster.home().join("creds");
    let init = |status: i32, token: &str| {
        let args =
            ["mount", "init", "creds", "volume", "--adminAddr", cluster.admin_addr(), "--token", token, "--credsFile"];
        refusal(&cluster, status, &[&args[..], &[text(&file)]].concat())
    };
    assert!(init(1, WRONG).contains("token"));
    assert!(init(2, "not-a-token").contains("token"));
    assert!(!file.exists());
    let args = [
        "configure",
        "--credsFile",
        text(&file),
        "init",
        "creds",
        "--adminAddr",
        cluster.admin_addr(),
        "--token",
        WRONG,
    ];
    assert!(refusal(&cluster, 1, &args).contains("token"));
    assert!(!file.exists());
}

#[test]
fn revoked_token_cannot_mount_and_the_line_says_so() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let token = cluster.create_token(&volume, "/", "");
    let creds = cluster.mount_creds("volume", &token);
    cluster.run(&["configure", "delete", "volume-token", &token, "--force"]).success();
    let point = cluster.home().join("point");
    fs::create_dir(&point).unwrap();
    for foreground in [&[][..], &["--foreground"][..]] {
        let args = ["mount", "start", "volume", text(&point), "--credsFile", text(&creds)];
        let line = cluster.run(&[&args[..], foreground].concat()).failure(1);
        assert!(line.contains("token"), "{line}");
        assert!(!line.contains(&token), "{line}");
    }
}

#[test]
fn mount_points_that_cannot_be_used_are_named() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let creds = cluster.mount_creds("volume", &volume.token);
    let mount = |point: &Path, more: &[&str]| {
        let args = ["mount", "start", "volume", text(point), "--credsFile", text(&creds), "--foreground"];
        refusal(&cluster, 1, &[&args[..], more].concat())
    };
    let missing = cluster.home().join("missing");
    assert!(mount(&missing, &[]).contains(text(&missing)));
    let full = cluster.home().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("file"), "").unwrap();
    let line = mount(&full, &[]);
    assert!(line.contains(text(&full)) && line.contains("--nonEmpty"), "{line}");
    let file = full.join("file");
    assert!(mount(&file, &[]).contains("directory"));
    let mounted = cluster.mount(&volume, &volume.token, &[]);
    let line = mount(mounted.point(), &["--nonEmpty"]);
    assert!(line.contains(text(mounted.point())) && line.contains("in use"), "{line}");
}

#[test]
fn unknown_volume_and_foreign_token_are_told_apart() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let creds = cluster.mount_creds("volume", &volume.token);
    let point = cluster.home().join("point");
    fs::create_dir(&point).unwrap();
    let args = ["mount", "start", "another", text(&point), "--credsFile", text(&creds), "--foreground"];
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains("another") && line.contains("volume"), "{line}");
    let args = ["mount", "start", "nowhere", text(&point), "--foreground"];
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains("init creds"), "{line}");
}

#[test]
fn servers_that_are_not_there_are_named_with_their_address() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let creds = cluster.mount_creds("volume", &volume.token);
    let point = cluster.home().join("point");
    fs::create_dir(&point).unwrap();
    let args = ["mount", "start", "volume", text(&point), "--credsFile", text(&creds), "--foreground"];
    cluster.meta.kill();
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains(cluster.meta_addr()), "{line}");
    cluster.admin.kill();
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains(cluster.admin_addr()), "{line}");
}

#[test]
fn another_certificate_than_the_pinned_one_is_refused() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let creds = cluster.mount_creds("volume", &volume.token);
    cluster.admin.kill();
    for file in ["cert", "key"] {
        fs::remove_file(cluster.home().join(".flexfs/ssl").join(file)).unwrap();
    }
    cluster.restart_admin();
    let point = cluster.home().join("point");
    fs::create_dir(&point).unwrap();
    let args = ["mount", "start", "volume", text(&point), "--credsFile", text(&creds), "--foreground"];
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains("certificate") && line.contains("pinned"), "{line}");
}

#[test]
fn credentials_file_that_others_can_read_is_refused() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let creds = cluster.mount_creds("volume", &volume.token);
    assert_eq!(fs::metadata(&creds).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&creds, fs::Permissions::from_mode(0o644)).unwrap();
    let point = cluster.home().join("point");
    fs::create_dir(&point).unwrap();
    let line =
        refusal(&cluster, 1, &["mount", "start", "volume", text(&point), "--credsFile", text(&creds), "--foreground"]);
    assert!(line.contains("chmod 600") && line.contains(text(&creds)), "{line}");
}

#[test]
fn unknown_flags_are_refused_where_they_are_given() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let args = ["configure", "create", "volume-token", "--volumeID", &volume.id, "--flags", "ro,readOnly"];
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains("readOnly") && line.contains("noExec"), "{line}");
    let usage = cluster.run(&["mount", "start", "volume", "/mnt", "--readOnly"]);
    assert_eq!(usage.status, 2, "{usage:?}");
}

#[test]
fn taken_port_and_newer_data_folder_stop_a_server_at_once() {
    let mut cluster = Cluster::start();
    let other = cluster.home().join("other-db");
    let args = ["meta", "start", "--bindAddr", cluster.meta_addr(), "--dbFolder", text(&other)];
    assert!(refusal(&cluster, 1, &args).contains(cluster.meta_addr()));
    let args = ["admin", "start", "--bindAddr", cluster.admin_addr(), "--dbFolder", text(&other)];
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains(cluster.admin_addr()) && line.contains("another process has the port"), "{line}");
    assert!(!other.exists(), "a database was made for a server that does not serve");
    let database = cluster.home().join("admin-db");
    let args = ["admin", "start", "--bindAddr", "127.0.0.1:0", "--dbFolder", text(&database)];
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains("in use by another admin server") && line.contains(text(&database)), "{line}");
    cluster.meta.terminate();
    let database = cluster.home().join("meta-db");
    fs::write(database.join("FORMAT"), "flexfs-meta 999\n").unwrap();
    let args = ["meta", "start", "--bindAddr", cluster.meta_addr(), "--dbFolder", text(&database)];
    let line = refusal(&cluster, 1, &args);
    assert!(line.contains("999") && line.contains(text(&database)), "{line}");
}

#[test]
fn credentials_are_not_overwritten_without_force() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let creds = cluster.mount_creds("volume", &volume.token);
    let before = fs::read(&creds).unwrap();
    let token = cluster.create_token(&volume, "/", "ro");
    let args = [
        "mount",
        "init",
        "creds",
        "volume",
        "--adminAddr",
        cluster.admin_addr(),
        "--token",
        &token,
        "--credsFile",
        text(&creds),
    ];
    assert!(refusal(&cluster, 1, &args).contains("--force"));
    assert_eq!(fs::read(&creds).unwrap(), before);
    cluster.run(&[&args[..], &["--force"]].concat()).success();
    assert_ne!(fs::read(&creds).unwrap(), before);
    cluster.run(&["mount", "deinit", "creds", "volume", "--credsFile", text(&creds)]).success();
    assert!(!creds.exists());
}

#[test]
fn no_token_reaches_a_log_or_a_process_title() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let token = cluster.create_token(&volume, "/", "");
    let creds = cluster.mount_creds("volume", &token);
    let point = cluster.home().join("point");
    fs::create_dir(&point).unwrap();
    let mount = Mounted::at(cluster.home(), "volume", &creds, &["--verbose"], &point);
    fs::write(mount.path("file"), "x").unwrap();
    let title = fs::read(format!("/proc/{}/cmdline", mount.daemon.pid())).unwrap();
    assert!(!String::from_utf8_lossy(&title).contains(&token));
    assert_eq!(mount.stop(), 0);
    for log in ["point.log", "meta.log", "admin.log"] {
        let content = fs::read_to_string(cluster.home().join(log)).unwrap();
        for secret in [&token, &volume.token] {
            assert!(!content.contains(secret.as_str()), "{log} shows a token");
        }
    }
}

#[test]
fn words_that_are_no_address_id_or_choice_are_wrong_words() {
    let cluster = Cluster::start();
    let args = ["mount", "init", "creds", "volume", "--adminAddr", "host/path", "--token", WRONG];
    assert!(refusal(&cluster, 2, &args).contains("HOST:PORT"));
    let args = ["configure", "show", "meta-store", "nowhere"];
    assert!(refusal(&cluster, 2, &args).contains("an id (UUID) is needed"));
    let args = ["configure", "update", "volume", "volume", "--compression", "snappy"];
    let line = refusal(&cluster, 2, &args);
    assert!(line.contains("snappy") && line.contains("lz4"), "{line}");
    let args = ["mount", "start", "volume", "/mnt", "--umask", "rwx"];
    assert!(refusal(&cluster, 2, &args).contains("0027"));
    // A token in the place of another word is not repeated.
    refusal(&cluster, 2, &["configure", "show", WRONG]);
    assert!(refusal(&cluster, 2, &["mount", "start", WRONG, "/mnt"]).contains("the name of a volume is needed"));
    assert!(!cluster.home().join(".flexfs/mount/log").join(format!("{WRONG}.log")).exists());
}

#[test]
fn up_that_cannot_mount_leaves_no_data_folder() {
    require_fuse();
    let home = tempfile::tempdir().unwrap();
    let (full, data) = (home.path().join("full"), home.path().join("data"));
    fs::create_dir(&full).unwrap();
    fs::write(full.join("file"), "").unwrap();
    for point in [&full, &full.join("file")] {
        let args = ["up", text(point), "--dataFolder", text(&data)];
        let line = Outcome::of(&mut flexfs(home.path(), &args)).failure(1);
        assert!(line.contains(text(point)), "{line}");
        assert!(!data.exists());
    }
}

#[test]
fn damaged_metadata_is_found_at_rest() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("file"), "text").unwrap();
    assert_eq!(mount.stop(), 0);
    let database = cluster.home().join("meta-db");
    let verify = ["meta", "verify", "--dbFolder", text(&database)];
    assert!(refusal(&cluster, 1, &verify).contains("stop that metadata server first"));
    cluster.meta.terminate();
    let said = cluster.run(&verify).success();
    assert_eq!(said, format!("volume {}: sound, 2 inodes\n", volume.id));
    // As if the folder had been restored from an older copy.
    fs::write(database.join("sequence").join(&volume.id), "00000000000000999999\n").unwrap();
    let outcome = cluster.run(&verify);
    assert!(outcome.stdout.contains("set back or damaged"), "{outcome:?}");
    assert!(outcome.failure(1).contains("1 of 1 volumes are damaged"));
}
