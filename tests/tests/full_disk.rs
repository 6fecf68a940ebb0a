//! Disks without room: of the metadata, of the blocks, of a server that starts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ffi::CString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tests::{Cluster, wait_for};

/// A disk of so many bytes. Dropping it takes it away.
struct Disk {
    path: PathBuf,
}

impl Disk {
    fn new(path: &Path, bytes: u64) -> Self {
        fs::create_dir_all(path).unwrap();
        let options = CString::new(format!("size={bytes}")).unwrap();
        mount("none", path, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
        Self { path: path.to_owned() }
    }

    /// Leaves about so many bytes free.
    fn leave(&self, bytes: u64) {
        let disk = rustix::fs::statvfs(&self.path).unwrap();
        let file = fs::File::create(self.path.join("filler")).unwrap();
        let zeroes = vec![0; (disk.f_bavail * disk.f_frsize - bytes) as usize];
        (&file).write_all(&zeroes).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = unmount(&self.path, UnmountFlags::DETACH);
    }
}

/// Bytes that do not shrink.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| next()).collect()
}

fn is_full<T>(outcome: std::io::Result<T>) -> bool {
    outcome.is_err_and(|error| error.kind() == ErrorKind::StorageFull)
}

#[test]
fn full_disk_of_the_metadata_refuses_what_is_new_and_ends_the_server_before_it_lies() {
    let mut cluster = Cluster::start();
    assert_eq!(cluster.meta.terminate(), 0);
    let disk = Disk::new(&cluster.home().join("meta-db"), 144 << 20);
    cluster.restart_meta();
    let volume = cluster.create_volume("volume", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("kept"), "kept").unwrap();
    fs::write(mount.path("gone"), "gone").unwrap();

    disk.leave(100 << 20);
    let mut names = (0..).map(|number| mount.path(&format!("dir-{number}")));
    wait_for("new names are refused", 5, || is_full(fs::create_dir(names.next().unwrap())));
    let mut kept = fs::File::options().append(true).open(mount.path("kept")).unwrap();
    assert!(is_full(kept.write_all(b", and more").and_then(|()| kept.sync_all())));
    drop(kept);
    fs::remove_file(mount.path("gone")).unwrap();
    fs::rename(mount.path("kept"), mount.path("moved")).unwrap();
    wait_for("the log says what to do", 5, || cluster.meta.log().contains("make room there"));
    disk.make_room();
    wait_for("there is room again", 5, || fs::create_dir(mount.path("new")).is_ok());

    disk.leave(16 << 10);
    // Attributes are changed until the journal has no place for one.
    let change = |mode| fs::set_permissions(mount.path("moved"), fs::Permissions::from_mode(mode));
    assert!((0..10_000).any(|round| change(0o600 + round % 8).is_err()), "the disk is never full");
    assert_eq!(cluster.meta.wait(), 1);
    let log = cluster.meta.log();
    let last = log.lines().last().unwrap();
    assert!(last.contains("meta-db takes no more writes") && last.contains("start again"), "{log}");
    disk.make_room();
    cluster.restart_meta();
    assert_eq!(fs::read_to_string(mount.path("moved")).unwrap(), "kept");
    fs::write(mount.path("new/file"), "new").unwrap();
    assert_eq!(mount.stop(), 0);
    cluster.meta.terminate();
}

#[test]
fn full_block_store_is_felt_at_fsync_and_room_at_once() {
    let cluster = Cluster::start();
    let disk = Disk::new(&cluster.home().join("blocks"), 8 << 20);
    let volume = cluster.create_volume("volume", &["--blockSize", "256KiB", "--retention", "0"]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("small"), vec![7; 100_000]).unwrap();
    disk.leave(1 << 20);
    let noise = noise(4_000_000);
    let mut file = fs::File::create(mount.path("big")).unwrap();
    assert!(is_full(file.write_all(&noise).and_then(|()| file.sync_all())));
    drop(file);
    disk.make_room();
    fs::write(mount.path("big"), &noise).unwrap();
    assert_eq!(fs::read(mount.path("small")).unwrap(), vec![7; 100_000]);
    assert_eq!(mount.stop(), 0);
}

#[test]
fn server_that_finds_no_room_says_which_disk() {
    let mut cluster = Cluster::start();
    let disk = Disk::new(&cluster.home().join("full"), 64 << 10);
    let folder = disk.path.join("db").to_str().unwrap().to_owned();
    let line = cluster.run(&["admin", "start", "--bindAddr", "127.0.0.1:0", "--dbFolder", &folder]).failure(1);
    assert!(line.contains(&folder) && line.contains("full: make room there"), "{line}");
    let point = cluster.home().join("point");
    let args = ["up", point.to_str().unwrap(), "--dataFolder", &folder];
    let line = cluster.run(&args).failure(1);
    assert!(line.contains(&folder) && line.contains("full") && !line.contains("port"), "{line}");
    cluster.meta.terminate();
}
