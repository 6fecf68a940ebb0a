//! The whole system by its own commands: `up`, a second mount in the background, and `up` again.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A running `flexfs up`, with the first line it printed read.
struct Up {
    child: Child,
    home: PathBuf,
}

impl Up {
    fn start(home: &Path) -> Self {
        assert!(
            rustix::process::geteuid().is_root() && Path::new("/dev/fuse").exists(),
            "root and /dev/fuse are needed"
        );
        let mut child = command(home, &up_words(home)).stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout is a pipe"))
            .read_line(&mut line)
            .expect("the pipe can be read");
        assert!(line.contains("is volume `default`"), "{line}");
        Self { child, home: home.to_owned() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.home.join("mnt").join(below)
    }

    /// Ctrl-C; the exit status.
    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("a child can be signalled");
        self.child.wait().expect("a child can be waited for").code()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        unmount(&self.home.join("mnt"));
    }
}

fn unmount(mount_point: &Path) {
    let _ = rustix::mount::unmount(mount_point, rustix::mount::UnmountFlags::DETACH);
}

fn command(home: &Path, words: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flexfs"));
    command.args(words).env("HOME", home).env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

fn up_words(home: &Path) -> Vec<String> {
    vec!["up".to_owned(), home.join("mnt").display().to_string()]
}

fn flexfs(home: &Path, line: &str) -> Output {
    command(home, &line.split(' ').map(str::to_owned).collect::<Vec<_>>()).output().expect("the program starts")
}

#[track_caller]
fn success(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("output is UTF-8")
}

#[test]
fn data_and_credentials_are_found_again_by_the_next_up() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let creds = home.join(".flexfs/up/creds/default");
    let up = Up::start(home);
    fs::write(up.path("file"), "kept").unwrap();
    let first = fs::read(&creds).unwrap();
    assert_eq!(up.stop(), Some(0));
    assert_eq!(fs::read_dir(home.join("mnt")).unwrap().count(), 0);
    let up = Up::start(home);
    assert_eq!(fs::read_to_string(up.path("file")).unwrap(), "kept");
    assert!(fs::read(&creds).unwrap() == first, "the token changed");
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn second_up_on_the_same_data_is_told_so() {
    let home = tempfile::tempdir().unwrap();
    let up = Up::start(home.path());
    let output = command(home.path(), &up_words(home.path())).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains("in use by process") && said.contains("another --dataFolder"), "{said}");
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn mount_in_the_background_returns_when_it_is_there_and_ends_with_umount() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let up = Up::start(home);
    fs::write(up.path("file"), "shared").unwrap();
    let other = home.join("other");
    fs::create_dir(&other).unwrap();
    let creds = home.join(".flexfs/up/creds");
    let start =
        format!("mount default {} -o ro,_netdev,credsFile={}", other.display(), creds.join("default").display());
    success(flexfs(home, &start));
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "shared");
    assert!(fs::write(other.join("new"), "x").is_err());
    let again = flexfs(home, &start);
    assert_eq!(again.status.code(), Some(32));
    assert!(String::from_utf8_lossy(&again.stderr).contains("in use by process"), "{again:?}");
    rustix::mount::unmount(&other, rustix::mount::UnmountFlags::empty()).unwrap();
    success(flexfs(home, &start));
    unmount(&other);
    assert_eq!(up.stop(), Some(0));
}

#[test]
fn deleted_token_cuts_its_mount_and_the_mount_point_can_be_used_again() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let up = Up::start(home);
    fs::write(up.path("file"), "shared").unwrap();
    let creds = home.join(".flexfs/up/creds");
    let configure = format!("configure --credsFile {}", creds.join("configure").display());
    let made = success(flexfs(home, &format!("{configure} create volume-token --volumeID default --json")));
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let addr = success(flexfs(home, &format!("{configure} list meta-store --json")));
    assert!(addr.contains("fingerprint"), "{addr}");
    let admin = fs::read_to_string(creds.join("configure")).unwrap();
    let admin = admin.lines().find_map(|line| line.strip_prefix("adminAddr = ")).unwrap().trim_matches('"');
    let doomed = home.join("doomed");
    let token = made["token"].as_str().unwrap();
    let init = format!("mount init creds default --adminAddr {admin} --token {token} --credsFile {}", doomed.display());
    success(flexfs(home, &init));
    let other = home.join("other");
    fs::create_dir(&other).unwrap();
    success(flexfs(home, &format!("mount start default {} --credsFile {}", other.display(), doomed.display())));
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "shared");
    success(flexfs(home, &format!("{configure} delete volume-token {token}")));
    let deadline = Instant::now() + Duration::from_secs(10);
    while fs::read_to_string(other.join("file")).is_ok() {
        assert!(Instant::now() < deadline, "the mount goes on without its token");
        std::thread::sleep(Duration::from_millis(50));
    }
    let start = format!("mount start default {} --credsFile {}", other.display(), creds.join("default").display());
    success(flexfs(home, &start));
    assert_eq!(fs::read_to_string(other.join("file")).unwrap(), "shared");
    unmount(&other);
    assert_eq!(up.stop(), Some(0));
}
