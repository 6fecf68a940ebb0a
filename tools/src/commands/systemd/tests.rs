use super::*;

const UNIT: Unit = Unit { program: "meta", description: "flexfs metadata server" };

#[test]
fn unit_starts_the_program_with_its_flags() {
    let text = UNIT.text(Path::new("/usr/bin/flexfs"), "--sync --bindAddr 0.0.0.0:8443").unwrap();
    assert!(text.contains("\nExecStart=/usr/bin/flexfs meta start --sync --bindAddr 0.0.0.0:8443\n"), "{text}");
    assert!(text.contains("\nType=notify\n"), "{text}");
    assert!(text.contains("\nStartLimitIntervalSec=0\n"), "{text}");
    let folder = UnitFolder { path: "/etc/systemd/system".into() };
    assert_eq!(UNIT.path(&folder), Path::new("/etc/systemd/system/flexfs-meta.service"));
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

#[test]
fn flags_that_start_would_refuse_are_refused_here() {
    let error = UNIT.text(Path::new("/usr/bin/flexfs"), "--bindAdr 0.0.0.0:1").unwrap_err();
    let line = crate::failure::one_line(&error);
    assert!(line.contains("--startFlags") && line.contains("'--bindAdr'"), "{line}");
    assert_eq!(crate::failure::exit_code(&error), std::process::ExitCode::from(2));
}

#[test]
fn unit_that_cannot_be_enabled_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    // No folder of units is here, so a service manager finds none of this name.
    let unit = Unit { program: "of-a-test", description: "nothing" };
    let install = |force| InitSystemd {
        now: false,
        start_flags: "\"\"".to_owned(),
        force,
        folder: UnitFolder { path: folder.path().to_owned() },
    };
    unit.install(&install(false)).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let path = folder.path().join("flexfs-of-a-test.service");
    std::fs::write(&path, "former").unwrap();
    assert!(unit.install(&install(false)).unwrap_err().to_string().contains("--force"));
    unit.install(&install(true)).unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "former");
}
