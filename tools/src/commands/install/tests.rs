use super::*;

#[test]
fn installing_twice_leaves_one_working_set() {
    let folder = tempfile::tempdir().unwrap();
    let (source, bin, sbin) = (folder.path().join("built"), folder.path().join("p/bin"), folder.path().join("sbin"));
    std::fs::create_dir(&sbin).unwrap();
    for version in ["one", "two"] {
        std::fs::write(&source, version).unwrap();
        install(&source, &bin, Some(&sbin)).unwrap();
        for path in ["p/bin/flexfs", "p/bin/mount.flexfs", "p/bin/configure.flexfs", "sbin/mount.flexfs"] {
            assert_eq!(std::fs::read_to_string(folder.path().join(path)).unwrap(), version, "{path}");
        }
    }
}

#[test]
fn foreign_file_is_not_replaced_by_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("built");
    std::fs::write(&source, "x").unwrap();
    std::fs::write(folder.path().join("meta.flexfs"), "mine").unwrap();
    let error = install(&source, folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("meta.flexfs is not a link"), "{error}");
}
