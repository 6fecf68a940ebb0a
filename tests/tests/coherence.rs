//! Several mounts and one file: what each of them wrote is there, and nobody sees what nobody wrote.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tests::{Cluster, Mounted, wait_for};

/// Bytes that say whose they are and where they belong; never zero.
fn byte(writer: u64, offset: u64) -> u8 {
    let mixed = (offset + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    (writer * 80 + 1 + mixed % 80) as u8
}

fn bytes(writer: u64, range: std::ops::Range<u64>) -> Vec<u8> {
    range.map(|offset| byte(writer, offset)).collect()
}

fn open(mount: &Mounted, name: &str) -> File {
    File::options().read(true).write(true).create(true).truncate(false).open(mount.path(name)).unwrap()
}

/// Ends the loops of other threads when it goes, also where a test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// How two mounts write a file between them.
struct Plan {
    name: &'static str,
    /// Bytes of a stripe; the writers take turns.
    stripe: u64,
    /// Stripes of the file.
    stripes: u64,
    /// Stripes of one writer between two fsyncs.
    sync_every: u64,
    /// Order in which the stripes are written: each so many further.
    stride: u64,
}

const PLANS: [Plan; 5] = [
    // Both fit into the inode record.
    Plan { name: "tiny", stripe: 100, stripes: 60, sync_every: 3, stride: 7 },
    // One of them lets it outgrow that.
    Plan { name: "growing", stripe: 500, stripes: 200, sync_every: 2, stride: 3 },
    // Many pieces in few blocks, which are rewritten again and again.
    Plan { name: "scattered", stripe: 1000, stripes: 600, sync_every: 5, stride: 77 },
    // Less than a page of the kernel belongs to each.
    Plan { name: "pages", stripe: 3333, stripes: 300, sync_every: 10, stride: 1 },
    // Blocks that are half the one's and half the other's.
    Plan { name: "large", stripe: 128 << 10, stripes: 96, sync_every: 12, stride: 5 },
];

fn write_stripes(mount: &Mounted, plan: &Plan, writer: u64, start: &Barrier) {
    let file = open(mount, plan.name);
    start.wait();
    for step in 0..plan.stripes / 2 {
        let stripe = step * plan.stride % (plan.stripes / 2) * 2 + writer;
        let range = stripe * plan.stripe..(stripe + 1) * plan.stripe;
        file.write_all_at(&bytes(writer, range.clone()), range.start).unwrap();
        if step % plan.sync_every == plan.sync_every - 1 {
            file.sync_all().unwrap();
        }
    }
}

fn check_stripes(path: &Path, plan: &Plan) {
    let content = fs::read(path).unwrap();
    assert_eq!(content.len() as u64, plan.stripes * plan.stripe, "{}", plan.name);
    for stripe in 0..plan.stripes {
        let range = stripe * plan.stripe..(stripe + 1) * plan.stripe;
        let found = &content[range.start as usize..range.end as usize];
        assert!(found == bytes(stripe % 2, range), "stripe {stripe} of {}", plan.name);
    }
}

#[test]
fn two_mounts_that_write_interleaved_ranges_of_one_file_keep_every_byte() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("interleaved", &["--blockSize", "256KiB"]);
    let mounts = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
    for plan in &PLANS {
        drop(open(&mounts[0], plan.name));
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for (writer, mount) in (0..).zip(&mounts) {
                let start = &start;
                scope.spawn(move || write_stripes(mount, plan, writer, start));
            }
        });
    }
    let third = cluster.mount(&volume, &volume.token, &[]);
    for plan in &PLANS {
        check_stripes(&third.path(plan.name), plan);
        for mount in &mounts {
            check_stripes(&mount.path(plan.name), plan);
        }
    }
}

#[test]
fn two_mounts_keep_every_byte_while_the_metadata_server_is_killed_again_and_again() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("killed", &["--blockSize", "256KiB"]);
    let mounts = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
    let standbys = [(); 3].map(|()| cluster.standby_meta());
    let plan = Plan { name: "file", stripe: 1000, stripes: 1200, sync_every: 2, stride: 77 };
    drop(open(&mounts[0], plan.name));
    let start = Barrier::new(3);
    std::thread::scope(|scope| {
        for (writer, mount) in (0..).zip(&mounts) {
            let (start, plan) = (&start, &plan);
            scope.spawn(move || write_stripes(mount, plan, writer, start));
        }
        start.wait();
        for standby in standbys {
            std::thread::sleep(Duration::from_millis(400));
            cluster.meta.kill();
            std::thread::sleep(Duration::from_millis(100));
            cluster.take_over(standby);
        }
    });
    let third = cluster.mount(&volume, &volume.token, &[]);
    check_stripes(&third.path(plan.name), &plan);
}

#[test]
fn small_file_grows_though_another_mount_writes_to_it_all_the_time() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("busy", &[]);
    let [busy, other] = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
    let base = bytes(0, 0..4000);
    fs::write(busy.path("file"), &base).unwrap();
    let stop = AtomicBool::new(false);
    let rounds = std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let file = open(&busy, "file");
            let mut rounds = 0u64;
            while !stop.load(Ordering::Relaxed) {
                rounds += 1;
                file.write_all_at(&rounds.to_be_bytes(), 1000).unwrap();
                file.sync_all().unwrap();
            }
            rounds
        });
        let stop = Stop(&stop);
        std::thread::sleep(Duration::from_millis(300));
        let file = open(&other, "file");
        file.write_all_at(&bytes(1, 2000..2100), 2000).unwrap();
        file.write_all_at(&bytes(1, 1_000_000..1_000_100), 1_000_000).unwrap();
        file.sync_all().unwrap();
        // A reader finds its way, however often the file changes.
        let mut read = [0; 100];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == base[..100]);
        std::thread::sleep(Duration::from_millis(300));
        drop(stop);
        busy.join().unwrap()
    });
    let third = cluster.mount(&volume, &volume.token, &[]);
    let mut expected = base;
    expected[1000..1008].copy_from_slice(&rounds.to_be_bytes());
    expected[2000..2100].copy_from_slice(&bytes(1, 2000..2100));
    expected.resize(1_000_000, 0);
    expected.extend(bytes(1, 1_000_000..1_000_100));
    assert!(fs::read(third.path("file")).unwrap() == expected);
}

#[test]
fn reader_of_a_file_that_others_replace_sees_old_bytes_or_new_ones_and_no_zeroes() {
    let cluster = Cluster::start();
    // What is replaced is deleted from the store within a second.
    let volume = cluster.create_volume("replaced", &["--blockSize", "256KiB", "--retention", "0"]);
    let [writer, reader] = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &["--attrValid", "0"]));
    let size = 1_500_000;
    fs::write(writer.path("file"), vec![1; size]).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let file = File::open(reader.path("file")).unwrap();
            let mut read = vec![0; 100_000];
            let (mut seen, mut errors) = (0u64, 0u64);
            for place in 0u64.. {
                match file.read_at(&mut read, place * 70_001 % size as u64) {
                    Ok(count) => {
                        assert!(read[..count].iter().all(|byte| *byte != 0), "zeroes that nobody wrote");
                        seen += count as u64;
                    }
                    // Bytes that are gone for good, before the kernel knows that the file is shorter.
                    Err(error) => {
                        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
                        errors += 1;
                    }
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            (seen, errors)
        });
        let stop = Stop(&stop);
        let until = Instant::now() + Duration::from_secs(5);
        for round in 2..u8::MAX {
            if round % 2 == 0 {
                // Emptied and written from the start.
                fs::write(writer.path("file"), vec![round; size]).unwrap();
            } else {
                // In place, in bits and pieces.
                let file = open(&writer, "file");
                for offset in (0..size as u64).step_by(50_000) {
                    file.write_all_at(&[round; 3000], offset).unwrap();
                }
                file.sync_all().unwrap();
            }
            if Instant::now() > until {
                break;
            }
        }
        drop(stop);
        let (seen, errors) = reading.join().unwrap();
        assert!(seen > 10_000_000 && errors < seen / 1_000_000, "{errors} errors, {seen} bytes read");
    });
}

#[test]
fn open_and_stat_after_a_close_see_what_it_wrote() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("close-to-open", &[]);
    let [one, two] = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
    fs::write(one.path("file"), vec![1; 300_000]).unwrap();
    for round in 2..12u8 {
        // What the second mount's kernel has of the file is of the round before.
        assert!(fs::read(two.path("file")).unwrap() == vec![round - 1; 300_000]);
        open(&one, "file").write_all_at(&vec![round; 300_000], 0).unwrap();
        // Neither a time nor a size that is set hides it.
        let file = open(&two, "file");
        if round % 2 == 0 {
            file.set_modified(std::time::SystemTime::now()).unwrap();
        } else {
            file.set_len(300_000).unwrap();
        }
        drop(file);
        assert!(fs::read(two.path("file")).unwrap() == vec![round; 300_000], "round {round}");
    }
    // Room that one mount allocates does not cut off what another appended.
    let file = open(&two, "file");
    open(&one, "file").write_all_at(&[7; 5000], 300_000).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 301_000).unwrap();
    drop(file);
    assert_eq!(fs::metadata(one.path("file")).unwrap().size(), 305_000);
    assert!(fs::read(two.path("file")).unwrap()[300_000..] == [7; 5000]);
}

#[test]
fn file_that_another_mount_cuts_keeps_what_is_written_after() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("cut", &["--blockSize", "256KiB"]);
    let [one, two] = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
    for (size, cut, offset) in [(5000, 1000, 3000), (1_000_000, 0, 300_000), (1_000_000, 300_000, 290_000)] {
        fs::write(one.path("file"), vec![1; size]).unwrap();
        let file = open(&one, "file");
        open(&two, "file").set_len(cut).unwrap();
        file.write_all_at(&[2; 20_000], offset).unwrap();
        drop(file);
        let mut expected = vec![1; cut as usize];
        expected.resize(expected.len().max(offset as usize + 20_000), 0);
        expected[offset as usize..offset as usize + 20_000].fill(2);
        for mount in [&one, &two] {
            assert!(fs::read(mount.path("file")).unwrap() == expected, "{size} bytes cut to {cut}");
        }
    }
}

#[test]
fn large_direct_appends_arrive_whole_and_in_order() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("direct", &[]);
    // Less memory than is written, so that pieces wait for room.
    let mount = cluster.mount(&volume, &volume.token, &["--memCapacity", "64MiB"]);
    let path = mount.path("log");
    let piece = |number: usize| (0..4 << 20).map(|place: usize| (place / 4096 + number * 7) as u8).collect::<Vec<u8>>();
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    let mut file = File::options().append(true).create(true).custom_flags(direct).open(&path).unwrap();
    for number in 0..24 {
        assert_eq!(file.write(&piece(number)).unwrap(), 4 << 20);
    }
    drop(file);
    let found = fs::read(&path).unwrap();
    assert_eq!(found.len(), 24 * (4 << 20));
    for (number, found) in found.chunks(4 << 20).enumerate() {
        assert!(found == piece(number), "piece {number}");
    }
}

#[test]
fn processes_of_one_mount_append_without_losing_a_record() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("appended", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let log = mount.path("log");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..100 {
                    // Now and then by a handle of its own.
                    let mut file = File::options().append(true).create(true).open(log).unwrap();
                    for part in 0..5 {
                        file.write_all(format!("{writer} {:06}\n", number * 5 + part).as_bytes()).unwrap();
                    }
                    if number % 10 == 0 {
                        file.sync_all().unwrap();
                    }
                }
            });
        }
    });
    let other = cluster.mount(&volume, &volume.token, &[]);
    let text = fs::read_to_string(other.path("log")).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2000);
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 2000, "a record is there twice");
}

#[test]
fn bytes_written_through_a_mapping_after_close_arrive() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("mapped", &[]);
    let [one, two] = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
    let len = 1 << 20;
    fs::write(one.path("file"), vec![1; len]).unwrap();
    let file = open(&one, "file");
    let (protection, flags) =
        (rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE, rustix::mm::MapFlags::SHARED);
    // SAFETY: the mapping is used below as bytes of the length it has, and by nobody else.
    let mapping = unsafe { rustix::mm::mmap(std::ptr::null_mut(), len, protection, flags, &file, 0) }.unwrap();
    drop(file);
    // SAFETY: the mapping is `len` bytes long and lives until it is unmapped below.
    let mapped = unsafe { std::slice::from_raw_parts_mut(mapping.cast::<u8>(), len) };
    mapped[5000..900_000].fill(2);
    // SAFETY: nothing refers to the mapping any more.
    unsafe { rustix::mm::munmap(mapping, len) }.unwrap();
    let mut expected = vec![1; len];
    expected[5000..900_000].fill(2);
    // The last handle goes with the mapping; nobody waits for it.
    wait_for("the mapped bytes arrive", 10, || fs::read(two.path("file")).unwrap() == expected);
}

#[test]
fn full_volume_is_told_at_close_and_emptying_the_file_helps() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("full", &["--blockSize", "256KiB", "--maxBlocks", "4"]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("kept"), vec![1; 600_000]).unwrap();
    let file = open(&mount, "big");
    file.write_all_at(&vec![2; 600_000], 0).unwrap();
    let error = file.sync_all().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    file.set_len(0).unwrap();
    file.write_all_at(&vec![3; 100_000], 0).unwrap();
    file.sync_all().unwrap();
    drop(file);
    let other = cluster.mount(&volume, &volume.token, &[]);
    assert!(fs::read(other.path("kept")).unwrap() == vec![1; 600_000]);
    assert!(fs::read(other.path("big")).unwrap() == vec![3; 100_000]);
}

#[test]
fn writer_whose_token_is_deleted_is_told_and_what_was_acknowledged_stays() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("revoked", &[]);
    let token = cluster.create_token(&volume, "/", "");
    let mount = cluster.mount(&volume, &token, &[]);
    let file = open(&mount, "file");
    cluster.run(&["configure", "delete", "volume-token", &token, "--force"]).success();
    let until = Instant::now() + Duration::from_secs(10);
    let mut acknowledged = 0;
    let error = loop {
        let range = acknowledged * 1000..(acknowledged + 1) * 1000;
        if let Err(error) = file.write_all_at(&bytes(1, range.clone()), range.start).and_then(|()| file.sync_all()) {
            break error;
        }
        acknowledged += 1;
        assert!(Instant::now() < until, "the token is not deleted after ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    drop(file);
    let other = cluster.mount(&volume, &volume.token, &[]);
    let content = fs::read(other.path("file")).unwrap();
    assert!(content.len() as u64 >= acknowledged * 1000);
    assert!(content == bytes(1, 0..content.len() as u64));
}

#[test]
fn holes_that_one_mount_makes_spare_what_another_wrote() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("holes", &["--blockSize", "256KiB"]);
    let [one, two] = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
    for size in [6000u64, 1_000_000] {
        let name = format!("file-{size}");
        fs::write(one.path(&name), vec![1; size as usize]).unwrap();
        let (first, second) = (open(&one, &name), open(&two, &name));
        let third = size / 3;
        second.write_all_at(&vec![2; third as usize], 0).unwrap();
        let flags = rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE;
        rustix::fs::fallocate(&first, flags, third, third).unwrap();
        second.sync_all().unwrap();
        drop((first, second));
        let mut expected = vec![1; size as usize];
        expected[..third as usize].fill(2);
        expected[third as usize..2 * third as usize].fill(0);
        for mount in [&one, &two] {
            assert!(fs::read(mount.path(&name)).unwrap() == expected, "{name}");
        }
    }
}

#[test]
fn records_that_are_written_at_once_through_one_mount_are_whole() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("sync", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let sync = rustix::fs::OFlags::SYNC.bits() as i32;
    let file = File::options().write(true).create_new(true).custom_flags(sync).open(mount.path("file")).unwrap();
    for record in 0..50u64 {
        file.write_all_at(&bytes(record % 3, record * 400..(record + 1) * 400), record * 400).unwrap();
        let other = fs::read(mount.path("file")).unwrap();
        assert_eq!(other.len() as u64, (record + 1) * 400);
    }
    let other = cluster.mount(&volume, &volume.token, &[]);
    let expected: Vec<u8> = (0..50).flat_map(|record| bytes(record % 3, record * 400..(record + 1) * 400)).collect();
    assert!(fs::read(other.path("file")).unwrap() == expected);
}
