use super::*;

const UNIT: Unit = Unit { program: "meta", description: "flexfs metadata server" };

#[test]
fn unit_starts_the_program_with_its_flags() {
    let text = UNIT.text(Path::new("/usr/bin/flexfs"), "--sync --bindAddr 0.0.0.0:8443").unwrap();
    assert!(text.contains("\nExecStart=/usr/bin/flexfs meta start --sync --bindAddr 0.0.0.0:8443\n"), "{text}");
    assert!(text.contains("\nType=notify\n"), "{text}");
    assert_eq!(UNIT.path(), Path::new("/etc/systemd/system/flexfs-meta.service"));
}

#[test]
fn odd_paths_survive_the_unit_file() {
    let text = UNIT.text(Path::new("/opt/a b/100%/flexfs"), "").unwrap();
    assert!(text.contains("\nExecStart=\"/opt/a b/100%%/flexfs\" meta start\n"), "{text}");
}

#[test]
fn flags_cannot_add_lines_to_the_unit() {
    assert!(UNIT.text(Path::new("/usr/bin/flexfs"), "--sync\nExecStartPre=/bin/evil").is_err());
}
