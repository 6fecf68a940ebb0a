//! What the tests need of the machine: said before anything is built, never skipped silently.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

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
