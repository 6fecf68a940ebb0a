//! What the tests need of the machine: said before anything is built, never skipped silently.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::require;

/// Checks for /dev/fuse and the rights to mount.
pub(crate) fn check() -> Result<()> {
    require(
        Path::new("/dev/fuse").exists(),
        "/dev/fuse: load the kernel module `fuse`, or pass the device to the container",
    )?;
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
