//! The way of an administrator and two users through the whole system.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tests::{Cluster, Mounted};

#[test]
fn data_of_one_mount_is_read_by_another_and_after_restarting_every_process() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("shared", &[]);
    let big: Vec<u8> = (0..9_000_000u32).map(|at| (at / 7) as u8).collect();
    {
        let one = cluster.mount(&volume, &volume.token, &[]);
        fs::create_dir(one.path("dir")).unwrap();
        fs::write(one.path("dir/small"), "a few bytes").unwrap();
        fs::write(one.path("dir/big"), &big).unwrap();
        std::os::unix::fs::symlink("small", one.path("dir/link")).unwrap();
        fs::hard_link(one.path("dir/small"), one.path("dir/second")).unwrap();
        let two = cluster.mount(&volume, &volume.token, &[]);
        check_tree(&two, &big);
        fs::write(two.path("dir/from-two"), "hello").unwrap();
        assert_eq!(fs::read_to_string(one.path("dir/from-two")).unwrap(), "hello");
        assert_eq!(one.stop(), 0);
        assert_eq!(two.stop(), 0);
    }
    assert_eq!(cluster.meta.terminate(), 0);
    assert_eq!(cluster.admin.terminate(), 0);
    cluster.restart_admin();
    cluster.restart_meta();
    let again = cluster.mount(&volume, &volume.token, &[]);
    check_tree(&again, &big);
    assert_eq!(fs::read_to_string(again.path("dir/from-two")).unwrap(), "hello");
}

fn check_tree(mount: &Mounted, big: &[u8]) {
    assert_eq!(fs::read_to_string(mount.path("dir/link")).unwrap(), "a few bytes");
    assert_eq!(fs::metadata(mount.path("dir/second")).unwrap().nlink(), 2);
    assert!(fs::read(mount.path("dir/big")).unwrap() == big, "the big file differs");
}

#[test]
fn removed_file_stays_readable_while_it_is_open() {
    use std::io::{Read, Seek, Write};
    let cluster = Cluster::start();
    let volume = cluster.create_volume("orphans", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let path = mount.path("open");
    let mut file = fs::File::options().create_new(true).read(true).write(true).open(&path).unwrap();
    file.write_all(&[5; 100_000]).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(!path.exists());
    file.write_all(&[6; 100_000]).unwrap();
    file.sync_all().unwrap();
    file.rewind().unwrap();
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    assert!(content[..100_000] == [5; 100_000] && content[100_000..] == [6; 100_000]);
}

#[test]
fn directory_of_thousands_lists_every_name_once_while_it_changes() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("many", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let folder = mount.path("many");
    fs::create_dir(&folder).unwrap();
    for number in 0..3000 {
        fs::write(folder.join(format!("stays-{number}")), "").unwrap();
        fs::write(folder.join(format!("goes-{number}")), "").unwrap();
    }
    let mut names = Vec::new();
    for (number, entry) in fs::read_dir(&folder).unwrap().enumerate() {
        names.push(entry.unwrap().file_name().into_string().unwrap());
        if number < 3000 {
            fs::remove_file(folder.join(format!("goes-{number}"))).unwrap();
        }
    }
    let mut stays: Vec<_> = names.iter().filter(|name| name.starts_with("stays")).collect();
    assert_eq!(stays.len(), 3000);
    stays.sort();
    stays.dedup();
    assert_eq!(stays.len(), 3000);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn quota_of_inodes_and_blocks_is_felt_as_a_full_disk() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("small", &["--maxBlocks", "4", "--maxInodes", "10", "--blockSize", "256KiB"]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    fs::write(mount.path("fits"), vec![1; 512 << 10]).unwrap();
    let mut file = fs::File::create(mount.path("too-big")).unwrap();
    let error = std::io::Write::write_all(&mut file, &vec![1; 2 << 20]).and_then(|()| file.sync_all());
    assert_eq!(error.map_err(|error| error.kind()), Err(std::io::ErrorKind::StorageFull));
    drop(file);
    let made = (0..20).take_while(|number| fs::write(mount.path(&format!("file-{number}")), "").is_ok()).count();
    assert!((6..=9).contains(&made), "{made} files were made");
    let free = rustix::fs::statvfs(mount.point()).unwrap();
    assert_eq!(free.f_ffree, 0);
    fs::remove_file(mount.path("file-0")).unwrap();
    // The mount tells of closed files a little later: until then the removed one is an orphan that counts.
    tests::wait_for("there is room again", 5, || fs::write(mount.path("room-again"), "").is_ok());
}

#[test]
fn attributes_survive_and_modes_are_kept() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("attrs", &[]);
    let one = cluster.mount(&volume, &volume.token, &[]);
    let path = one.path("file");
    fs::write(&path, "x").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 123_456_789);
    fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    rustix::fs::setxattr(&path, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
    let two = cluster.mount(&volume, &volume.token, &[]);
    let seen = fs::metadata(two.path("file")).unwrap();
    assert_eq!((seen.mode() & 0o7777, seen.uid(), seen.gid()), (0o640, 1234, 5678));
    assert_eq!(seen.modified().unwrap(), time);
    let mut value = [0; 16];
    let len = rustix::fs::getxattr(two.path("file"), "user.note", &mut value[..]).unwrap();
    assert_eq!(&value[..len], b"kept");
}
