use super::*;

fn refusal(path: &Path, non_empty: bool) -> String {
    MountPoint::check(path, non_empty).unwrap_err().to_string()
}

#[test]
fn unusable_mount_points_are_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(refusal(&folder.path().join("missing"), false).contains("does not exist"));
    assert!(refusal(&file, false).contains("not a directory"));
    assert!(refusal(folder.path(), false).contains("not empty"));
    assert!(refusal(Path::new("/proc"), true).contains("mounted there already"));
}

#[test]
fn covering_content_must_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    assert!(MountPoint::check(folder.path(), false).is_ok());
    fs::write(folder.path().join("file"), "").unwrap();
    assert!(MountPoint::check(folder.path(), true).is_ok());
}

#[test]
fn mount_is_found_by_its_escaped_path_and_the_newest_shows() {
    let info = "29 1 0:26 / /mnt/a\\040b rw - tmpfs tmpfs rw\n\
                30 1 0:27 / /mnt/c rw - tmpfs tmpfs rw\n\
                31 30 0:28 / /mnt/c rw - fuse.flexfs v rw\n";
    assert_eq!(find_mount(info, Path::new("/mnt/a b")), Some("0:26"));
    assert_eq!(find_mount(info, Path::new("/mnt/c")), Some("0:28"));
    assert_eq!(find_mount(info, Path::new("/mnt")), None);
}
