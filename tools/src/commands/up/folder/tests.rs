use super::*;

#[test]
fn ports_are_chosen_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = UpFolder::open(folder.path()).unwrap();
    let addrs = (first.admin_addr(), first.meta_addr());
    let error = format!("{:#}", UpFolder::open(folder.path()).unwrap_err());
    assert!(error.contains("in use by process") && error.contains("another --dataFolder"), "{error}");
    drop(first);
    let second = UpFolder::open(folder.path()).unwrap();
    assert_eq!((second.admin_addr(), second.meta_addr()), addrs);
}

#[test]
fn damaged_port_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ports.toml"), "admin = 99999").unwrap();
    let error = format!("{:#}", UpFolder::open(folder.path()).unwrap_err());
    assert!(error.contains("ports.toml"), "{error}");
}
