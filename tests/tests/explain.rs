//! `flexfs explain`: a mount tells which operations were slow and what they waited for.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use serde_json::Value;
use tests::Cluster;

fn told(cluster: &Cluster, path: &str) -> Vec<Value> {
    serde_json::from_str(&cluster.run(&["explain", path, "--json"]).success()).unwrap()
}

#[test]
fn fsync_waited_for_an_upload_and_for_the_disk_of_the_server() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("slow", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let path = mount.path("file");
    let mut file = File::create(&path).unwrap();
    let inode = file.metadata().unwrap().ino();
    // What a mount uploads by itself meanwhile, an fsync only waits its turn for: seldom, and not each time.
    let mut uploading = (0..20).filter_map(|_| {
        file.write_all(&vec![7; 3 << 20]).unwrap();
        file.sync_all().unwrap();
        let of_file = told(&cluster, path.to_str().unwrap());
        assert!(of_file.iter().all(|operation| operation["inode"] == inode), "{of_file:#?}");
        let uploads = |operation: &Value| operation["stages"].to_string().contains("\"upload\"");
        let fsync = of_file.iter().find(|operation| operation["operation"] == "fsync" && uploads(operation));
        fsync.map(|fsync| (fsync.clone(), of_file.len()))
    });
    let (fsync, of_file) = uploading.next().expect("an fsync that uploads");
    let stages = fsync["stages"].as_array().unwrap();
    let find = |stage: &str| stages.iter().find(|time| time["stage"] == stage).unwrap_or_else(|| panic!("{fsync:#}"));
    assert!(find("upload")["took"].as_u64() > Some(0), "{fsync:#}");
    let commit = stages.iter().find(|time| time["request"] == "commit").unwrap_or_else(|| panic!("{fsync:#}"));
    let number = |field: &str| commit[field].as_u64().unwrap();
    assert!(
        0 < number("disk") && number("disk") <= number("server") && number("server") <= number("took"),
        "{fsync:#}"
    );
    assert!(fsync["total"].as_u64() >= commit["took"].as_u64(), "{fsync:#}");
    // The mount as a whole tells of the create too, which was about the directory.
    let point = mount.point().to_str().unwrap();
    let all = told(&cluster, point);
    assert!(all.iter().any(|operation| operation["operation"] == "create"), "{all:#?}");
    assert!(all.len() > of_file);
    let text = cluster.run(&["explain", point]).success();
    assert!(text.contains(&format!("fsync of inode {inode}")) && text.contains("commit: metadata server"), "{text}");
}

#[test]
fn outage_of_the_server_shows_as_the_connection_that_was_missing() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("away", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("file"), "before").unwrap();
    cluster.meta.kill();
    let path = mount.path("late");
    let waiting = std::thread::spawn(move || fs::write(path, "after").unwrap());
    // The mount answers of itself, whoever is away, also when the kernel believes no attributes of before any more.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!told(&cluster, mount.point().to_str().unwrap()).is_empty());
    cluster.restart_meta();
    waiting.join().unwrap();
    let slowest = &told(&cluster, mount.point().to_str().unwrap())[0];
    assert!(slowest["total"].as_u64() > Some(600_000), "{slowest:#}");
    let waited: u64 = slowest["stages"].as_array().unwrap().iter().map(|time| time["took"].as_u64().unwrap()).sum();
    assert!(waited > 600_000, "{slowest:#}");
}

#[test]
fn attribute_is_in_no_list_and_nobody_sets_it() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("private", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("file"), "x").unwrap();
    let path = mount.path("file");
    let mut value = [0; 65536];
    assert!(rustix::fs::getxattr(&path, "system.flexfs.slow", &mut value[..]).is_ok());
    let error = rustix::fs::setxattr(&path, "system.flexfs.slow", b"x", rustix::fs::XattrFlags::empty()).unwrap_err();
    assert_eq!(error, rustix::io::Errno::PERM);
    assert_eq!(rustix::fs::listxattr(&path, &mut value[..]), Ok(0));
}

#[test]
fn what_cannot_be_explained_is_one_line() {
    let cluster = Cluster::start();
    let said = |args: &[&str], status| cluster.run(args).failure(status);
    assert!(said(&["explain"], 2).contains("<PATH>"));
    assert!(said(&["explain", "/", "--last"], 2).contains("--last"));
    assert!(said(&["explain", "/nonexistent"], 1).contains("/nonexistent: No such file"));
    assert!(said(&["explain", "/"], 1).contains("/: nothing is told of it"));
    assert!(said(&["explain", "/dev/null"], 1).contains("a file or a directory on a mount of flexfs is needed"));
}
