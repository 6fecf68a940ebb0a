use super::*;

fn init(folder: &Path, options: Option<&str>, now: bool) -> InitFstab {
    InitFstab {
        name: "data".to_owned(),
        mount_point: folder.join("point"),
        creds_file: None,
        mount_options: options.map(str::to_owned),
        now,
        force: false,
        fstab: folder.join("fstab"),
    }
}

#[test]
fn line_and_mount_point_come_together() {
    let folder = tempfile::tempdir().unwrap();
    let (table, point) = (folder.path().join("fstab"), folder.path().join("point"));
    std::fs::write(&table, "# empty\n").unwrap();
    super::init(&init(folder.path(), Some("ro"), false)).unwrap();
    let line = format!("# empty\ndata {} flexfs _netdev,nofail,ro 0 0\n", point.display());
    assert_eq!(std::fs::read_to_string(&table).unwrap(), line);
    assert!(point.is_dir());
    let arguments =
        DeinitFstab { name: "data".to_owned(), mount_point: point.clone(), now: true, fstab: table.clone() };
    deinit(&arguments).unwrap();
    assert_eq!(std::fs::read_to_string(&table).unwrap(), "# empty\n");
    assert!(deinit(&arguments).unwrap_err().to_string().contains("has no line"));
}

#[test]
fn what_fails_leaves_neither_line_nor_mount_point() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("fstab");
    assert!(super::init(&init(folder.path(), None, false)).is_err(), "there is no table");
    std::fs::write(&table, "# empty\n").unwrap();
    assert!(super::init(&init(folder.path(), Some("nosiud"), false)).is_err());
    // mount(8) does not know this table, and so not the line.
    assert!(super::init(&init(folder.path(), None, true)).is_err());
    assert_eq!(std::fs::read_to_string(&table).unwrap(), "# empty\n");
    assert!(!folder.path().join("point").exists());
}
