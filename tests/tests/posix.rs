//! Conformance suites that others wrote, on a real mount.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use tests::{Cluster, Mounted, suite};

/// The cases of read-only remounts are left to `flags.rs`: the kernel refuses to remount (EBUSY) while the release of a
/// removed file is on its way to the daemon, which a suite that removes files all the time cannot know.
///
/// What pjdfstest finds wrong, with the reason. It may only shrink: a case that passes is an error here too.
const PJDFSTEST_FAILURES: [(&str, &str); 0] = [];

#[test]
fn pjdfstest_fails_only_where_we_say_so() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("posix", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    pjdfstest(&cluster, &mount);
}

/// A mount that was made while its callers were one user, and leaves all decisions to the server since.
#[test]
fn pjdfstest_finds_the_server_right_where_the_kernel_does_not_judge() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("alone", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &["--asUser", "0"]);
    let mount = cluster.mount(&volume, &token, &[]);
    fs::set_permissions(cluster.home(), fs::Permissions::from_mode(0o755)).unwrap();
    cluster.run(&["configure", "update", "volume-token", &id, "--asUser", ""]).success();
    tests::wait_for("callers are themselves", 5, || {
        let made = mount.path("made");
        let _ = fs::remove_file(&made);
        fs::set_permissions(mount.point(), fs::Permissions::from_mode(0o777)).unwrap();
        let status = Command::new("touch").arg(&made).uid(1000).status().unwrap();
        status.success() && fs::metadata(&made).unwrap().uid() == 1000
    });
    fs::remove_file(mount.path("made")).unwrap();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == mount.point().to_str()).unwrap();
    assert!(!line.contains("default_permissions"), "{line}");
    pjdfstest(&cluster, &mount);
}

/// Runs the suite. Fails where it fails otherwise than we say.
fn pjdfstest(cluster: &Cluster, mount: &Mounted) {
    fs::set_permissions(mount.point(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(cluster.home(), fs::Permissions::from_mode(0o755)).unwrap();
    let config = cluster.home().join("pjdfstest.toml");
    fs::write(
        &config,
        r#"
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}
stat_st_birthtime = {}
[settings]
naptime = 0.02
allow_remount = false
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"#,
    )
    .unwrap();
    let output = Command::new(suite("pjdfstest"))
        .arg("-c")
        .arg(&config)
        .arg("-p")
        .arg(mount.point())
        .arg("-s")
        .arg(cluster.home())
        .output()
        .expect("pjdfstest runs");
    let report = String::from_utf8_lossy(&output.stdout);
    let failed: Vec<&str> =
        report.lines().filter(|line| line.contains("FAILED") || line.trim_end().ends_with("failed")).collect();
    println!("{}", report.lines().rev().take(5).collect::<Vec<_>>().join("\n"));
    assert!(PJDFSTEST_FAILURES.is_empty() && failed.is_empty(), "{failed:#?}\n{report}");
    assert!(output.status.success(), "{report}");
}

#[test]
fn fsx_finds_the_bytes_it_wrote() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("fsx", &["--blockSize", "256KiB"]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let config = cluster.home().join("fsx.toml");
    fs::write(
        &config,
        r#"
flen = 1500000
[opsize]
max = 300000
[weights]
close_open = 1
invalidate = 1
truncate = 1
fsync = 0.5
fdatasync = 0.5
punch_hole = 1
posix_fallocate = 0.2
read = 10
write = 10
mapread = 5
mapwrite = 5
"#,
    )
    .unwrap();
    for seed in ["1", "2", "3"] {
        let output = Command::new(suite("fsx"))
            .args(["-S", seed, "-N", "1500", "-f"])
            .arg(&config)
            .arg(mount.path(&format!("fsx-{seed}")))
            .output()
            .expect("fsx runs");
        let report = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "seed {seed}:\n{report}");
    }
}
