//! Mount flags as decisions about operations. The kernel mount and the metadata server decide too; here a restriction
//! that came after mounting holds at once.

use std::sync::atomic::{AtomicU32, Ordering};

use auth::MountFlags;
use proto::Errno;

use crate::adapter::Open;

/// The restrictions of a mount. They only ever grow.
#[derive(Debug)]
pub(crate) struct LiveFlags(AtomicU32);

impl LiveFlags {
    pub(crate) fn new(flags: MountFlags) -> Self {
        Self(AtomicU32::new(flags.bits()))
    }

    /// Adds restrictions.
    pub(crate) fn restrict(&self, flags: MountFlags) {
        self.0.fetch_or(flags.bits(), Ordering::Relaxed);
    }

    /// The restrictions now.
    pub(crate) fn current(&self) -> MountFlags {
        MountFlags::from_bits(self.0.load(Ordering::Relaxed)).expect("only bits of known flags were stored")
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
