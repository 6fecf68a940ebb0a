//! The key layout of a volume. Numbers are big-endian so that keys sort like them.
//!
//! | tag | key behind the tag | value behind its version byte |
//! |---|---|---|
//! | 01 superblock | | counters of the volume |
//! | 10 inode | ino | attributes, parent, inline content or symlink target |
//! | 11 dentry | parent, hash of the name, name | ino, kind |
//! | 12 back link | ino, parent | number of names in that parent; only while a file has several names |
//! | 13 xattr | ino, name | value |
//! | 20 block | map, index | pieces |
//! | 21 trim | map | first block left: all blocks of that map are dead and removed step by step |
//! | 22 orphan | ino | sessions that hold the nameless file open |
//! | 30 grant | first object | count, session |
//! | 31 dead | second of death, first object | count |
//! | 40 session | session | key hash, token, root, flags |
//! | 41 ledger | session, slot | operation, reply |
//! | 42 lock | session, ino, kind, owner | ranges |
//! | 50 history | reserved | reserved |
//!
//! A map is the identity of a file's block list: a number from the same counter as the inode ids. Emptying a huge file
//! gives it a new map and leaves the old one to the sweep.

use proto::{BlockIndex, InodeId, LockKind, LockOwner, Name, ObjectId, SessionId};
use uuid::Uuid;

use super::locks::Locker;

/// First byte of every value: the version of its encoding.
pub(super) const VALUE_VERSION: u8 = 1;

const SUPERBLOCK: u8 = 0x01;
const INODE: u8 = 0x10;
const DENTRY: u8 = 0x11;
const BACK_LINK: u8 = 0x12;
const XATTR: u8 = 0x13;
const BLOCK: u8 = 0x20;
const TRIM: u8 = 0x21;
const ORPHAN: u8 = 0x22;
const GRANT: u8 = 0x30;
const DEAD: u8 = 0x31;
const SESSION: u8 = 0x40;
const LEDGER: u8 = 0x41;
const LOCK: u8 = 0x42;
/// Kept free for earlier values of records: key, commit time.
#[allow(dead_code, reason = "names the tag that no other table may take")]
const HISTORY: u8 = 0x50;

/// Identity of a file's block list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct MapId(pub(super) u64);

/// A range of keys: first key and first key behind.
pub(super) type Range = (Vec<u8>, Vec<u8>);

pub(super) fn superblock() -> Vec<u8> {
    vec![SUPERBLOCK]
}

pub(super) fn inode(ino: InodeId) -> Vec<u8> {
    key1(INODE, ino.0)
}

pub(super) fn inodes() -> Range {
    table(INODE)
}

pub(super) fn dentry(parent: InodeId, hash: u64, name: &Name) -> Vec<u8> {
    let mut key = Vec::with_capacity(17 + name.as_bytes().len());
    key.push(DENTRY);
    key.extend_from_slice(&parent.0.to_be_bytes());
    key.extend_from_slice(&hash.to_be_bytes());
    key.extend_from_slice(name.as_bytes());
    key
}

/// Dentries of a directory whose hash is `hash_min` or more.
pub(super) fn dentries_from(parent: InodeId, hash_min: u64) -> Range {
    (key2(DENTRY, parent.0, hash_min), key1(DENTRY, parent.0 + 1))
}

pub(super) fn dentries() -> Range {
    table(DENTRY)
}

/// Parent, hash and name of a dentry's key.
pub(super) fn parse_dentry(key: &[u8]) -> Option<(InodeId, u64, Name)> {
    let (parent, rest) = number(key.strip_prefix(&[DENTRY])?)?;
    let (hash, name) = number(rest)?;
    Some((InodeId(parent), hash, Name::new(name).ok()?))
}

pub(super) fn back_link(child: InodeId, parent: InodeId) -> Vec<u8> {
    key2(BACK_LINK, child.0, parent.0)
}

pub(super) fn back_links(child: InodeId) -> Range {
    under(BACK_LINK, child.0)
}

pub(super) fn all_back_links() -> Range {
    table(BACK_LINK)
}

/// Child and parent of a back link's key.
pub(super) fn parse_back_link(key: &[u8]) -> Option<(InodeId, InodeId)> {
    let (child, parent) = pair(BACK_LINK, key)?;
    Some((InodeId(child), InodeId(parent)))
}

pub(super) fn xattr(ino: InodeId, name: &[u8]) -> Vec<u8> {
    let mut key = key1(XATTR, ino.0);
    key.extend_from_slice(name);
    key
}

pub(super) fn xattrs(ino: InodeId) -> Range {
    under(XATTR, ino.0)
}

pub(super) fn all_xattrs() -> Range {
    table(XATTR)
}

/// File and name of an extended attribute's key.
pub(super) fn parse_xattr(key: &[u8]) -> Option<(InodeId, &[u8])> {
    let (ino, name) = number(key.strip_prefix(&[XATTR])?)?;
    Some((InodeId(ino), name))
}

pub(super) fn block(map: MapId, index: BlockIndex) -> Vec<u8> {
    key2(BLOCK, map.0, index.0)
}

/// Blocks of a map from `first` on.
pub(super) fn blocks_from(map: MapId, first: BlockIndex) -> Range {
    (key2(BLOCK, map.0, first.0), key1(BLOCK, map.0 + 1))
}

/// Blocks of a map from `first` on and before `behind`.
pub(super) fn blocks_between(map: MapId, first: u64, behind: u64) -> Range {
    (key2(BLOCK, map.0, first), key2(BLOCK, map.0, behind))
}

pub(super) fn all_blocks() -> Range {
    table(BLOCK)
}

/// Map and index of a block's key.
pub(super) fn parse_block(key: &[u8]) -> Option<(MapId, BlockIndex)> {
    let (map, index) = pair(BLOCK, key)?;
    Some((MapId(map), BlockIndex(index)))
}

pub(super) fn trim(map: MapId) -> Vec<u8> {
    key1(TRIM, map.0)
}

pub(super) fn trims() -> Range {
    table(TRIM)
}

pub(super) fn parse_trim(key: &[u8]) -> Option<MapId> {
    single(TRIM, key).map(MapId)
}

pub(super) fn orphan(ino: InodeId) -> Vec<u8> {
    key1(ORPHAN, ino.0)
}

pub(super) fn orphans() -> Range {
    table(ORPHAN)
}

pub(super) fn parse_orphan(key: &[u8]) -> Option<InodeId> {
    single(ORPHAN, key).map(InodeId)
}

pub(super) fn parse_inode(key: &[u8]) -> Option<InodeId> {
    single(INODE, key).map(InodeId)
}

pub(super) fn grant(first: ObjectId) -> Vec<u8> {
    key1(GRANT, first.0)
}

pub(super) fn grants() -> Range {
    table(GRANT)
}

pub(super) fn parse_grant(key: &[u8]) -> Option<ObjectId> {
    single(GRANT, key).map(ObjectId)
}

pub(super) fn dead(second: u64, first: ObjectId) -> Vec<u8> {
    key2(DEAD, second, first.0)
}

/// Objects that died in `second` or later.
pub(super) fn dead_from(second: u64) -> Range {
    (key1(DEAD, second), vec![DEAD + 1])
}

/// Second of death and first object of a dead range's key.
pub(super) fn parse_dead(key: &[u8]) -> Option<(u64, ObjectId)> {
    let (second, first) = pair(DEAD, key)?;
    Some((second, ObjectId(first)))
}

pub(super) fn session(id: SessionId) -> Vec<u8> {
    let mut key = vec![SESSION];
    key.extend_from_slice(id.0.as_bytes());
    key
}

pub(super) fn sessions() -> Range {
    table(SESSION)
}

pub(super) fn parse_session(key: &[u8]) -> Option<SessionId> {
    Some(SessionId(Uuid::from_slice(key.strip_prefix(&[SESSION])?).ok()?))
}

pub(super) fn ledger(id: SessionId, slot: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(19);
    key.push(LEDGER);
    key.extend_from_slice(id.0.as_bytes());
    key.extend_from_slice(&slot.to_be_bytes());
    key
}

/// The whole ledger of a session.
pub(super) fn ledger_of(id: SessionId) -> Range {
    (ledger(id, 0), ledger(id, u16::MAX))
}

pub(super) fn ledgers() -> Range {
    table(LEDGER)
}

pub(super) fn lock(ino: InodeId, locker: &Locker) -> Vec<u8> {
    let mut key = Vec::with_capacity(34);
    key.push(LOCK);
    key.extend_from_slice(locker.session.0.as_bytes());
    key.extend_from_slice(&ino.0.to_be_bytes());
    key.push(match locker.kind {
        LockKind::Range => 0,
        LockKind::Whole => 1,
    });
    key.extend_from_slice(&locker.owner.0.to_be_bytes());
    key
}

pub(super) fn locks() -> Range {
    table(LOCK)
}

/// File and locker of a lock's key.
pub(super) fn parse_lock(key: &[u8]) -> Option<(InodeId, Locker)> {
    let (session, rest) = key.strip_prefix(&[LOCK])?.split_first_chunk::<16>()?;
    let (ino, rest) = number(rest)?;
    let (kind, rest) = rest.split_first()?;
    let kind = match kind {
        0 => LockKind::Range,
        1 => LockKind::Whole,
        _ => return None,
    };
    match number(rest)? {
        (owner, []) => {
            let session = SessionId(Uuid::from_bytes(*session));
            Some((InodeId(ino), Locker { session, kind, owner: LockOwner(owner) }))
        }
        _ => None,
    }
}

fn key1(tag: u8, number: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(17);
    key.push(tag);
    key.extend_from_slice(&number.to_be_bytes());
    key
}

fn key2(tag: u8, first: u64, second: u64) -> Vec<u8> {
    let mut key = key1(tag, first);
    key.extend_from_slice(&second.to_be_bytes());
    key
}

fn table(tag: u8) -> Range {
    (vec![tag], vec![tag + 1])
}

/// All keys of a table that begin with `number`. Ids come from counters that start at 1 and never reach `u64::MAX`.
fn under(tag: u8, number: u64) -> Range {
    (key1(tag, number), key1(tag, number + 1))
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    Some((u64::from_be_bytes(*head), rest))
}

fn single(tag: u8, key: &[u8]) -> Option<u64> {
    match number(key.strip_prefix(&[tag])?)? {
        (value, []) => Some(value),
        _ => None,
    }
}

fn pair(tag: u8, key: &[u8]) -> Option<(u64, u64)> {
    let (first, rest) = number(key.strip_prefix(&[tag])?)?;
    match number(rest)? {
        (second, []) => Some((first, second)),
        _ => None,
    }
}
