//! Flags and scope of tokens, as applications feel them through the kernel.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use tests::{Cluster, Volume};

/// A volume with a folder `team` that holds a script and a file, and a file `outside` beside it.
fn furnished() -> (Cluster, Volume) {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("flags", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::create_dir(mount.path("team")).unwrap();
    fs::write(mount.path("team/file"), "content").unwrap();
    fs::write(mount.path("team/script"), "#!/bin/sh\nexit 7\n").unwrap();
    fs::set_permissions(mount.path("team/script"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::write(mount.path("outside"), "secret").unwrap();
    assert_eq!(mount.stop(), 0);
    (cluster, volume)
}

#[test]
fn read_only_token_reads_and_never_writes() {
    let (cluster, volume) = furnished();
    let token = cluster.create_token(&volume, "/", "ro");
    let mount = cluster.mount(&volume, &token, &[]);
    assert_eq!(fs::read_to_string(mount.path("team/file")).unwrap(), "content");
    for outcome in [
        fs::write(mount.path("new"), "x"),
        fs::write(mount.path("team/file"), "x"),
        fs::remove_file(mount.path("team/file")),
        fs::rename(mount.path("team/file"), mount.path("moved")),
        fs::set_permissions(mount.path("team/file"), fs::Permissions::from_mode(0o777)),
    ] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
    }
}

#[test]
fn flag_of_the_volume_holds_for_every_token() {
    let (cluster, volume) = furnished();
    cluster.run(&["configure", "update", "volume", &volume.id, "--flags", "ro"]).success();
    // Tokens are trusted for a few seconds without asking again.
    tests::wait_for("a new mount is read-only", 20, || {
        let mount = cluster.mount(&volume, &volume.token, &[]);
        fs::write(mount.path("new"), "x").is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
    });
}

#[test]
fn no_exec_keeps_programs_from_running() {
    let (cluster, volume) = furnished();
    let free = cluster.mount(&volume, &volume.token, &[]);
    assert_eq!(Command::new(free.path("team/script")).status().unwrap().code(), Some(7));
    let token = cluster.create_token(&volume, "/", "noExec");
    for (token, flags) in [(&token, &[][..]), (&volume.token, &["--noExec"][..])] {
        let mount = cluster.mount(&volume, token, flags);
        let error = Command::new(mount.path("team/script")).status().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(fs::read_to_string(mount.path("team/file")).unwrap(), "content");
    }
}

#[test]
fn no_suid_hides_the_bit() {
    let (cluster, volume) = furnished();
    let plain = cluster.mount(&volume, &volume.token, &[]);
    assert_eq!(fs::metadata(plain.path("team/script")).unwrap().mode() & 0o7777, 0o4755);
    let mount = cluster.mount(&volume, &volume.token, &["--noSUID"]);
    assert_eq!(fs::metadata(mount.path("team/script")).unwrap().mode() & 0o7777, 0o755);
    assert!(kernel_options(mount.point()).contains("nosuid"));
}

#[test]
fn no_atime_keeps_the_access_time_and_its_absence_moves_it() {
    let (cluster, volume) = furnished();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000);
    {
        let mount = cluster.mount(&volume, &volume.token, &[]);
        let file = fs::File::options().write(true).open(mount.path("team/file")).unwrap();
        file.set_times(fs::FileTimes::new().set_accessed(old)).unwrap();
    }
    let quiet = cluster.mount(&volume, &volume.token, &["--noATime"]);
    fs::read(quiet.path("team/file")).unwrap();
    assert_eq!(quiet.stop(), 0);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    assert_eq!(fs::metadata(mount.path("team/file")).unwrap().accessed().unwrap(), old);
    fs::read(mount.path("team/file")).unwrap();
    tests::wait_for("the access time moves", 10, || {
        fs::metadata(mount.path("team/file")).unwrap().accessed().unwrap() > old
    });
}

#[test]
fn umask_of_the_mount_takes_the_place_of_the_programs() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("umask", &[]);
    let mount = cluster.mount(&volume, &volume.token, &["--umask", "0027"]);
    let make = "umask 0077 && mkdir dir && : > dir/file && mkfifo dir/pipe";
    assert!(Command::new("sh").args(["-c", make]).current_dir(mount.point()).status().unwrap().success());
    let mode = |path: &str| fs::metadata(mount.path(path)).unwrap().mode() & 0o777;
    assert_eq!((mode("dir"), mode("dir/file"), mode("dir/pipe")), (0o750, 0o640, 0o640));
}

#[test]
fn bounds_of_a_mount_change_nothing_that_programs_see() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("bounds", &["--blockSize", "256KiB"]);
    let content: Vec<u8> = (0..5_000_000_u32).map(|at| (at / 3) as u8).collect();
    let flags = ["--noMaxPages", "--maxBops", "1", "--memCapacity", "8", "--threads", "1", "--xAttr"];
    let mount = cluster.mount(&volume, &volume.token, &flags);
    fs::write(mount.path("file"), &content).unwrap();
    assert_eq!(mount.stop(), 0);
    let mount = cluster.mount(&volume, &volume.token, &flags);
    assert!(fs::read(mount.path("file")).unwrap() == content, "the file differs");
}

#[test]
fn scoped_token_sees_its_subtree_as_the_root() {
    let (cluster, volume) = furnished();
    let token = cluster.create_token(&volume, "/team", "");
    let mount = cluster.mount(&volume, &token, &[]);
    let mut names: Vec<_> =
        fs::read_dir(mount.point()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["file", "script"]);
    assert!(!mount.path("outside").exists());
    fs::write(mount.path("made-inside"), "x").unwrap();
    let whole = cluster.mount(&volume, &volume.token, &[]);
    assert_eq!(fs::read_to_string(whole.path("team/made-inside")).unwrap(), "x");
}

fn kernel_options(point: &std::path::Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == point.to_str()).unwrap();
    line.split(' ').nth(3).unwrap().to_owned()
}
