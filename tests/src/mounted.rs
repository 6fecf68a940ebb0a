//! A mounted volume.

use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use crate::{Daemon, flexfs, wait_for};

/// A mount with its daemon. Dropping it unmounts.
pub struct Mounted {
    point: PathBuf,
    /// The mount daemon, in the foreground.
    pub daemon: Daemon,
}

impl Mounted {
    /// Mounts `volume` on a new folder below `home` and waits until it is there.
    #[track_caller]
    pub fn start(home: &Path, volume: &str, creds: &Path, flags: &[&str]) -> Self {
        static POINTS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = POINTS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let point = home.join(format!("mnt-{number}"));
        std::fs::create_dir(&point).expect("the mount point is new");
        Self::at(home, volume, creds, flags, &point)
    }

    /// Mounts on an existing folder.
    #[track_caller]
    pub fn at(home: &Path, volume: &str, creds: &Path, flags: &[&str], point: &Path) -> Self {
        let target = point.to_str().expect("test folders have plain names");
        let creds = creds.to_str().expect("test folders have plain names");
        let transport = crate::transport();
        let base = ["mount", "start", volume, target, "--credsFile", creds, "--foreground", "--transport", &transport];
        let log = point.with_extension("log");
        let mut daemon = Daemon::start(&mut flexfs(home, &[&base, flags].concat()), &log);
        wait_for("the volume is mounted", 20, || {
            assert!(daemon.is_running(), "the mount daemon ended: {}", daemon.log());
            is_mounted(point)
        });
        Self { point: point.to_owned(), daemon }
    }

    /// The mount point.
    pub fn point(&self) -> &Path {
        &self.point
    }

    /// A path below the mount point.
    pub fn path(&self, below: &str) -> PathBuf {
        self.point.join(below)
    }

    /// Ends the daemon as an administrator does; its exit status.
    #[track_caller]
    pub fn stop(mut self) -> i32 {
        let status = self.daemon.terminate();
        assert!(!is_mounted(&self.point), "the mount is still there");
        status
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.daemon.kill();
        if is_mounted(&self.point) {
            let _ = unmount(&self.point, UnmountFlags::DETACH);
        }
    }
}

/// Whether something is mounted on `point`.
pub fn is_mounted(point: &Path) -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("/proc is there");
    mounts.lines().any(|line| line.split(' ').nth(1) == point.to_str())
}
