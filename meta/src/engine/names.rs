//! The order of names in a directory: by a keyed hash, which is also the offset that a listing goes on from.
//!
//! The key differs from volume to volume and never leaves the server, so nobody can choose names that share a hash.

use std::hash::Hasher;

use proto::Name;
use siphasher::sip::SipHasher24;

/// Smallest hash: the offsets below are the start of a listing and the mount's own `.` and `..`.
pub(super) const HASH_MIN: u64 = 3;

/// Hashes names to 63 bits (offsets are signed in the kernel's interface).
#[derive(Clone, Copy)]
pub(super) struct NameHasher {
    key: [u8; 16],
}

impl NameHasher {
    pub(super) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    pub(super) fn hash(&self, name: &Name) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write(name.as_bytes());
        (hasher.finish() >> 1).max(HASH_MIN)
    }
}
