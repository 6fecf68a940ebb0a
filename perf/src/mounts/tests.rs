use super::*;

const MOUNTINFO: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /mnt rw - tmpfs tmpfs rw
31 30 0:44 / /mnt/data rw - fuse.flexfs default rw
32 30 0:45 / /mnt/data rw - xfs /dev/vdb rw
33 30 0:46 / /mnt/two\\040words rw - btrfs /dev/vdc rw
";

#[test]
fn deepest_and_newest_mount_is_the_file_system() {
    let kind = |path: &str| find(MOUNTINFO, |place| Path::new(path).starts_with(place)).unwrap().kind;
    assert_eq!(kind("/home"), "ext4");
    assert_eq!(kind("/mnt/database"), "tmpfs");
    assert_eq!(kind("/mnt/data/x"), "xfs");
    assert_eq!(kind("/mnt/two words/x"), "btrfs");
}

#[test]
fn only_the_mount_point_itself_is_mounted() {
    let is_mounted = |path: &str| find(MOUNTINFO, |place| Path::new(path) == place).is_some();
    assert!(is_mounted("/mnt/two words") && is_mounted("/mnt"));
    assert!(!is_mounted("/mnt/data/x"));
}
