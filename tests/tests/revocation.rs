//! The end of a token is the end of its mounts, at once, and of no others.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};
use tests::{Cluster, Mounted, wait_for};

/// The bound: from the answer to whoever deleted the token to the first refusal.
const CUT_MAX: Duration = Duration::from_secs(1);

/// A program that writes without a pause: new files, and records at the end of one.
struct Writer {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    thread: JoinHandle<()>,
}

#[derive(Clone, Debug, Default)]
struct Seen {
    written: u64,
    /// When something was refused first, and how.
    refused: Option<(Instant, ErrorKind)>,
    /// Writes that were taken after that.
    taken_after: u64,
}

impl Writer {
    fn start(folder: PathBuf) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (stopped, noted) = (Arc::clone(&stop), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            let log = File::create(folder.join("log"));
            for number in 0_u64.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let outcome = match (&log, number % 2) {
                    (Ok(log), 0) => log.write_all_at(&[7; 5000], number * 5000).and_then(|()| log.sync_data()),
                    _ => fs::write(folder.join(format!("file-{}", number % 50)), [1; 3000]),
                };
                let mut seen = noted.lock().unwrap();
                match (outcome, seen.refused.is_some()) {
                    (Ok(()), false) => seen.written += 1,
                    (Ok(()), true) => seen.taken_after += 1,
                    (Err(error), false) => seen.refused = Some((Instant::now(), error.kind())),
                    (Err(_), true) => drop((seen, std::thread::sleep(Duration::from_millis(1)))),
                }
            }
        });
        Self { stop, seen, thread }
    }

    fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.seen.lock().unwrap().clone()
    }
}

/// A writer in a folder of its own below each mount, all of them at work.
fn busy(mounts: &[&Mounted]) -> Vec<Writer> {
    let writers: Vec<Writer> = mounts
        .iter()
        .enumerate()
        .map(|(number, mount)| {
            let folder = mount.path(&format!("writer-{number}"));
            fs::create_dir_all(&folder).unwrap();
            Writer::start(folder)
        })
        .collect();
    wait_for("all writers are at work", 20, || writers.iter().all(|writer| writer.seen().written > 20));
    writers
}

/// Waits until all writers were refused, and checks how and how soon after `since`.
fn check_cut(writers: &[Writer], since: Instant) {
    wait_for("all writers are refused", 20, || writers.iter().all(|writer| writer.seen().refused.is_some()));
    for writer in writers {
        let (at, kind) = writer.seen().refused.unwrap();
        assert_eq!(kind, ErrorKind::PermissionDenied);
        let after = at.saturating_duration_since(since);
        assert!(after < CUT_MAX, "refused {after:?} after the token was gone");
    }
}

fn denied<T>(what: &str, outcome: std::io::Result<T>) {
    let refused = outcome.err().map(|error| error.kind());
    assert_eq!(refused, Some(ErrorKind::PermissionDenied), "{what}");
}

/// Waits until the kernel answers nothing by itself, at the longest until `end`. The root is what it is made to forget last.
fn await_dropped_caches(mount: &Mounted, end: Instant) {
    while fs::metadata(mount.point()).is_ok() {
        assert!(Instant::now() < end, "the kernel still has attributes from before the cut");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every kind of operation, by path and through `file`, which was open before.
fn check_all_denied(mount: &Mounted, file: &File) {
    let path = |name: &str| mount.path(name);
    denied("lookup", fs::metadata(path("never-seen")));
    denied("stat of the root", fs::metadata(mount.point()));
    denied("listing", fs::read_dir(mount.point()).map(drop));
    denied("open", File::open(path("held")).map(drop));
    denied("create", File::create(path("new")).map(drop));
    denied("mkdir", fs::create_dir(path("dir")));
    denied("symlink", std::os::unix::fs::symlink("x", path("link")));
    denied("unlink", fs::remove_file(path("held")));
    denied("rename", fs::rename(path("held"), path("moved")));
    denied("link", fs::hard_link(path("held"), path("second")));
    denied("chmod", fs::set_permissions(path("held"), std::os::unix::fs::PermissionsExt::from_mode(0o777)));
    denied("statfs", rustix::fs::statvfs(mount.point()).map(drop).map_err(Into::into));
    denied(
        "setxattr",
        rustix::fs::setxattr(path("held"), "user.a", b"", rustix::fs::XattrFlags::empty()).map_err(Into::into),
    );
    denied("write", file.write_all_at(b"late", 0));
    denied("read", file.read_at(&mut [0; 10], 0).map(drop));
    denied("fstat", file.metadata().map(drop));
    denied("truncate", file.set_len(0));
    denied("fsync", file.sync_all());
}

#[test]
fn deleted_token_ends_three_busy_mounts_within_a_second_and_no_other() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("busy", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &[]);
    let doomed = [(); 3].map(|()| cluster.mount(&volume, &token, &[]));
    let kept = cluster.mount(&volume, &volume.token, &[]);
    let kept_writer = busy(&[&kept]).pop().unwrap();
    let writers = busy(&doomed.each_ref());
    let held = doomed.each_ref().map(|mount| {
        fs::write(mount.path("held"), "kept").unwrap();
        let file = File::options().read(true).write(true).open(mount.path("held")).unwrap();
        // Written, and nobody asked for it to be kept.
        file.write_all_at(b"buffered", 0).unwrap();
        file
    });
    // A file without a name, which the mount alone keeps alive.
    let orphan = File::create(doomed[0].path("orphan")).unwrap();
    orphan.sync_all().unwrap();
    fs::remove_file(doomed[0].path("orphan")).unwrap();
    let mut program = Endless::append(&doomed[1].path("shell"));

    let begun = Instant::now();
    cluster.run(&["configure", "delete", "volume-token", &id, "--force"]).success();
    let gone = Instant::now();
    for file in &held {
        // Mounts have a second to act by it. The command waits for them so long.
        let is_denied = file.write_all_at(b"late", 0).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
        assert!(is_denied || gone - begun > CUT_MAX, "a write was taken after the command, {:?}", gone - begun);
    }
    check_cut(&writers, gone);
    for (mount, file) in doomed.iter().zip(&held) {
        await_dropped_caches(mount, gone + CUT_MAX);
        check_all_denied(mount, file);
    }
    program.0.kill().unwrap();
    assert!(program.0.wait().unwrap().code().is_none(), "the program was ended by its signal");
    for writer in writers {
        assert_eq!(writer.stop().taken_after, 0);
    }
    // What the mounts held is free: the orphan is gone, so every inode in use has a name.
    wait_for("the orphan is gone", 10, || inodes_used(&kept) == names_below(kept.point()));
    fs::write(kept.path("held"), "taken over").unwrap();
    drop((held, orphan));
    assert_eq!(fs::read_to_string(kept.path("held")).unwrap(), "taken over", "nothing came after the cut");
    let seen = kept_writer.stop();
    assert_eq!(seen.refused, None, "the mount with another token noticed: {seen:?}");

    // Another token at the same place, at once.
    for mount in doomed {
        let point = mount.point().to_owned();
        // Somebody else on this machine may be looking at all mounts just now.
        wait_for("the place is free", 1, || match unmount(&point, UnmountFlags::empty()) {
            Err(rustix::io::Errno::BUSY) => false,
            done => done.is_ok(),
        });
        let creds = cluster.mount_creds(&volume.name, &volume.token);
        let again = Mounted::at(cluster.home(), &volume.name, &creds, &[], &point);
        assert_eq!(fs::read_to_string(again.path("held")).unwrap(), "taken over");
    }
    let refused =
        cluster.run(&["mount", "init", "creds", "busy", "--adminAddr", cluster.admin_addr(), "--token", &token]);
    assert_eq!(refused.status, 1, "{refused:?}");
}

/// A process that goes on for ever. Dropped, it is killed.
struct Endless(std::process::Child);

impl Endless {
    /// Appends to `file`.
    fn append(file: &Path) -> Self {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "while :; do echo line >> \"$0\"; done"]).arg(file);
        Self(shell.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn inodes_used(mount: &Mounted) -> u64 {
    let stat = rustix::fs::statvfs(mount.point()).unwrap();
    stat.f_files - stat.f_ffree
}

/// The folder and all that is below it.
fn names_below(folder: &Path) -> u64 {
    let below = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    1 + below.map(|entry| if entry.file_type().unwrap().is_dir() { names_below(&entry.path()) } else { 1 }).sum::<u64>()
}

#[test]
fn token_that_expires_ends_its_mounts_at_the_moment() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("expiring", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &["--expires", "8s"]);
    let mount = cluster.mount(&volume, &token, &[]);
    let writers = busy(&[&mount]);
    let shown = cluster.configure(&["show", "volume-token", &id]);
    let expires: auth::Moment = shown["expires_at"].as_str().unwrap().parse().unwrap();
    let left =
        expires.0 as f64 - std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let moment = Instant::now() + Duration::from_secs_f64(left);
    wait_for("the writer is refused", 20, || writers[0].seen().refused.is_some());
    let (at, kind) = writers[0].seen().refused.unwrap();
    assert_eq!(kind, ErrorKind::PermissionDenied);
    assert!(at + Duration::from_millis(50) > moment, "refused before its time");
    assert!(at < moment + CUT_MAX, "refused {:?} late", at - moment);
    wait_for("the daemon says why", 5, || mount.daemon.log().contains("expired at"));
    let file = cluster.home().join("late");
    let again = cluster.run(&[
        "mount",
        "init",
        "creds",
        "expiring",
        "--adminAddr",
        cluster.admin_addr(),
        "--token",
        &token,
        "--credsFile",
        file.to_str().unwrap(),
    ]);
    assert!(again.failure(1).contains("expired at"));
    // More time may be given: the token is the same.
    cluster.run(&["configure", "update", "volume-token", &id, "--expires", "never"]).success();
    let mount = cluster.mount(&volume, &token, &[]);
    fs::write(mount.path("again"), "x").unwrap();
}

#[test]
fn deleted_volume_ends_the_mounts_of_all_its_tokens() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("doomed", &[]);
    let other = cluster.create_volume("other", &[]);
    let (token, _) = cluster.create_bounded_token(&volume, &[]);
    let mounts = [cluster.mount(&volume, &volume.token, &[]), cluster.mount(&volume, &token, &[])];
    let kept = cluster.mount(&other, &other.token, &[]);
    let (writers, kept_writer) = (busy(&mounts.each_ref()), busy(&[&kept]).pop().unwrap());
    cluster.run(&["configure", "delete", "volume", "doomed", "--force"]).success();
    check_cut(&writers, Instant::now());
    writers.into_iter().for_each(|writer| assert_eq!(writer.stop().taken_after, 0));
    assert_eq!(kept_writer.stop().refused, None);
}

#[test]
fn replaced_token_ends_the_mounts_of_the_old_value() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("rotated", &[]);
    let (old, id) = cluster.create_bounded_token(&volume, &[]);
    let mount = cluster.mount(&volume, &old, &[]);
    let writers = busy(&[&mount]);
    let new = auth::VolumeToken::generate();
    cluster.run(&["configure", "update", "volume-token", &old, "--token", new.expose()]).success();
    check_cut(&writers, Instant::now());
    writers.into_iter().for_each(|writer| assert_eq!(writer.stop().taken_after, 0));
    let again = cluster.mount(&volume, new.expose(), &[]);
    fs::write(again.path("file"), "x").unwrap();
    wait_for("the mount is counted", 10, || cluster.configure(&["show", "volume-token", &id])["mounts"] == 1);
    let mut file = File::create(again.path("file")).unwrap();
    file.write_all(b"still there").unwrap();
    file.sync_all().unwrap();
}

#[test]
fn deleted_account_ends_the_mounts_of_its_volumes() {
    let cluster = Cluster::start();
    let account = cluster.configure(&["create", "account", "--name", "lab"])["id"].as_str().unwrap().to_owned();
    let volume = cluster.create_volume("theirs", &["--accountID", &account]);
    let other = cluster.create_volume("ours", &[]);
    let (mount, kept) = (cluster.mount(&volume, &volume.token, &[]), cluster.mount(&other, &other.token, &[]));
    let (writers, kept_writer) = (busy(&[&mount]), busy(&[&kept]).pop().unwrap());
    cluster.run(&["configure", "delete", "account", &account, "--force"]).success();
    check_cut(&writers, Instant::now());
    writers.into_iter().for_each(|writer| assert_eq!(writer.stop().taken_after, 0));
    assert_eq!(kept_writer.stop().refused, None);
}
