//! `flexfs up`: the README's first command.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use tests::{Daemon, Mounted, Outcome, flexfs, require_fuse, transport, wait_for};

fn start_up(home: &Path, point: &Path, data: &Path) -> Daemon {
    let transport = transport();
    let args =
        ["up", point.to_str().unwrap(), "--dataFolder", data.to_str().unwrap(), "--transport", transport.as_str()];
    let log = home.join("up.log");
    let _ = fs::remove_file(&log);
    let mut up = Daemon::start(&mut flexfs(home, &args), &log);
    // The kernel shows the mount before `up` is ready to be ended as one that serves.
    wait_for("up says what it started", 30, || {
        assert!(up.is_running(), "up ended: {}", up.log());
        up.log().contains("is volume `default`")
    });
    assert!(fs::read_to_string("/proc/self/mounts").unwrap().contains(&format!(" {} ", point.display())));
    up
}

#[test]
fn up_serves_a_mount_and_the_next_up_finds_its_data() {
    require_fuse();
    let folder = tempfile::tempdir().unwrap();
    let (home, point, data) = (folder.path(), folder.path().join("mnt"), folder.path().join("data"));
    let mut up = start_up(home, &point, &data);
    fs::write(point.join("kept"), "across runs").unwrap();

    // From another terminal: administration and a second mount with the files that `up` wrote.
    let configure = data.join("creds/configure");
    let args = ["configure", "--credsFile", configure.to_str().unwrap(), "list", "volume", "--json"];
    let volumes: serde_json::Value = serde_json::from_str(&Outcome::of(&mut flexfs(home, &args)).success()).unwrap();
    assert_eq!(volumes[0]["name"], "default");
    let second_point = home.join("second");
    fs::create_dir(&second_point).unwrap();
    let second = Mounted::at(home, "default", &data.join("creds/default"), &[], &second_point);
    assert_eq!(fs::read_to_string(second.path("kept")).unwrap(), "across runs");
    assert_eq!(second.stop(), 0);

    let args = ["up", second_point.to_str().unwrap(), "--dataFolder", data.to_str().unwrap()];
    let refused = Outcome::of(&mut flexfs(home, &args)).failure(1);
    assert!(refused.contains("data"), "{refused}");

    up.signal(Signal::INT);
    assert_eq!(up.wait(), 0, "{}", up.log());
    assert!(!point.join("kept").exists());
    let mut up = start_up(home, &point, &data);
    assert_eq!(fs::read_to_string(point.join("kept")).unwrap(), "across runs");
    up.signal(Signal::INT);
    assert_eq!(up.wait(), 0, "{}", up.log());
}
