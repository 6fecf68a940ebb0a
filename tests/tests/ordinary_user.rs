//! Mounts of a user who is not root, through fusermount3.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::Signal;
use tests::{Cluster, Daemon, Ordinary, Outcome, wait_for};

/// The whole system, run by the user.
struct Up<'a> {
    user: &'a Ordinary,
    daemon: Daemon,
}

impl<'a> Up<'a> {
    fn start(user: &'a Ordinary) -> Self {
        let log = user.path("up.log");
        let _ = fs::remove_file(&log);
        let mut daemon = Daemon::start(&mut user.flexfs(&["up", "mnt"]), &log);
        wait_for("up says what it started", 30, || {
            assert!(daemon.is_running(), "up ended: {}", daemon.log());
            daemon.log().contains("is volume `default`")
        });
        assert!(mount_options(&user.path("mnt")).is_some());
        Self { user, daemon }
    }

    /// Mounts the volume once more, in the background.
    fn mount(&self, point: &str, flags: &[&str]) -> Outcome {
        let base = ["mount", "start", "default", point, "--credsFile", ".flexfs/up/creds/default"];
        Outcome::of(&mut self.user.flexfs(&[&base, flags].concat()))
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        self.daemon.kill();
        for point in ["mnt", "second"] {
            let _ = unmount(self.user.path(point), UnmountFlags::DETACH);
        }
    }
}

/// Type and options of what is mounted on `point`.
fn mount_options(point: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().rev().find(|line| line.split(' ').nth(1) == point.to_str())?;
    Some(line.split(' ').skip(2).take(2).collect::<Vec<_>>().join(" "))
}

#[test]
fn volume_of_up_belongs_to_the_user_and_to_nobody_else() {
    let user = Ordinary::new();
    let mut up = Up::start(&user);
    let options = mount_options(&user.path("mnt")).unwrap();
    assert!(options.starts_with("fuse.flexfs rw,nosuid,nodev"), "{options}");
    assert!(options.contains("default_permissions") && !options.contains("allow_other"), "{options}");
    user.sh("mkdir mnt/dir && echo kept > mnt/dir/file && head -c 9000000 /dev/urandom > mnt/big && cp mnt/big big")
        .success();
    assert_eq!(user.sh("stat -c %u:%g mnt mnt/dir/file").success(), "65534:65534\n65534:65534\n");
    user.sh("cmp mnt/big big").success();
    assert_eq!(fs::read_dir(user.path("mnt")).unwrap_err().kind(), ErrorKind::PermissionDenied);
    up.daemon.signal(Signal::INT);
    assert_eq!(up.daemon.wait(), 0, "{}", up.daemon.log());
    assert_eq!(mount_options(&user.path("mnt")), None);
    let _up = Up::start(&user);
    assert_eq!(user.sh("cat mnt/dir/file && cmp mnt/big big").success(), "kept\n");
}

#[test]
fn flags_hold_and_the_user_unmounts() {
    let user = Ordinary::new();
    let up = Up::start(&user);
    user.sh("mkdir second && printf '#!/bin/sh\\nexit 7\\n' > mnt/script && chmod 755 mnt/script").success();
    assert_eq!(user.sh("mnt/script").status, 7);
    up.mount("second", &["--ro", "--noExec"]).success();
    let options = mount_options(&user.path("second")).unwrap();
    for option in ["ro,", "nosuid", "nodev", "noexec", "noatime"] {
        assert!(options.contains(option), "{options}");
    }
    assert_eq!(user.sh("second/script").status, 126);
    assert!(user.sh("touch second/new").stderr.contains("Read-only file system"));
    let again = up.mount("second", &[]).failure(1);
    assert!(again.contains("in use by process"), "{again}");
    user.sh("fusermount3 -u second").success();
    assert_eq!(mount_options(&user.path("second")), None);
    up.mount("second", &[]).success();
    user.sh("echo more > second/more && cat mnt/more && fusermount3 -u second").success();
}

#[test]
fn dead_mount_is_replaced_and_a_living_one_is_left_to_its_user() {
    let user = Ordinary::new();
    let up = Up::start(&user);
    user.sh("mkdir second && echo text > mnt/file").success();
    up.mount("second", &[]).success();
    // Whoever is root gets no answer from the mount, and must not take it for a dead one.
    let creds = user.path(".flexfs/up/creds/default");
    let second = user.path("second");
    let args = ["mount", "start", "default", text(&second), "--credsFile", text(&creds)];
    let refused = Outcome::of(&mut tests::flexfs(&user.path("root"), &args)).failure(1);
    assert!(refused.contains("mounted there already"), "{refused}");
    assert_eq!(user.sh("cat second/file").success(), "text\n");
    let killed = user.sh("kill -9 $(cat .flexfs/mount/lock/*second)");
    assert_eq!(killed.status, 0, "{killed:?}");
    wait_for("the mount is dead", 5, || user.sh("cat second/file").stderr.contains("not connected"));
    up.mount("second", &[]).success();
    assert_eq!(user.sh("cat second/file && fusermount3 -u second").success(), "text\n");
}

#[test]
fn what_only_root_may_use_is_named() {
    let user = Ordinary::new();
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    // The server makes the volume's place in the block store when the volume is first used.
    assert_eq!(cluster.mount(&volume, &volume.token, &[]).stop(), 0);
    let init = ["mount", "init", "creds", "volume", "--adminAddr", cluster.admin_addr(), "--token", &volume.token];
    Outcome::of(&mut user.flexfs(&init)).success();
    user.sh("mkdir point").success();
    let mount = |point: &str| Outcome::of(&mut user.flexfs(&["mount", "start", "volume", point])).failure(1);
    let line = mount("point");
    assert!(line.contains("Permission denied") && line.contains("mount as its owner"), "{line}");
    user.sh("mkdir closed && chmod 500 closed").success();
    let line = Outcome::of(&mut user.flexfs(&["up", "closed"])).failure(1);
    assert!(line.contains("no write access to mountpoint"), "{line}");
    let line = Outcome::of(user.flexfs(&["up", "point"]).env("PATH", "/nowhere")).failure(1);
    assert!(line.contains("install fuse3"), "{line}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
