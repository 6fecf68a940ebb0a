//! Identities: who and what a message speaks of. All are newtypes so that no two can be swapped.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! number_id {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_id!(
    /// A file in a volume: never reused within the volume's life, so no generation number is needed beside it.
    InodeId(u64)
);
number_id!(
    /// An immutable object in the block store. Granted to sessions in ranges by the metadata server.
    ObjectId(u64)
);
number_id!(
    /// Place of a fixed-size block in a file: offset / block size.
    BlockIndex(u64)
);
number_id!(
    /// One mutating request of a session, ascending from 1. A repeated id is answered from the ledger, not applied again.
    OperationId(u64)
);
number_id!(
    /// Position of a commit in a volume's history, ascending by one from 1. 0 is "before the first commit".
    Sequence(u64)
);

impl InodeId {
    /// The root directory of every volume.
    pub const ROOT: Self = Self(1);
}

/// A volume, named by the admin server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VolumeId(pub Uuid);

impl std::fmt::Display for VolumeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One mount's authenticated life with a metadata server. Not a secret: it is written to logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(pub Uuid);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
