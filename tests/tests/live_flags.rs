//! Flags of a token or a volume reach running mounts, and leave them, without a remount: they hold, in the server, the
//! daemon and the kernel, when the command that changed them ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use proto::{Access, Errno, InodeId, Name, Refused, Request};
use tests::{Cluster, Mounted, WireClient};

fn set_flags(cluster: &Cluster, id: &str, flags: &str) {
    cluster.run(&["configure", "update", "volume-token", id, "--flags", flags]).success();
}

fn is_read_only<T>(outcome: std::io::Result<T>) -> bool {
    outcome.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
}

fn create(name: &str) -> Request {
    let name = Name::new(name.as_bytes()).unwrap();
    let access = Access { write: true, ..Default::default() };
    Request::Create { parent: InodeId::ROOT, name, perm: 0o644, access, exclusive: true, truncate: false }
}

#[tokio::test]
async fn read_only_comes_and_goes_under_open_files_and_in_the_server() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("live", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &[]);
    let mount = cluster.mount(&volume, &token, &[]);
    let other = cluster.mount(&volume, &volume.token, &[]);
    let mut client = WireClient::open(&cluster, &token).await;
    fs::write(mount.path("file"), "before").unwrap();
    let file = File::options().read(true).write(true).open(mount.path("file")).unwrap();

    // Not by a command: the client by hand takes its word in meanwhile.
    cluster.change_token(&id, serde_json::json!({ "flags": "ro" })).await;
    assert!(is_read_only(file.write_all_at(b"during", 0)));
    assert!(is_read_only(file.set_len(1)));
    assert!(is_read_only(File::create(mount.path("new"))));
    assert!(is_read_only(fs::create_dir(mount.path("dir"))));
    assert!(is_read_only(fs::remove_file(mount.path("file"))));
    assert!(is_read_only(fs::rename(mount.path("file"), mount.path("moved"))));
    assert!(is_read_only(fs::set_permissions(mount.path("file"), fs::Permissions::from_mode(0o600))));
    assert_eq!(client.ask(create("forged")).await, Err(Refused::Error(Errno::EROFS)));
    assert_eq!(fs::read_to_string(mount.path("file")).unwrap(), "before");
    fs::write(other.path("other"), "writes on").unwrap();

    cluster.change_token(&id, serde_json::json!({ "flags": "" })).await;
    file.write_all_at(b"after!", 0).unwrap();
    file.sync_all().unwrap();
    client.ask(create("allowed")).await.unwrap();
    fs::write(mount.path("new"), "x").unwrap();
    assert_eq!(fs::read_to_string(other.path("file")).unwrap(), "after!");
}

#[tokio::test]
async fn data_that_was_not_committed_when_the_token_became_read_only_is_reported_as_lost() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("buffered", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &[]);
    let (mount, other) = (cluster.mount(&volume, &token, &[]), cluster.mount(&volume, &volume.token, &[]));
    fs::write(mount.path("file"), "kept").unwrap();
    // A process of its own: where this one makes others, the kernel flushes what it has written.
    let mut target = std::ffi::OsString::from("of=");
    target.push(mount.path("file"));
    let mut writer = Command::new("dd");
    writer
        .arg(target)
        .args(["bs=4", "conv=notrunc,fsync"])
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped());
    let mut writer = writer.spawn().unwrap();
    let mut input = writer.stdin.take().unwrap();
    input.write_all(b"lost").unwrap();
    tests::wait_for("the bytes are written", 5, || fs::read(mount.path("file")).unwrap() == b"lost");
    cluster.change_token(&id, serde_json::json!({ "flags": "ro" })).await;
    assert!(is_read_only(fs::create_dir(mount.path("dir"))));
    drop(input);
    let told = writer.wait_with_output().unwrap();
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains("Read-only"), "{told:?}");
    assert_eq!(fs::read_to_string(other.path("file")).unwrap(), "kept");
}

#[test]
fn mount_that_began_read_only_by_its_token_writes_when_the_token_may() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("lifted", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &["--flags", "ro,noExec"]);
    let mount = cluster.mount(&volume, &token, &[]);
    assert!(is_read_only(File::create(mount.path("new"))));
    assert_eq!(kernel_options(mount.point())[0], "ro");
    set_flags(&cluster, &id, "");
    fs::write(mount.path("new"), "x").unwrap();
    let options = kernel_options(mount.point());
    assert!(options[0] == "rw" && !options.contains(&"noexec".to_owned()), "{options:?}");
    // The mount's own restriction stays, whatever the token may.
    let own = cluster.mount(&volume, &token, &["--ro"]);
    set_flags(&cluster, &id, "noATime");
    set_flags(&cluster, &id, "");
    assert!(is_read_only(File::create(own.path("more"))));
}

#[test]
fn other_flags_reach_running_mounts_too() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("others", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &[]);
    let mount = cluster.mount(&volume, &token, &["--attrValid", "0", "--entryValid", "0"]);
    fs::write(mount.path("script"), "#!/bin/sh\nexit 7\n").unwrap();
    fs::set_permissions(mount.path("script"), fs::Permissions::from_mode(0o4755)).unwrap();
    let runs = || Command::new(mount.path("script")).status().map(|status| status.code());
    let mode = || fs::metadata(mount.path("script")).unwrap().mode() & 0o7777;
    assert_eq!((runs().unwrap(), mode()), (Some(7), 0o4755));

    set_flags(&cluster, &id, "noExec,noSUID");
    assert_eq!(runs().unwrap_err().kind(), ErrorKind::PermissionDenied);
    assert_eq!(mode(), 0o755);
    let options = kernel_options(mount.point());
    assert!(["noexec", "nosuid"].iter().all(|wanted| options.iter().any(|option| option == wanted)), "{options:?}");
    set_flags(&cluster, &id, "");
    assert_eq!((runs().unwrap(), mode()), (Some(7), 0o4755));
}

#[test]
fn flags_of_the_volume_reach_the_mounts_of_all_its_tokens() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("frozen", &[]);
    let (token, _) = cluster.create_bounded_token(&volume, &[]);
    let mounts = [cluster.mount(&volume, &volume.token, &[]), cluster.mount(&volume, &token, &[])];
    let set = |flags: &str| {
        cluster.run(&["configure", "update", "volume", "frozen", "--flags", flags]).success();
    };
    let makes = |mount: &Mounted| fs::write(mount.path("file"), "x");
    set("ro");
    assert!(mounts.iter().all(|mount| is_read_only(makes(mount))));
    set("");
    assert!(mounts.iter().all(|mount| makes(mount).is_ok()));
}

fn kernel_options(point: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == point.to_str()).unwrap();
    line.split(' ').nth(3).unwrap().split(',').map(str::to_owned).collect()
}
