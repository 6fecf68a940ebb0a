//! Mount flags: restrictions only, so that sets are joined by union and no place can take back what another asks for.

use std::fmt;
use std::str::FromStr;

use proto::flag_bits;

/// Restrictions of a mount: those of the volume, of the token and of the command line together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MountFlags {
    /// Nothing can be changed. Implies `no_atime`.
    pub ro: bool,
    /// No file can be executed.
    pub no_exec: bool,
    /// Set-user-id and set-group-id bits have no effect.
    pub no_suid: bool,
    /// Reading does not change access times.
    pub no_atime: bool,
    /// The superuser, and the group 0, of the mounting host are nobody to the metadata server.
    pub root_squash: bool,
}

/// A flag this version does not know. It is refused, because leaving out a restriction would open what it closes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mount flag {0:?} is unknown: known are ro, noExec, noSUID, noATime, rootSquash")]
pub struct UnknownFlag(pub String);

impl MountFlags {
    /// Reads a comma-separated list such as `ro,noExec`. The empty list is no flag.
    pub fn parse(list: &str) -> Result<Self, UnknownFlag> {
        let mut bits = 0;
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            bits |= bit_named(name).ok_or_else(|| UnknownFlag(name.to_owned()))?;
        }
        Self::from_bits(bits)
    }

    /// The restrictions of both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self::of_known_bits(self.bits() | other.bits())
    }

    /// The flags as bits of a message ([`proto::flag_bits`]).
    #[must_use]
    pub fn bits(self) -> u32 {
        let bit = |set: bool, bit: u32| if set { bit } else { 0 };
        bit(self.ro, flag_bits::RO | flag_bits::NO_ATIME)
            | bit(self.no_exec, flag_bits::NO_EXEC)
            | bit(self.no_suid, flag_bits::NO_SUID)
            | bit(self.no_atime, flag_bits::NO_ATIME)
            | bit(self.root_squash, flag_bits::ROOT_SQUASH)
    }

    /// Flags from the bits of a message. A bit of a later version is refused.
    pub fn from_bits(bits: u32) -> Result<Self, UnknownFlag> {
        match bits & !flag_bits::ALL {
            0 => Ok(Self::of_known_bits(bits)),
            unknown => Err(UnknownFlag(format!("bits {unknown:#x}"))),
        }
    }

    fn of_known_bits(bits: u32) -> Self {
        let set = |bit: u32| bits & bit != 0;
        let ro = set(flag_bits::RO);
        Self {
            ro,
            no_exec: set(flag_bits::NO_EXEC),
            no_suid: set(flag_bits::NO_SUID),
            no_atime: ro || set(flag_bits::NO_ATIME),
            root_squash: set(flag_bits::ROOT_SQUASH),
        }
    }
}

impl fmt::Display for MountFlags {
    /// The shortest list that [`MountFlags::parse`] reads as these flags.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bits = self.bits();
        if self.ro {
            bits &= !flag_bits::NO_ATIME;
        }
        let names: Vec<&str> = NAMES.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for MountFlags {
    type Err = UnknownFlag;

    fn from_str(list: &str) -> Result<Self, UnknownFlag> {
        Self::parse(list)
    }
}

const NAMES: [(&str, u32); 5] = [
    ("ro", flag_bits::RO),
    ("noExec", flag_bits::NO_EXEC),
    ("noSUID", flag_bits::NO_SUID),
    ("noATime", flag_bits::NO_ATIME),
    ("rootSquash", flag_bits::ROOT_SQUASH),
];

fn bit_named(wanted: &str) -> Option<u32> {
    NAMES.iter().find(|(name, _)| *name == wanted).map(|(_, bit)| *bit)
}

#[cfg(test)]
mod tests;
