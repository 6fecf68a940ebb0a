use super::*;

const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
    40 22 0:35 / /mnt/a\\040b rw shared:1 master:2 - fuse.flexfs data rw,user_id=0\n\
    41 22 0:36 / /mnt/c rw - fuse.flexfs data rw\n\
    42 41 0:37 / /mnt/c rw - tmpfs tmpfs rw\n";

#[test]
fn topmost_mount_counts() {
    let top = |path| top_mount(TABLE, Path::new(path));
    let mount = |device: &str, kind: &str, options: &str| {
        Some(Mounted { device: device.to_owned(), kind: kind.to_owned(), options: options.to_owned() })
    };
    assert_eq!(top("/mnt/a b"), mount("0:35", "fuse.flexfs", "rw,user_id=0"));
    assert_eq!(top("/mnt/c"), mount("0:37", "tmpfs", "rw"));
    assert_eq!(top("/mnt"), None);
    assert_eq!(top_mount(b"nonsense\n\n- - - - -", Path::new("/")), None);
}

#[test]
fn kernel_escapes_are_undone() {
    assert_eq!(unescape(br"a\040b\134c\"), OsString::from(r"a b\c\"));
}

#[test]
fn lock_names_differ_and_fit_a_file_name() {
    assert_eq!(lock_name(Path::new("/mnt/data")), "-mnt-data");
    assert_ne!(lock_name(Path::new("/a/b")), lock_name(Path::new("/a-b")));
    let (long, longer) = ("x/".repeat(900), "x/".repeat(901));
    assert!(lock_name(Path::new(&long)).len() <= 255);
    assert_ne!(lock_name(Path::new(&long)), lock_name(Path::new(&longer)));
}

#[test]
fn parents_are_resolved_and_the_root_refused() {
    let folder = tempfile::tempdir().unwrap();
    let real = folder.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("real")).unwrap();
    std::os::unix::fs::symlink("real", real.join("link")).unwrap();
    assert_eq!(resolve(&real.join("link")).unwrap(), real.join("real"));
    assert_eq!(resolve(&real.join("link/new")).unwrap(), real.join("real/new"));
    assert!(resolve(Path::new("/")).is_err());
    assert!(resolve(&real.join("missing/new")).is_err());
}
