//! Who callers are to the metadata server, as programs of several users feel it on real mounts.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tests::{Cluster, Mounted, Volume};

const NOBODY: u32 = 65_534;

/// What became of a script.
#[derive(Debug)]
struct Done {
    worked: bool,
    said: String,
}

/// Runs `script` in the root of `mount` as a user of this host, in the group of the same number and no other.
fn run(mount: &Mounted, uid: u32, script: &str) -> Done {
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("LC_ALL", "C").env("POINT", mount.point()).current_dir("/").uid(uid).gid(uid);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Done { worked: output.status.success(), said: String::from_utf8(said).unwrap() }
}

#[track_caller]
fn works(mount: &Mounted, uid: u32, script: &str) -> String {
    let done = run(mount, uid, &format!("cd \"$POINT\" && {script}"));
    assert!(done.worked, "{script} as {uid}: {}", done.said);
    done.said
}

#[track_caller]
fn fails(mount: &Mounted, uid: u32, script: &str, word: &str) {
    let done = run(mount, uid, &format!("cd \"$POINT\" && {script}"));
    assert!(!done.worked && done.said.contains(word), "{script} as {uid}: {done:?}");
}

fn is_denied<T>(outcome: std::io::Result<T>) -> bool {
    outcome.is_err_and(|error| error.raw_os_error() == Some(13))
}

/// A volume, and a mount of it without a policy, whose folder users may reach. In it a directory of user 1000, 0755,
/// with a file of its own, 0600; one that is everybody's, and a file of root, 0600.
fn furnished() -> (Cluster, Volume, Mounted) {
    let cluster = Cluster::start();
    fs::set_permissions(cluster.home(), fs::Permissions::from_mode(0o711)).unwrap();
    let volume = cluster.create_volume("shared", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    for (name, mode) in [("home", 0o755), ("open", 0o777)] {
        fs::create_dir(mount.path(name)).unwrap();
        fs::set_permissions(mount.path(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    for name in ["home/secret", "of-root"] {
        fs::write(mount.path(name), "secret\n").unwrap();
        fs::set_permissions(mount.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    chown(mount.path("home"), Some(1000), Some(1000)).unwrap();
    chown(mount.path("home/secret"), Some(1000), Some(1000)).unwrap();
    (cluster, volume, mount)
}

/// Holds when it returns.
fn update(cluster: &Cluster, id: &str, settings: &[&str]) {
    cluster.run(&[&["configure", "update", "volume-token", id], settings].concat()).success();
}

fn owner(path: &Path) -> (u32, u32) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

#[test]
fn squashed_root_is_nobody_and_users_are_themselves() {
    let (cluster, volume, _whole) = furnished();
    let token = cluster.create_token(&volume, "/", "rootSquash");
    for (token, flags) in [(&token, &[][..]), (&volume.token, &["--rootSquash"])] {
        let mount = cluster.mount(&volume, token, flags);
        assert!(kernel_options(mount.point()).contains("default_permissions"));
        assert!(is_denied(fs::write(mount.path("home/new"), "x")));
        assert!(is_denied(fs::write(mount.path("new"), "x")), "the root directory is root's");
        assert!(is_denied(fs::read(mount.path("of-root"))));
        fs::write(mount.path("open/of-root-here"), "x").unwrap();
        fs::create_dir(mount.path("open/dir")).unwrap();
        for name in ["open/of-root-here", "open/dir"] {
            assert_eq!(owner(&mount.path(name)), (NOBODY, NOBODY));
            let given = chown(mount.path(name), Some(0), Some(0));
            assert_eq!(given.unwrap_err().kind(), ErrorKind::PermissionDenied);
        }
        // Bytes that a user of this host has just read are in the kernel's pages; whoever opens the file is asked for.
        assert!(is_denied(fs::read(mount.path("home/secret"))));
        assert_eq!(works(&mount, 1000, "cat home/secret"), "secret\n");
        assert!(is_denied(fs::read(mount.path("home/secret"))));
        assert!(is_denied(fs::File::options().write(true).open(mount.path("home/secret"))));
        // Attributes and listings of what may be searched are for all to see.
        assert_eq!(owner(&mount.path("home/secret")), (1000, 1000));
        works(&mount, 1000, "echo more >> home/secret && chmod 400 home/secret && chmod 600 home/secret");
        fails(&mount, 1001, "cat home/secret", "Permission denied");
        works(&mount, 1000, "printf 'secret\\n' > home/secret");
        fs::remove_file(mount.path("open/of-root-here")).unwrap();
        fs::remove_dir(mount.path("open/dir")).unwrap();
        assert_eq!(mount.stop(), 0);
    }
}

#[test]
fn set_id_bits_go_when_squashed_root_writes() {
    let (cluster, volume, whole) = furnished();
    let token = cluster.create_token(&volume, "/", "rootSquash");
    let mount = cluster.mount(&volume, &token, &["--attrValid", "0"]);
    let program = |mount: &Mounted| fs::metadata(mount.path("open/program")).unwrap().mode() & 0o7777;
    fs::write(whole.path("open/program"), "x").unwrap();
    for (owner, size) in [(0, None), (0, Some(0)), (NOBODY, None), (NOBODY, Some(0))] {
        chown(whole.path("open/program"), Some(owner), Some(owner)).unwrap();
        fs::set_permissions(whole.path("open/program"), fs::Permissions::from_mode(0o6777)).unwrap();
        tests::wait_for("the bits show", 5, || program(&mount) == 0o6777);
        let file = fs::File::options().write(true).open(mount.path("open/program")).unwrap();
        match size {
            None => std::io::Write::write_all(&mut &file, b"forged").unwrap(),
            Some(size) => file.set_len(size).unwrap(),
        }
        drop(file);
        assert_eq!(program(&mount), 0o777, "of {owner}, {size:?}");
    }
}

#[test]
fn all_users_of_a_mount_are_one_where_the_token_says_so() {
    let (cluster, volume, whole) = furnished();
    let (token, _) = cluster.create_bounded_token(&volume, &["--asUser", "1000:1000,2000"]);
    let mount = cluster.mount(&volume, &token, &[]);
    assert!(!kernel_options(mount.point()).contains("default_permissions"));
    chown(whole.path("of-root"), Some(0), Some(2000)).unwrap();
    fs::set_permissions(whole.path("of-root"), fs::Permissions::from_mode(0o640)).unwrap();

    // One makes it, another changes it, and it is neither's.
    works(&mount, 1001, "umask 077 && echo one > home/file && mkdir home/dir && echo '#!/bin/sh\necho ran' > home/run");
    works(&mount, 1002, "echo two >> home/file && chmod 700 home/run && echo three > home/dir/file");
    for name in ["home/file", "home/dir", "home/dir/file", "home/run"] {
        assert_eq!(owner(&whole.path(name)), (1000, 1000), "{name}");
    }
    assert_eq!(works(&mount, 1001, "cat home/file home/secret of-root"), "one\ntwo\nsecret\nsecret\n");
    assert_eq!(works(&mount, 1003, "home/run"), "ran\n");
    // Nobody becomes that user on this host by a program that is the user's.
    works(&mount, 1001, "cp /usr/bin/id home/id && chmod 6755 home/id");
    assert_eq!(works(&mount, 1002, "home/id -u && rm -f home/id"), "1002\n");
    // access(2) and chdir(2) are the server's to answer.
    works(&mount, 1001, "test -r home/secret && test -w home/secret && ! test -x home/secret && test -x home/run");
    works(&mount, 1001, "test -r of-root && ! test -w of-root && test -w home && ! test -w . && cd home/dir && ls");
    // Root of this host is the same user.
    assert!(is_denied(fs::write(mount.path("of-root"), "x")));
    assert!(is_denied(fs::write(mount.path("new"), "x")));
    fs::write(mount.path("home/by-root"), "x").unwrap();
    assert_eq!(owner(&mount.path("home/by-root")), (1000, 1000));
    assert!(chown(mount.path("home/by-root"), Some(0), None).is_err());
    chown(mount.path("home/by-root"), None, Some(2000)).unwrap();
    works(&mount, 1001, "rm -r home/by-root home/dir home/run && mv home/file home/moved");

    // What the one user may not, nobody may.
    fs::create_dir(whole.path("closed")).unwrap();
    fs::write(whole.path("closed/file"), "x").unwrap();
    fs::set_permissions(whole.path("closed/file"), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(whole.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    for uid in [0, 1000, 1001] {
        for script in ["ls closed", "cd closed", "cat closed/file", "stat closed/file", "echo x > closed/new"] {
            fails(&mount, uid, script, if script == "cd closed" { "cd" } else { "Permission denied" });
        }
    }
    // Names that may be read and not be searched: the listing brings nothing that a lookup would not.
    fs::set_permissions(whole.path("closed"), fs::Permissions::from_mode(0o704)).unwrap();
    tests::wait_for("the names can be read", 5, || run(&mount, 1001, "cd \"$POINT\" && ls -f closed").worked);
    assert!(works(&mount, 1001, "ls -f closed").contains("file"));
    for script in ["stat closed/file", "cat closed/file", "cd closed"] {
        fails(&mount, 1001, script, "");
    }
}

#[test]
fn policies_reach_running_mounts_and_leave_them() {
    let (cluster, volume, whole) = furnished();
    let (token, id) = cluster.create_bounded_token(&volume, &[]);
    let mount = cluster.mount(&volume, &token, &[]);
    fs::read(mount.path("of-root")).unwrap();

    update(&cluster, &id, &["--flags", "rootSquash"]);
    assert!(is_denied(fs::read(mount.path("of-root"))));
    fs::write(mount.path("open/squashed"), "x").unwrap();
    assert_eq!(owner(&mount.path("open/squashed")), (NOBODY, NOBODY));
    update(&cluster, &id, &["--flags", ""]);
    fs::read(mount.path("of-root")).unwrap();

    // The kernel goes by this host's users until the next mount: root passes it, others as far as attributes let them.
    update(&cluster, &id, &["--asUser", "1000"]);
    assert!(is_denied(fs::read(mount.path("of-root"))));
    assert!(kernel_options(mount.point()).contains("nosuid"));
    assert_eq!(fs::read_to_string(mount.path("home/secret")).unwrap(), "secret\n");
    works(&mount, 1001, "echo x > open/file");
    assert_eq!(owner(&whole.path("open/file")), (1000, 1000));
    fails(&mount, 1001, "cat home/secret", "Permission denied");
    let again = cluster.mount(&volume, &token, &[]);
    assert_eq!(works(&again, 1001, "cat home/secret"), "secret\n");

    // A mount that was made so asks for each name and each open when callers are themselves again.
    fs::create_dir(whole.path("home/private")).unwrap();
    fs::write(whole.path("home/private/file"), "private\n").unwrap();
    chown(whole.path("home/private"), Some(1000), Some(1000)).unwrap();
    fs::set_permissions(whole.path("home/private"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(works(&again, 1001, "cat home/private/file"), "private\n");
    update(&cluster, &id, &["--asUser", ""]);
    tests::wait_for("users are themselves, names that were cached included", 5, || {
        !run(&again, 1001, "cat \"$POINT\"/home/private/file").worked
    });
    for _ in 0..20 {
        assert_eq!(works(&again, 1000, "cat home/private/file"), "private\n");
        fails(&again, 1001, "cat home/private/file", "Permission denied");
        fails(&again, 1001, "stat home/private/file", "Permission denied");
    }
    works(&again, 1001, "echo x > open/own");
    assert_eq!(owner(&whole.path("open/own")), (1001, 1001));
}

fn kernel_options(point: &Path) -> String {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let line = mounts.lines().find(|line| line.split(' ').nth(1) == point.to_str()).unwrap();
    line.split(' ').nth(3).unwrap().to_owned()
}
