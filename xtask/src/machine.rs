//! What the tests need of the machine: said before anything is built, never skipped silently.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{require, run};

/// The device as it was before the tests; given back its mode when dropped.
pub(crate) struct Device {
    mode: u32,
}

/// Checks for root and /dev/fuse, and sets up what mounts of other users need: fusermount3, and the device open to
/// everybody, as udev makes it.
pub(crate) fn set_up() -> Result<Device> {
    if !is_root()? {
        bail!(
            "the tests need root: they mount, change owners and end servers the hard way (try `sudo -E cargo xtask test`)"
        );
    }
    require(
        Path::new(DEVICE).exists(),
        "/dev/fuse: load the kernel module `fuse`, or pass the device to the container",
    )?;
    if !has_program("fusermount3") {
        install_helper()?;
    }
    let mode = std::fs::metadata(DEVICE)?.permissions().mode();
    std::fs::set_permissions(DEVICE, Permissions::from_mode(mode | 0o666)).context(DEVICE)?;
    Ok(Device { mode })
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Err(error) = std::fs::set_permissions(DEVICE, Permissions::from_mode(self.mode)) {
            eprintln!("xtask: {DEVICE} stays open to everybody: {error}");
        }
    }
}

fn install_helper() -> Result<()> {
    require(has_program("apt-get"), "fusermount3, by which users other than root mount: install fuse3")?;
    eprintln!("xtask: fusermount3 is missing: installing fuse3, for the tests of ordinary users' mounts");
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    run(Command::new("apt-get").args(["install", "--quiet", "--yes", "--no-install-recommends", "fuse3"]))
}

fn has_program(name: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&search).any(|folder| folder.join(name).exists())
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

const DEVICE: &str = "/dev/fuse";
const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";
