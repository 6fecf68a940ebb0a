//! `kill -9` at bad moments: what was acknowledged is there afterwards.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tests::Cluster;

#[test]
fn killed_metadata_server_loses_nothing_acknowledged_and_the_mount_goes_on() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("crash", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let standbys = [(); 3].map(|()| cluster.standby_meta());
    let stop = AtomicBool::new(false);
    let acknowledged = std::thread::scope(|scope| {
        let (root, stop) = (mount.point(), &stop);
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                scope.spawn(move || {
                    let mut made = Vec::new();
                    for number in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let path = root.join(format!("w{writer}-{number}"));
                        // create_new fails with EEXIST if a repeated request was applied twice.
                        let mut file = fs::File::create_new(&path).unwrap();
                        file.write_all(format!("content of {writer} {number}").as_bytes()).unwrap();
                        drop(file);
                        if number % 3 == 0 {
                            let moved = root.join(format!("moved-w{writer}-{number}"));
                            fs::rename(&path, &moved).unwrap();
                            made.push((moved, writer, number));
                        } else {
                            made.push((path, writer, number));
                        }
                    }
                    made
                })
            })
            .collect();
        for standby in standbys {
            std::thread::sleep(Duration::from_millis(700));
            cluster.meta.kill();
            std::thread::sleep(Duration::from_millis(100));
            cluster.take_over(standby);
        }
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(acknowledged.len() > 40, "only {} files were made", acknowledged.len());
    let fresh = cluster.mount(&volume, &volume.token, &[]);
    for (path, writer, number) in &acknowledged {
        let path = fresh.point().join(path.file_name().unwrap());
        let content = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(content, format!("content of {writer} {number}"));
    }
    assert_eq!(fs::read_dir(fresh.point()).unwrap().count(), acknowledged.len());
}

#[test]
fn killed_mount_daemon_leaves_synced_data_and_a_mount_point_to_use_again() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("killed", &[]);
    let creds = cluster.mount_creds(&volume.name, &volume.token);
    let mut mount = cluster.mount(&volume, &volume.token, &[]);
    let content: Vec<u8> = (0..6_000_000u32).map(|at| (at % 251) as u8).collect();
    let mut file = fs::File::create(mount.path("synced")).unwrap();
    file.write_all(&content).unwrap();
    file.sync_all().unwrap();
    let mut unsynced = fs::File::create(mount.path("unsynced")).unwrap();
    unsynced.write_all(&[9; 100_000]).unwrap();
    let point = mount.point().to_owned();
    mount.daemon.kill();
    assert!(fs::metadata(point.join("synced")).is_err(), "a dead daemon serves nothing");
    drop((file, unsynced));
    drop(mount);
    let again = tests::Mounted::at(cluster.home(), &volume.name, &creds, &[], &point);
    assert!(fs::read(again.path("synced")).unwrap() == content);
    // What was not synced is old, new or empty: never bytes that nobody wrote.
    let rest = fs::read(again.path("unsynced")).unwrap();
    assert!(rest.is_empty() || rest == [9; 100_000]);
}

#[test]
fn metadata_server_away_makes_operations_wait_not_fail() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("waits", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let standby = cluster.standby_meta();
    let mut open = fs::File::create(mount.path("open")).unwrap();
    open.write_all(b"before").unwrap();
    assert_eq!(cluster.meta.terminate(), 0);
    let path = mount.path("made-while-away");
    let waiting = std::thread::spawn(move || fs::write(path, "patience"));
    std::thread::sleep(Duration::from_secs(1));
    assert!(!waiting.is_finished(), "nobody could have answered");
    cluster.take_over(standby);
    waiting.join().unwrap().unwrap();
    open.write_all(b" after").unwrap();
    open.sync_all().unwrap();
    assert_eq!(fs::read_to_string(mount.path("open")).unwrap(), "before after");
    assert_eq!(fs::read_to_string(mount.path("made-while-away")).unwrap(), "patience");
}
