//! Mounts in trouble: more jobs than a ring has entries, signals, a daemon killed again and again, a mount taken away
//! while it is busy, little memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use rustix::process::{Pid, Signal, kill_process};
use tests::{Cluster, Mounted, wait_for};

/// Numbers that look random and are the same in every run (SplitMix64).
struct Lot(u64);

impl Lot {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }
}

fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut lot = Lot(seed);
    (0..len.div_ceil(8)).flat_map(|_| lot.draw().to_le_bytes()).take(len).collect()
}

fn ended_within(child: &mut Child, seconds: u64) -> bool {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

#[test]
fn more_waiting_jobs_than_ring_entries_can_be_killed_and_none_is_forgotten() {
    const JOBS: usize = 400;
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("queue", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("there"), "x").unwrap();
    cluster.meta.signal(Signal::STOP);
    let look = |name: String| {
        let mut stat = Command::new("stat");
        stat.arg(mount.path(&name)).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let mut jobs: Vec<Child> = (0..JOBS).map(|number| look(format!("missing-{number}"))).collect();
    std::thread::sleep(Duration::from_millis(500));
    // Every fourth, also of those that no entry was free for.
    let mut killed: Vec<Child> = (0..JOBS).rev().step_by(4).map(|place| jobs.remove(place)).collect();
    killed.iter_mut().for_each(|job| job.kill().unwrap());
    for job in &mut killed {
        assert!(ended_within(job, 10), "a killed process waits for an answer");
    }
    assert!(jobs.iter_mut().all(|job| job.try_wait().unwrap().is_none()), "nobody could have answered");
    cluster.meta.signal(Signal::CONT);
    for job in &mut jobs {
        assert!(ended_within(job, 30), "a request was forgotten");
        assert_eq!(job.wait().unwrap().code(), Some(1), "there is no such file");
    }
    assert!(look("there".to_owned()).wait().unwrap().success());
}

#[test]
fn signals_disturb_neither_a_writer_nor_a_reader() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("signals", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let bytes = content(1, 48 << 20);
    let (source, back) = (cluster.home().join("source"), cluster.home().join("back"));
    fs::write(&source, &bytes).unwrap();
    let copy = mount.path("copy");
    // dd answers SIGUSR1 and goes on with what it did.
    let disturbed = |from: &Path, to: &Path| {
        let (from, to) = (format!("if={}", from.display()), format!("of={}", to.display()));
        let mut dd = Command::new("dd");
        dd.args([&from, &to, "bs=1M", "iflag=fullblock", "conv=fsync"]);
        let mut dd = dd.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Until it has its handler, the signal would end it.
        std::thread::sleep(Duration::from_millis(50));
        let mut count = 0;
        while dd.try_wait().unwrap().is_none() {
            let _ = kill_process(Pid::from_child(&dd), Signal::USR1);
            count += 1;
            std::thread::sleep(Duration::from_micros(300));
        }
        assert!(dd.wait().unwrap().success());
        count
    };
    let count = disturbed(&source, &copy) + disturbed(&copy, &back);
    assert!(count > 50, "only {count} signals");
    assert!(fs::read(&back).unwrap() == bytes);
}

/// What a writer knows to be on disk.
#[derive(Default)]
struct Synced {
    files: Vec<(String, u64, usize)>,
}

impl Synced {
    /// Makes files until the mount fails, which it does when its daemon is killed.
    fn write(&mut self, root: &Path, writer: u64, round: u64) {
        let mut lot = Lot(writer << 32 | round);
        for number in 0.. {
            let (name, seed) = (format!("{writer}-{round}-{number}"), lot.draw());
            let len = (lot.draw() % 300_000) as usize;
            let made = || -> std::io::Result<()> {
                let path = root.join(&name);
                let mut file = File::create_new(root.join(format!("{name}.new")))?;
                file.write_all(&content(seed, len))?;
                file.sync_all()?;
                fs::rename(root.join(format!("{name}.new")), &path)?;
                File::open(root)?.sync_all()
            };
            if made().is_err() {
                return;
            }
            self.files.push((name, seed, len));
        }
    }

    fn check(&self, root: &Path) {
        for (name, seed, len) in &self.files {
            let found = fs::read(root.join(name)).unwrap_or_else(|error| panic!("{name} was on disk: {error}"));
            assert!(found == content(*seed, *len), "{name} changed: {} bytes of {len}", found.len());
        }
    }
}

#[test]
fn daemon_killed_again_and_again_loses_nothing_synced() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("killed", &[]);
    let creds = cluster.mount_creds(&volume.name, &volume.token);
    let point = cluster.home().join("point");
    fs::create_dir(&point).unwrap();
    let mut synced: [Synced; 3] = Default::default();
    let mut lot = Lot(7);
    for round in 0..6 {
        let mut mount = Mounted::at(cluster.home(), &volume.name, &creds, &[], &point);
        std::thread::scope(|scope| {
            for (writer, synced) in (0..).zip(&mut synced) {
                let point = &point;
                scope.spawn(move || synced.write(point, writer, round));
            }
            std::thread::sleep(Duration::from_millis(200 + lot.draw() % 500));
            mount.daemon.kill();
        });
    }
    let count: usize = synced.iter().map(|synced| synced.files.len()).sum();
    assert!(count > 20, "only {count} files were made");
    let mount = Mounted::at(cluster.home(), &volume.name, &creds, &[], &point);
    synced.iter().for_each(|synced| synced.check(mount.point()));
    // What the killed mounts held open is given up, and the volume is as usable as before.
    fs::write(mount.path("after"), "x").unwrap();
    for entry in fs::read_dir(mount.point()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(mount.stop(), 0);
}

#[test]
fn mount_taken_away_while_it_is_busy_ends_when_its_last_file_is_closed() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("busy", &[]);
    let creds = cluster.mount_creds(&volume.name, &volume.token);
    let mut mount = cluster.mount(&volume, &volume.token, &[]);
    let mut open: Vec<File> = (0..8).map(|number| File::create(mount.path(&format!("{number}"))).unwrap()).collect();
    let parts: Vec<Vec<u8>> = (0..8).map(|number| content(number, 2 << 20)).collect();
    std::thread::scope(|scope| {
        for (file, part) in open.iter_mut().zip(&parts) {
            scope.spawn(move || {
                for chunk in part.chunks(100_000) {
                    file.write_all(chunk).unwrap();
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
        }
        std::thread::sleep(Duration::from_millis(30));
        unmount(mount.point(), UnmountFlags::empty()).expect_err("files are open");
        unmount(mount.point(), UnmountFlags::DETACH).unwrap();
    });
    assert!(mount.daemon.is_running(), "files are still open");
    for (file, part) in open.iter_mut().zip(&parts) {
        file.sync_all().unwrap();
        assert_eq!(file.metadata().unwrap().len(), part.len() as u64);
    }
    drop(open);
    assert_eq!(mount.daemon.wait(), 0);
    let again = Mounted::start(cluster.home(), &volume.name, &creds, &[]);
    for (number, part) in parts.iter().enumerate() {
        assert!(fs::read(again.path(&format!("{number}"))).unwrap() == *part, "file {number}");
    }
}

#[test]
fn mount_with_little_memory_is_slow_and_right() {
    const FILES: u64 = 6;
    const LEN: usize = 24 << 20;
    let cluster = Cluster::start();
    let volume = cluster.create_volume("little", &[]);
    let mount = cluster.mount(&volume, &volume.token, &["--memCapacity", "64MiB"]);
    let root = mount.point();
    std::thread::scope(|scope| {
        for number in 0..FILES {
            scope.spawn(move || {
                let bytes = content(number, LEN);
                let mut file = File::options()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(root.join(format!("{number}")))
                    .unwrap();
                for chunk in bytes.chunks(1 << 20) {
                    file.write_all(chunk).unwrap();
                }
                let mut lot = Lot(number);
                let mut part = vec![0; 50_000];
                for _ in 0..100 {
                    let place = (lot.draw() % (LEN - part.len()) as u64) as usize;
                    file.seek(SeekFrom::Start(place as u64)).unwrap();
                    file.read_exact(&mut part).unwrap();
                    assert!(part == bytes[place..place + part.len()], "file {number} at {place}");
                }
            });
        }
    });
    let status = fs::read_to_string(format!("/proc/{}/status", mount.daemon.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    // The capacity, what the rings lend the kernel, requests in flight, code.
    assert!(peak < 400 << 10, "{peak} KiB for a mount of 64 MiB and {} MiB of files", (FILES as usize * LEN) >> 20);
    wait_for("the mount answers", 10, || fs::metadata(root.join("0")).is_ok_and(|file| file.len() == LEN as u64));
}
