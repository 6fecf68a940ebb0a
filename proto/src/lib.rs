//! Types and messages that the mount and the servers share. Knows no I/O, no clock and no rule about who may do what.

pub mod codec;
pub mod dirent;
pub mod feed;
pub mod limits;
pub mod rest;

mod attr;
mod errno;
mod ids;
mod lock;
mod name;
mod names;
mod piece;
mod reply;
mod request;
mod rewrite;
mod session;

pub use attr::{ATTR_RECORD_LEN, Attr, FileKind, Timespec};
pub use errno::Errno;
pub use ids::{BlockIndex, InodeId, ObjectId, OperationId, Sequence, SessionId, VolumeId};
pub use lock::{LockKind, LockOwner, LockSpan, LockSpans};
pub use name::{NAME_MAX, Name};
#[doc(hidden)]
pub use names::place_of;
pub use piece::{BLOCK_SIZE_MAX, BLOCK_SIZE_MIN, FRAME_SIZE, Piece, StoredFrame, allocated, insert_piece, punch};
pub use reply::{Layout, Refused, Reply, ReplyFrame, Took, VolumeStat};
pub use request::{
    Access, AttrChanges, BlockChange, Caller, Claim, Close, Commit, NewNode, RenameMode, Request, RequestFrame,
    SetTime, XattrMode,
};
pub use rewrite::{Below, Copied, Rewrite, Source, gaps};
pub use session::{
    ALPN, BlockStoreSettings, Compression, Event, Greeting, Hello, Redacted, SessionKey, SessionRefusal, VERSION_MAX,
    VERSION_MIN, VolumeSettings, Welcome, flag_bits,
};
