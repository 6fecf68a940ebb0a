//! Mount flags as decisions about operations. The kernel mount and the metadata server decide too; here what changed
//! after mounting holds at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use auth::MountFlags;
use proto::Errno;

use crate::adapter::Open;

/// Who decides what programs may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permissions {
    /// The kernel, by the attributes that it cached and the users of this host, and then the server.
    KernelFirst,
    /// The server alone: to it callers are others than to the kernel.
    ServerAlone,
}

/// The restrictions of a mount: its own, for as long as it lives, and those that the server says hold now.
#[derive(Debug)]
pub(crate) struct LiveFlags {
    own: MountFlags,
    /// Both together.
    bits: AtomicU32,
    /// Whether every caller is the same user to the server.
    fixed_identity: AtomicBool,
    /// Since when the server's hold, by its clock in microseconds.
    since: Mutex<i64>,
}

impl LiveFlags {
    /// The mount's own restrictions.
    pub(crate) fn new(own: MountFlags) -> Self {
        Self {
            own,
            bits: AtomicU32::new(own.bits()),
            fixed_identity: AtomicBool::default(),
            since: Mutex::new(i64::MIN),
        }
    }

    /// Restrictions of the mount's own, whatever the server says.
    pub(crate) fn own(&self) -> MountFlags {
        self.own
    }

    /// Takes up what the server says, unless a newer word came before: words come over several connections. Whether
    /// anything is other than it was. Where callers are one user, set-id bits have no effect: whoever may set them there
    /// would become that user on this host.
    pub(crate) fn take_up(&self, flags: MountFlags, fixed_identity: bool, since: i64) -> bool {
        let mut newest = self.since.lock().expect("no code under this lock panics");
        if since < *newest {
            return false;
        }
        *newest = since;
        let flags = MountFlags { no_suid: flags.no_suid || fixed_identity, ..flags };
        let bits = self.own.union(flags).bits();
        let was_fixed = self.fixed_identity.swap(fixed_identity, Ordering::Relaxed);
        self.bits.swap(bits, Ordering::Relaxed) != bits || was_fixed != fixed_identity
    }

    /// Whether every caller is the same user to the server, whoever it is here.
    pub(crate) fn has_fixed_identity(&self) -> bool {
        self.fixed_identity.load(Ordering::Relaxed)
    }

    /// Whether this host's superuser is none to the server, which the kernel does not know.
    pub(crate) fn demotes_root(&self) -> bool {
        self.current().root_squash || self.has_fixed_identity()
    }

    /// The restrictions now.
    pub(crate) fn current(&self) -> MountFlags {
        MountFlags::from_bits(self.bits.load(Ordering::Relaxed)).expect("only bits of known flags were stored")
    }

    /// Whether anything may be changed: else `EROFS`.
    pub(crate) fn permit_change(&self) -> Result<(), Errno> {
        if self.current().ro { Err(Errno::EROFS) } else { Ok(()) }
    }

    /// Whether a file may be opened so.
    pub(crate) fn permit_open(&self, open: &Open) -> Result<(), Errno> {
        if open.write || open.truncate {
            self.permit_change()?;
        }
        if open.execute && self.current().no_exec { Err(Errno::EACCES) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
