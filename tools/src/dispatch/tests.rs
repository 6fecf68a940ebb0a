use super::*;
use crate::failure::exit_code;

fn read_words(line: &str) -> Result<(String, Caller)> {
    let invocation = read(line.split(' ').map(OsString::from).collect())?;
    let words: Vec<_> = invocation.words.iter().map(|word| word.to_str().unwrap()).collect();
    Ok((words.join(" "), invocation.caller))
}

fn words(line: &str) -> String {
    read_words(line).unwrap().0
}

#[test]
fn file_name_chooses_the_program() {
    assert_eq!(words("/sbin/mount.flexfs start data /mnt"), "flexfs mount start data /mnt");
    assert_eq!(words("meta.flexfs start"), "flexfs meta start");
    assert_eq!(words("./admin.flexfs init creds"), "flexfs admin init creds");
    assert_eq!(words("configure.flexfs list volume"), "flexfs configure list volume");
    assert_eq!(words("flexfs up /mnt"), "flexfs up /mnt");
    assert_eq!(words("/opt/flexfs-1.2 up /mnt"), "flexfs up /mnt");
    assert_eq!(words("other.flexfs up /mnt"), "flexfs up /mnt");
}

#[test]
fn program_that_was_called_is_remembered() {
    let called = |line: &str| read(line.split(' ').map(OsString::from).collect()).unwrap().program;
    assert_eq!(called("/usr/bin/meta.flexfs start").map(|program| program.word), Some("meta"));
    assert_eq!(called("flexfs meta start"), None);
}

#[test]
fn mount_8_line_becomes_a_start() {
    let line =
        "/sbin/mount.flexfs data /mnt/data -o ro,noExec,_netdev,nofail,x-systemd.automount,credsFile=/etc/c=1 -v -n";
    let expected = "flexfs mount start --ro --noExec --credsFile=/etc/c=1 --verbose -- data /mnt/data";
    assert_eq!(read_words(line).unwrap(), (expected.to_owned(), Caller::Mount));
}

#[test]
fn busybox_and_long_program_name_work_as_well() {
    assert_eq!(words("flexfs mount data /mnt -orw,nosuid"), "flexfs mount start --noSUID -- data /mnt");
    assert_eq!(words("mount.flexfs data /mnt -t flexfs -snv"), "flexfs mount start --verbose -- data /mnt");
}

#[test]
fn later_mount_option_overrides_an_earlier() {
    assert_eq!(words("mount.flexfs data /mnt -o ro,noexec,rw,exec,ro"), "flexfs mount start --ro -- data /mnt");
    assert_eq!(words("mount.flexfs data /mnt -o ro -o rw"), "flexfs mount start -- data /mnt");
    assert_eq!(words("mount.flexfs data /mnt -o user,exec"), "flexfs mount start --noSUID -- data /mnt");
    assert_eq!(words("mount.flexfs data /mnt -o user=ann,noauto"), "flexfs mount start --noExec --noSUID -- data /mnt");
}

#[test]
fn root_is_squashed_by_an_option_that_nothing_takes_back() {
    let words = words("mount.flexfs data /mnt -o rootSquash,rw,suid,exec");
    assert_eq!(words, "flexfs mount start --rootSquash -- data /mnt");
    assert!(read_words("mount.flexfs data /mnt -o norootSquash").is_err());
}

#[test]
fn fake_mount_is_told_apart() {
    assert_eq!(read_words("mount.flexfs data /mnt -f").unwrap().1, Caller::FakeMount);
    assert_eq!(read_words("mount.flexfs start data /mnt -f").unwrap().1, Caller::User);
}

#[test]
fn unknown_option_is_refused_unless_sloppy() {
    let error = read_words("mount.flexfs data /mnt -o ro,nosiud").unwrap_err();
    assert!(error.to_string().contains("\"nosiud\""), "{error}");
    assert_eq!(exit_code(&error), std::process::ExitCode::from(2));
    assert_eq!(words("mount.flexfs data /mnt -s -o ro,nosiud"), "flexfs mount start --ro -- data /mnt");
}

#[test]
fn incomplete_helper_lines_are_refused() {
    for line in [
        "mount.flexfs data",
        "mount.flexfs data /mnt /more",
        "mount.flexfs data /mnt -o",
        "mount.flexfs data /mnt -N x",
    ] {
        assert!(read_words(line).is_err(), "{line}");
    }
    assert!(read_words("mount.flexfs data /mnt -o remount,ro").is_err());
}
