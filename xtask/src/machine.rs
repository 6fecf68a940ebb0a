//! What the tests need of the machine: said before anything is built, never skipped silently.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::require;

/// Checks for /dev/fuse and the rights to mount, as root and as any other user.
pub(crate) fn check() -> Result<()> {
    require(
        Path::new("/dev/fuse").exists(),
        "/dev/fuse: load the kernel module `fuse`, or pass the device to the container",
    )?;
    let mode = std::fs::metadata("/dev/fuse")?.permissions().mode();
    require(mode & 0o006 == 0o006, "/dev/fuse open to every user, as udev makes it: `chmod 666 /dev/fuse`")?;
    let search = std::env::var_os("PATH").unwrap_or_default();
    let has_helper = std::env::split_paths(&search).any(|folder| folder.join("fusermount3").exists());
    require(has_helper, "fusermount3, by which users other than root mount: install fuse3")?;
    if !is_root()? {
        bail!(
            "the tests need root: they mount, change owners and end servers the hard way (try `sudo -E cargo xtask test`)"
        );
    }
    Ok(())
}

fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output()?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// FUSE over io_uring, switched on for as long as the value lives.
pub(crate) struct Rings {
    before: String,
}

impl Rings {
    /// Switches it on; `None` where the kernel has none.
    pub(crate) fn switch_on() -> Result<Option<Self>> {
        if !Path::new(SWITCH).exists() {
            return Ok(None);
        }
        let before = std::fs::read_to_string(SWITCH).context(SWITCH)?;
        std::fs::write(SWITCH, "Y").context(SWITCH)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Rings {
    fn drop(&mut self) {
        if let Err(error) = std::fs::write(SWITCH, self.before.trim()) {
            eprintln!("xtask: {SWITCH} stays switched on: {error}");
        }
    }
}

const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";
