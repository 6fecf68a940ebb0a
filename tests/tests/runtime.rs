//! Mounts whose threads tokio-uring runs, beside some that tokio runs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tests::{Cluster, Mounted, Volume, transport, wait_for};

fn mount(cluster: &Cluster, volume: &Volume, runtime: &str) -> Mounted {
    let mount = cluster.mount(volume, &volume.token, &["--runtime", runtime, "--threads", "2"]);
    let said = format!("runtime={runtime}");
    wait_for("the log names the runtime", 10, || mount.daemon.log().lines().any(|line| line.ends_with(&said)));
    mount
}

/// The io_urings that the daemon has open.
fn open_rings(mount: &Mounted) -> usize {
    let folder = fs::read_dir(format!("/proc/{}/fd", mount.daemon.pid())).unwrap();
    let targets = folder.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy() == "anon_inode:[io_uring]").count()
}

/// Threads that tokio keeps for blocking work.
fn blocking_threads(mount: &Mounted) -> usize {
    let folder = fs::read_dir(format!("/proc/{}/task", mount.daemon.pid())).unwrap();
    let names = folder.filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("comm")).ok());
    names.filter(|name| name.starts_with("tokio")).count()
}

#[test]
fn data_goes_between_runtimes_and_survives_a_killed_metadata_server() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("runtimes", &[]);
    let big: Vec<u8> = (0..9_000_000u32).map(|at| (at / 7) as u8).collect();
    let (ours, tokios) = (mount(&cluster, &volume, "tokio-uring"), mount(&cluster, &volume, "tokio"));
    fs::create_dir(ours.path("dir")).unwrap();
    fs::write(ours.path("dir/small"), "a few bytes").unwrap();
    let mut file = fs::File::create_new(ours.path("dir/big")).unwrap();
    file.write_all(&big).unwrap();
    file.sync_all().unwrap();
    assert!(fs::read(tokios.path("dir/big")).unwrap() == big, "the big file differs");
    assert_eq!(fs::read_to_string(tokios.path("dir/small")).unwrap(), "a few bytes");
    fs::write(tokios.path("dir/from-tokio"), &big[..3_000_000]).unwrap();
    assert!(fs::read(ours.path("dir/from-tokio")).unwrap() == big[..3_000_000]);

    let standby = cluster.standby_meta();
    cluster.meta.kill();
    let path = ours.path("dir/made-while-away");
    let waiting = std::thread::spawn(move || fs::write(path, "patience"));
    cluster.take_over(standby);
    waiting.join().unwrap().unwrap();
    file.write_all(b"and more").unwrap();
    file.sync_all().unwrap();
    drop(file);
    assert_eq!(fs::read_to_string(tokios.path("dir/made-while-away")).unwrap(), "patience");
    assert_eq!(ours.stop(), 0);
    assert_eq!(tokios.stop(), 0);

    // Nothing of this is in the new mount's memory.
    let again = mount(&cluster, &volume, "tokio-uring");
    let read = fs::read(again.path("dir/big")).unwrap();
    assert!(read[..big.len()] == big && &read[big.len()..] == b"and more");
    assert!(fs::read(again.path("dir/from-tokio")).unwrap() == big[..3_000_000]);
    assert_eq!(again.stop(), 0);
}

#[test]
fn reads_of_the_block_store_take_no_other_thread_under_tokio_uring() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("rings", &[]);
    let content = vec![7; 100_000];
    let writer = mount(&cluster, &volume, "tokio");
    fs::write(writer.path("one-frame"), &content).unwrap();
    assert_eq!(writer.stop(), 0);
    let (ours, tokios) = (mount(&cluster, &volume, "tokio-uring"), mount(&cluster, &volume, "tokio"));
    assert_eq!(open_rings(&ours), open_rings(&tokios) + 2, "a ring for each thread, over {}", transport());
    assert_eq!((blocking_threads(&ours), blocking_threads(&tokios)), (0, 0));
    for mount in [&ours, &tokios] {
        assert!(fs::read(mount.path("one-frame")).unwrap() == content);
    }
    assert_eq!(blocking_threads(&ours), 0);
    assert!(blocking_threads(&tokios) > 0, "what this test looks for is not there under tokio either");
}

#[test]
fn mount_ends_while_a_read_is_stuck_in_the_block_store() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("stuck", &[]);
    let writer = mount(&cluster, &volume, "tokio");
    fs::write(writer.path("file"), vec![7; 100_000]).unwrap();
    assert_eq!(writer.stop(), 0);
    for object in files_below(&cluster.home().join("blocks")) {
        fs::remove_file(&object).unwrap();
        // Opening it waits for a writer, who never comes.
        mknodat(CWD, &object, FileType::Fifo, Mode::RUSR, 0).unwrap();
    }
    for runtime in ["tokio", "tokio-uring"] {
        let mount = mount(&cluster, &volume, runtime);
        let path = mount.path("file");
        let reading = std::thread::spawn(move || fs::read(path));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!reading.is_finished());
        let begun = Instant::now();
        assert_eq!(mount.stop(), 0, "{runtime}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{runtime}: {:?}", begun.elapsed());
        assert!(reading.join().unwrap().is_err());
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
