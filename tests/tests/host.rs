//! What the host's own tools make of the programs: mount(8), its table, and service managers.
//!
//! What they need to find in /sbin and /etc is put there in a mount namespace of its own, so that the host stays as it is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::{Cluster, Daemon, Outcome, flexfs, wait_for};

/// Runs `script` where `mount -t flexfs` finds its helper and `/etc` is a copy. `$POINT` is an empty directory that is
/// unmounted at the end, `$CREDS` opens `volume`.
fn on_the_host(cluster: &Cluster, creds: &Path, script: &str) -> Outcome {
    const PREPARE: &str = "mkdir sbin etc point; ln -s \"$FLEXFS\" sbin/mount.flexfs; cp -a /etc/. etc; : > etc/fstab; \
         mount --bind sbin /sbin; mount --bind etc /etc; trap 'umount -q -l \"$POINT\" || true' EXIT; \
         flexfs() { \"$FLEXFS\" \"$@\"; }; mounted() { grep \" $POINT \" /proc/self/mounts; }; \
         fails() { if \"$@\"; then echo \"no failure: $*\" >&2; exit 9; fi; }; ";
    let program = flexfs(cluster.home(), &[]).get_program().to_owned();
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec", &format!("{PREPARE}{script}")]);
    command.current_dir(cluster.home()).env("HOME", cluster.home()).env("FLEXFS", program);
    command.env("POINT", cluster.home().join("point")).env("CREDS", creds);
    Outcome::of(&mut command)
}

/// A volume with a file in it, and a credentials file.
fn furnished() -> (Cluster, std::path::PathBuf) {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    std::fs::write(mount.path("file"), "text\n").unwrap();
    assert_eq!(mount.stop(), 0);
    let creds = cluster.mount_creds("volume", &volume.token);
    (cluster, creds)
}

#[test]
fn mount_8_knows_the_type_and_its_options() {
    let (cluster, creds) = furnished();
    let script = "mount -t flexfs volume \"$POINT\" -o ro,noExec,credsFile=\"$CREDS\"; mounted; cat \"$POINT/file\"; \
                  fails touch \"$POINT/new\"; umount \"$POINT\"; fails mounted; \
                  fails mount -t flexfs volume \"$POINT\" -o nosiud,credsFile=\"$CREDS\"; fails mounted";
    let outcome = on_the_host(&cluster, &creds, script);
    let complaint = outcome.stderr.clone();
    let said = outcome.success();
    assert!(said.contains(" fuse.flexfs ro,nodev,noexec,noatime,"), "{said}");
    assert!(said.ends_with("text\n"), "{said}");
    assert!(complaint.contains("mount option \"nosiud\": not known"), "{complaint}");
}

#[test]
fn line_in_the_mount_table_mounts_now_and_later() {
    let (cluster, creds) = furnished();
    let script = "flexfs mount init fstab volume \"$POINT\" --credsFile \"$CREDS\" --mountOptions ro --now; \
                  cat \"$POINT/file\"; umount \"$POINT\"; mount -a -t flexfs; cat \"$POINT/file\"; \
                  flexfs mount deinit fstab volume \"$POINT\" --now; fails mounted; test ! -s /etc/fstab";
    let said = on_the_host(&cluster, &creds, script).success();
    let line = format!(
        "volume {0} flexfs _netdev,nofail,credsFile={1},ro 0 0",
        cluster.home().join("point").display(),
        creds.display()
    );
    assert!(said.contains(&line), "{said}");
    assert_eq!(said.matches("text\n").count(), 2, "{said}");
}

#[test]
fn mount_that_fails_now_leaves_no_line() {
    let (mut cluster, creds) = furnished();
    cluster.meta.terminate();
    let script = "fails flexfs mount init fstab volume \"$POINT\" --credsFile \"$CREDS\" --now; test ! -s /etc/fstab";
    let outcome = on_the_host(&cluster, &creds, script);
    assert!(outcome.stderr.contains(cluster.meta_addr()), "{outcome:?}");
    outcome.success();
}

/// A service manager's end of the conversation.
struct Manager {
    socket: UnixDatagram,
    path: std::path::PathBuf,
}

impl Manager {
    fn new(folder: &Path) -> Self {
        let path = folder.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { socket, path }
    }

    fn service(&self, mut command: Command, log: &Path) -> Daemon {
        Daemon::start(command.env("NOTIFY_SOCKET", &self.path), log)
    }

    #[track_caller]
    fn hears(&self, expected: &str) {
        let mut message = [0; 256];
        let len = self.socket.recv(&mut message).unwrap_or_else(|error| panic!("waiting for {expected}: {error}"));
        assert_eq!(String::from_utf8_lossy(&message[..len]).trim_end(), expected);
    }
}

#[test]
fn services_tell_when_they_are_ready_and_stop_when_they_are_told() {
    let mut cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let creds = cluster.mount_creds("volume", &volume.token);
    assert_eq!((cluster.meta.terminate(), cluster.admin.terminate()), (0, 0));
    let home = cluster.home();
    let manager = Manager::new(home);
    let point = home.join("point");
    std::fs::create_dir(&point).unwrap();
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let (admin_db, meta_db) = (text(&home.join("admin-db")), text(&home.join("meta-db")));
    let services: [&[&str]; 3] = [
        &["admin", "start", "--bindAddr", cluster.admin_addr(), "--dbFolder", &admin_db],
        &["meta", "start", "--bindAddr", cluster.meta_addr(), "--dbFolder", &meta_db],
        // As a service a mount stays in the foreground unasked.
        &["mount", "start", "volume", &text(&point), "--credsFile", &text(&creds)],
    ];
    let mut running = Vec::new();
    for args in services {
        running.push(manager.service(flexfs(home, args), &home.join(format!("{}.service.log", args[0]))));
        manager.hears("READY=1");
    }
    std::fs::write(point.join("file"), "served").unwrap();
    for mut service in running.into_iter().rev() {
        assert_eq!(service.terminate(), 0, "{}", service.log());
        manager.hears("STOPPING=1");
    }
    wait_for("the mount is gone", 5, || !point.join("file").exists());
}
