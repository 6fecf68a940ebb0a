use super::*;

const TABLE: &str = "# comment /mnt/data\nUUID=1 / ext4 defaults 0 1\n\n  data\t/mnt/old flexfs _netdev 0 0\n";

fn entry(name: &str, mount_point: &str) -> Entry {
    Entry::new(name, Path::new(mount_point), None, None).unwrap()
}

#[test]
fn line_is_added_behind_an_untouched_table() {
    let text = entry("data", "/mnt/data").add_to(TABLE, false).unwrap().unwrap();
    assert_eq!(text, format!("{TABLE}data /mnt/data flexfs _netdev,nofail 0 0\n"));
}

#[test]
fn table_without_a_last_line_end_gets_one() {
    let text = entry("data", "/mnt").add_to("a /b ext4 defaults 0 0", false).unwrap().unwrap();
    assert_eq!(text, "a /b ext4 defaults 0 0\ndata /mnt flexfs _netdev,nofail 0 0\n");
}

#[test]
fn same_line_is_not_added_twice() {
    let entry = entry("data", "/mnt/data");
    let once = entry.add_to(TABLE, false).unwrap().unwrap();
    assert_eq!(entry.add_to(&once, false).unwrap(), None);
}

#[test]
fn taken_mount_point_needs_force() {
    let entry = entry("other", "/mnt/old");
    let error = entry.add_to(TABLE, false).unwrap_err().to_string();
    assert!(error.contains("data\t/mnt/old") && error.contains("--force"), "{error}");
    let text = entry.add_to(TABLE, true).unwrap().unwrap();
    assert!(!text.contains("data\t/mnt/old") && text.ends_with("other /mnt/old flexfs _netdev,nofail 0 0\n"), "{text}");
}

#[test]
fn options_and_odd_characters_are_written_for_mount_8() {
    let creds = Path::new("/etc/my creds");
    let entry = Entry::new("a#b", Path::new("/mnt/x y"), Some(creds), Some("ro,noExec")).unwrap();
    let line = "a\\043b /mnt/x\\040y flexfs _netdev,nofail,credsFile=/etc/my\\040creds,ro,noExec 0 0";
    assert_eq!(entry.line(), line);
    assert_eq!(entry.remove_from(&format!("{line}\n")).unwrap(), "");
}

#[test]
fn lines_cannot_be_smuggled_in() {
    assert!(Entry::new("data\nevil", Path::new("/mnt"), None, None).is_err());
    assert!(Entry::new("data", Path::new("/mnt"), None, Some("ro\n/dev/sda / ext4 x 0 0")).is_err());
    assert!(Entry::new("data", Path::new("/mnt"), Some(Path::new("/a,suid")), None).is_err());
}

#[test]
fn only_the_volumes_own_line_is_removed() {
    assert_eq!(
        entry("data", "/mnt/old").remove_from(TABLE).unwrap(),
        "# comment /mnt/data\nUUID=1 / ext4 defaults 0 1\n\n"
    );
    assert_eq!(entry("data", "/mnt/data").remove_from(TABLE), None);
    assert_eq!(entry("other", "/mnt/old").remove_from(TABLE), None);
    assert_eq!(entry("UUID=1", "/").remove_from(TABLE), None);
}

#[test]
fn options_that_the_mount_would_refuse_are_refused_here() {
    let entry = |options| Entry::new("data", Path::new("/mnt"), Some(Path::new("/c")), Some(options)).unwrap();
    entry("ro,noExec,rootSquash,umask=0027,x-systemd.automount").check().unwrap();
    for (options, named) in [("ro,nosiud", "\"nosiud\""), ("umask=9", "umask"), ("attrValid=x", "attrValid")] {
        let line = entry(options).check().unwrap_err().to_string();
        assert!(line.contains(named), "{line}");
    }
}
