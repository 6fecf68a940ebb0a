//! A user who is not root, with a home and the programs in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::{Outcome, flexfs, require_fuse};

/// `nobody` and its group: there on every Linux.
const UID: u32 = 65534;

/// The user. Dropping it takes the home away.
pub struct Ordinary {
    home: TempDir,
}

impl Ordinary {
    /// Installs the programs for the user, whose eyes may not reach into the folder that they are built in.
    pub fn new() -> Self {
        require_fuse();
        require_helper();
        let home = tempfile::tempdir().expect("a folder for the test");
        let prefix = home.path().to_str().expect("test folders have plain names");
        Outcome::of(&mut flexfs(home.path(), &["install", "--prefix", prefix])).success();
        chown(home.path(), Some(UID), Some(UID)).expect("root gives folders away");
        Self { home }
    }

    /// The user's home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path below the home.
    pub fn path(&self, below: &str) -> PathBuf {
        self.home.path().join(below)
    }

    /// `flexfs ARGS` as the user.
    pub fn flexfs(&self, args: &[&str]) -> Command {
        self.command(self.path("bin/flexfs").to_str().expect("test folders have plain names"), args)
    }

    /// `sh -c SCRIPT` as the user, in the home.
    pub fn sh(&self, script: &str) -> Outcome {
        Outcome::of(&mut self.command("sh", &["-c", script]))
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).env("HOME", self.home()).env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        command.current_dir(self.home()).uid(UID).gid(UID);
        command
    }
}

impl Default for Ordinary {
    fn default() -> Self {
        Self::new()
    }
}

/// Fails unless users who are not root can mount here.
fn require_helper() {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&search).any(|folder| folder.join("fusermount3").exists());
    assert!(is_there, "these tests need fusermount3: install fuse3");
    let mode = fs::metadata("/dev/fuse").expect("checked before").permissions().mode();
    assert!(
        mode & 0o006 == 0o006,
        "these tests need /dev/fuse open to every user, as udev makes it: chmod 666 /dev/fuse"
    );
}
