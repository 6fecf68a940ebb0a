//! fusermount3(1): mounts and unmounts for those who may not do it themselves.
//!
//! The program is set-user-id root. It opens the device, which its user must be allowed to, mounts where its user may
//! write, and hands the device over on a socket.
//! Which flags a user may have is its decision: set-user-id bits and devices never have an effect.

use std::io::{ErrorKind, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output};

use auth::MountFlags;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType, recvmsg, socketpair,
};

use super::buffers::WRITE_MAX;
use super::kernel::option_of;
use crate::state::Permissions;

/// Mounts `volume` on `point`. Returns the device, or one line that says why not.
pub(super) fn mount(
    point: &Path,
    volume: &str,
    subtype: &str,
    flags: MountFlags,
    permissions: Permissions,
) -> Result<OwnedFd, String> {
    let failed = |error: rustix::io::Errno| format!("a socket for {PROGRAM}: {error}");
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(failed)?;
    // As the standard input, because that is a descriptor with a number known beforehand.
    let mut command = helper();
    command.env(SOCKET_VARIABLE, "0").stdin(theirs);
    command.args(["-o", &options(volume, subtype, flags, permissions), "--"]).arg(point);
    run(&mut command).map_err(|line| {
        let is_closed = line.contains("/dev/fuse") && line.contains("Permission denied");
        if is_closed {
            format!("{line}; every user may open it where udev made it: `chmod 666 /dev/fuse`")
        } else {
            line
        }
    })?;
    receive(&ours)
}

/// How an unmount went wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Programs use the mount.
    Busy,
    /// Anything else, as one line.
    Other(String),
}

/// Unmounts what is on `point`; with `lazily` also what is in use, which then ends with its last user.
pub(super) fn unmount(point: &Path, lazily: bool) -> Result<(), Refusal> {
    let mut command = helper();
    command.arg("-u").args(lazily.then_some("-z")).arg("--").arg(point);
    run(&mut command).map_err(|line| if line.contains(BUSY) { Refusal::Busy } else { Refusal::Other(line) })
}

/// The helper, which shall say what went wrong in English: [`BUSY`] is looked for in it.
fn helper() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env("LC_ALL", "C");
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(said(&output)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(format!("users other than root mount by {PROGRAM}, which is not here: install fuse3, or mount as root"))
        }
        Err(error) => Err(format!("{PROGRAM}: {error}")),
    }
}

/// The first line of complaint, which begins with the helper's name.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    match text.lines().map(str::trim).find(|line| !line.is_empty()) {
        Some(line) => line.to_owned(),
        None => format!("{PROGRAM} failed without a word ({})", output.status),
    }
}

/// Options for the kernel and the mount table. Who mounts, and the device, the helper adds itself.
fn options(volume: &str, subtype: &str, flags: MountFlags, permissions: Permissions) -> String {
    let mut options = format!(
        "fsname={},subtype={subtype},{}max_read={WRITE_MAX},nosuid,nodev",
        volume.replace('\\', "\\\\").replace(',', "\\,"),
        option_of(permissions)
    );
    for (is_set, name) in [(flags.ro, "ro"), (flags.no_exec, "noexec"), (flags.no_atime, "noatime")] {
        if is_set {
            options.push(',');
            options.push_str(name);
        }
    }
    options
}

/// Takes the device from the socket on which the helper has sent it.
fn receive(socket: &OwnedFd) -> Result<OwnedFd, String> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    // The helper has ended: what it sent is there, and nothing more will come.
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, flags)
        .map_err(|error| format!("{PROGRAM} sent no device: {error}"))?;
    let mut received = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    received.next().ok_or_else(|| format!("{PROGRAM} sent no device"))
}

const PROGRAM: &str = "fusermount3";
/// Tells the helper the number of its socket.
const SOCKET_VARIABLE: &str = "_FUSE_COMMFD";
/// What strerror(3) says of EBUSY.
const BUSY: &str = "Device or resource busy";

#[cfg(test)]
mod tests;
