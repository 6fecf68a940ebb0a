use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

const TOKEN: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn mount_creds() -> MountCreds {
    MountCreds {
        admin_addr: "admin.example.com:443".to_owned(),
        token: VolumeToken::parse(TOKEN).unwrap(),
        admin_fingerprint: Some("ab".repeat(32)),
        admin_ca: None,
        secret: Some(Secret::new("a \"quoted\"\npass phrase".to_owned())),
    }
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);

    mount_creds().save(&path("mount"), false).unwrap();
    assert_eq!(MountCreds::load(&path("mount")).unwrap(), mount_creds());

    let meta = MetaCreds {
        admin_addr: "127.0.0.1:1".to_owned(),
        token: ServerToken::generate(),
        admin_fingerprint: None,
        admin_ca: Some("/etc/ca.pem".into()),
        client: Some(("/etc/client.pem".into(), "/etc/client.key".into())),
        block_user: Some("user".to_owned()),
        block_pass: Some(Secret::new("pass".to_owned())),
    };
    meta.save(&path("meta"), false).unwrap();
    assert_eq!(MetaCreds::load(&path("meta")).unwrap(), meta);

    let (admin_addr, token) = ("a:1".to_owned(), AccountToken::generate());
    let configure = ConfigureCreds { admin_addr, token, admin_fingerprint: None, admin_ca: Some("ca".into()) };
    configure.save(&path("configure"), false).unwrap();
    assert_eq!(ConfigureCreds::load(&path("configure")).unwrap(), configure);

    let admin = AdminCreds { token: AccountToken::generate() };
    admin.save(&path("admin"), false).unwrap();
    assert_eq!(AdminCreds::load(&path("admin")).unwrap(), admin);
}

#[test]
fn hand_written_file_with_only_the_needed_keys_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creds");
    write_private(&path, &format!("# by hand\nadminAddr = \"a:443\"\ntoken = '{TOKEN}'\n"));
    let creds = MountCreds::load(&path).unwrap();
    assert_eq!((creds.admin_addr.as_str(), creds.admin_fingerprint), ("a:443", None));
}

#[test]
fn saved_file_and_its_new_folders_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mount/creds/volume");
    mount_creds().save(&path, false).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&folder.path().join("mount")), 0o700);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn existing_file_is_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creds");
    mount_creds().save(&path, false).unwrap();
    let other = MountCreds { token: VolumeToken::generate(), ..mount_creds() };

    let error = other.save(&path, false).unwrap_err();
    assert!(matches!(&error, CredsError::Exists(_)) && error.to_string().contains("--force"), "{error}");
    assert_eq!(MountCreds::load(&path).unwrap(), mount_creds());

    other.save(&path, true).unwrap();
    assert_eq!(MountCreds::load(&path).unwrap(), other);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn file_open_to_others_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creds");
    mount_creds().save(&path, false).unwrap();
    for bits in [0o640, 0o604, 0o620, 0o602, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        let error = MountCreds::load(&path).unwrap_err().to_string();
        let remedy = format!("chmod 600 {}", path.display());
        assert!(error.contains(&format!("{bits:04o}")) && error.contains(&remedy), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    MountCreds::load(&path).unwrap();
}

#[test]
fn missing_file_names_the_command_that_makes_it() {
    let missing = Path::new("/nonexistent/creds");
    let commands = [
        (MountCreds::load(missing).unwrap_err(), "mount.flexfs init creds"),
        (MetaCreds::load(missing).unwrap_err(), "meta.flexfs init creds"),
        (ConfigureCreds::load(missing).unwrap_err(), "configure.flexfs init creds"),
        (AdminCreds::load(missing).unwrap_err(), "admin.flexfs init creds"),
    ];
    for (error, command) in commands {
        let text = error.to_string();
        assert!(text.contains("/nonexistent/creds") && text.contains(command), "{text}");
    }
}

#[test]
fn bad_contents_are_explained_without_showing_a_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creds");
    let head = "adminAddr = \"a:443\"\n";
    let cases = [
        (format!("{head}token = {TOKEN}\n"), "line 2"),
        (format!("{head}token = \"{TOKEN}\n"), "line 2"),
        (format!("{head}token = \"{TOKEN}x\"\n"), "volume token of 37 bytes"),
        (format!("{head}token = [\"{TOKEN}\"]\n"), "`token` must be a text"),
        (head.to_owned(), "`token` is missing"),
        (format!("adminAddr = \"\"\ntoken = \"{TOKEN}\"\n"), "`adminAddr` must be a text"),
        (format!("{head}token = \"{TOKEN}\"\nadminFingerPrint = \"00\"\n"), "key `adminFingerPrint` is unknown"),
    ];
    for (text, expected) in cases {
        write_private(&path, &text);
        let error = MountCreds::load(&path).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!shown.contains("0123") && shown.lines().count() == 1, "{shown}");
    }
}

#[test]
fn oversized_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creds");
    write_private(&path, &"# comment\n".repeat(10_000));
    assert!(MountCreds::load(&path).unwrap_err().to_string().contains("exceeds 65536 bytes"));
}

#[test]
fn default_path_takes_a_volume_name_and_no_path() {
    assert!(MountCreds::default_path("data").unwrap().ends_with(".flexfs/mount/creds/data"));
    for bad in ["", ".", "..", "a/b", "../x", "/etc/passwd"] {
        assert!(matches!(MountCreds::default_path(bad), Err(CredsError::VolumeName(_))), "{bad:?}");
    }
    assert!(MetaCreds::default_path().unwrap().ends_with(".flexfs/meta/creds"));
}

#[test]
fn debug_of_credentials_shows_no_secret() {
    let shown = format!("{:?}", mount_creds());
    assert!(!shown.contains("0123") && !shown.contains("quoted"), "{shown}");
}

#[test]
fn halves_and_contradictions_of_certificates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("creds");
    let base = format!("adminAddr = \"a:443\"\ntoken = '{TOKEN}'\n");
    for (more, word) in [
        ("adminCA = 'x'\nadminFingerprint = 'ab'", "exclude each other"),
        ("clientCert = 'x'", "`clientKey` is missing"),
        ("clientKey = 'x'", "`clientCert` is missing"),
    ] {
        write_private(&path, &format!("{base}{more}\n"));
        let error = MetaCreds::load(&path).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
