//! Records of files and names, and their encodings.

use bytes::Bytes;
use proto::limits::INLINE_MAX;
use proto::{ATTR_RECORD_LEN, Attr, FileKind, InodeId, Piece, SessionId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::EngineError;
use super::keys::{MapId, VALUE_VERSION};

/// What a file holds besides blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing: all its bytes are in blocks, or it has none.
    None,
    /// The first bytes of a regular file. Pieces of blocks lie over them; where neither is, the file reads as zero.
    Inline(Bytes),
    /// Target of a symbolic link.
    Target(Bytes),
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inode {
    /// What stat(2) shows.
    pub(super) attr: Attr,
    /// Directory of its name; of one of its names where back links say more. The root is its own parent.
    pub(super) parent: InodeId,
    /// Its block list.
    pub(super) map: MapId,
    /// Names in a directory.
    pub(super) entries: u64,
    /// Length of the list of extended attribute names; 0 = no attributes.
    pub(super) xattr_list_len: u32,
    /// Bytes of extended attributes, names and values.
    pub(super) xattr_bytes: u32,
    /// Inline content or symlink target.
    pub(super) content: Content,
}

const FIXED_LEN: usize = 1 + ATTR_RECORD_LEN + 8 + 8 + 8 + 4 + 4 + 1;

impl Inode {
    pub(super) fn ino(&self) -> InodeId {
        self.attr.ino
    }

    pub(super) fn is_dir(&self) -> bool {
        self.attr.kind == FileKind::Directory
    }

    /// Whether it lives only because somebody holds it open.
    pub(super) fn is_orphan(&self) -> bool {
        self.attr.nlink == 0
    }

    /// Whether back links say where its names are.
    pub(super) fn has_back_links(&self) -> bool {
        !self.is_dir() && self.attr.nlink > 1
    }

    /// Whether there may be blocks in its map.
    pub(super) fn has_blocks(&self) -> bool {
        self.attr.allocated > self.inline().len() as u64
    }

    /// The bytes kept in the record; none for whatever is no regular file.
    pub(super) fn inline(&self) -> &[u8] {
        match &self.content {
            Content::Inline(bytes) => bytes,
            Content::None | Content::Target(_) => &[],
        }
    }

    /// Bytes a cache entry takes, about.
    pub(super) fn weight(&self) -> usize {
        let content = match &self.content {
            Content::None => 0,
            Content::Inline(bytes) | Content::Target(bytes) => bytes.len(),
        };
        size_of::<Self>() + 64 + content
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, content): (u8, &[u8]) = match &self.content {
            Content::None => (0, &[]),
            Content::Inline(bytes) => (1, bytes),
            Content::Target(bytes) => (2, bytes),
        };
        let mut value = Vec::with_capacity(FIXED_LEN + content.len());
        value.push(VALUE_VERSION);
        value.extend_from_slice(&self.attr.to_record());
        value.extend_from_slice(&self.parent.0.to_be_bytes());
        value.extend_from_slice(&self.map.0.to_be_bytes());
        value.extend_from_slice(&self.entries.to_be_bytes());
        value.extend_from_slice(&self.xattr_list_len.to_be_bytes());
        value.extend_from_slice(&self.xattr_bytes.to_be_bytes());
        value.push(tag);
        value.extend_from_slice(content);
        value
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, EngineError> {
        Self::parse(value).ok_or_else(|| EngineError::corrupt(format_args!("inode record {value:02x?}")))
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let rest = value.strip_prefix(&[VALUE_VERSION])?;
        let (record, rest) = rest.split_first_chunk::<ATTR_RECORD_LEN>()?;
        let (parent, rest) = rest.split_first_chunk()?;
        let (map, rest) = rest.split_first_chunk()?;
        let (entries, rest) = rest.split_first_chunk()?;
        let (xattr_list_len, rest) = rest.split_first_chunk()?;
        let (xattr_bytes, rest) = rest.split_first_chunk()?;
        let (tag, content) = rest.split_first()?;
        let content = match tag {
            0 if content.is_empty() => Content::None,
            1 if content.len() <= INLINE_MAX as usize => Content::Inline(Bytes::copy_from_slice(content)),
            2 => Content::Target(Bytes::copy_from_slice(content)),
            _ => return None,
        };
        Some(Self {
            attr: Attr::from_record(record)?,
            parent: InodeId(u64::from_be_bytes(*parent)),
            map: MapId(u64::from_be_bytes(*map)),
            entries: u64::from_be_bytes(*entries),
            xattr_list_len: u32::from_be_bytes(*xattr_list_len),
            xattr_bytes: u32::from_be_bytes(*xattr_bytes),
            content,
        })
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dentry {
    pub(super) ino: InodeId,
    pub(super) kind: FileKind,
}

impl Dentry {
    pub(super) fn encode(self) -> [u8; 10] {
        let mut value = [0; 10];
        value[0] = VALUE_VERSION;
        value[1..9].copy_from_slice(&self.ino.0.to_be_bytes());
        value[9] = self.kind as u8;
        value
    }

    pub(super) fn decode(value: &[u8]) -> Result<Self, EngineError> {
        let parse = || {
            let (ino, rest) = value.strip_prefix(&[VALUE_VERSION])?.split_first_chunk()?;
            let [kind] = rest else { return None };
            Some(Self { ino: InodeId(u64::from_be_bytes(*ino)), kind: FileKind::from_d_type(*kind)? })
        };
        parse().ok_or_else(|| EngineError::corrupt(format_args!("dentry record {value:02x?}")))
    }
}

/// Writes a record that is not on the hot path: version byte, then postcard.
pub(super) fn encode_record<T: Serialize>(record: &T) -> Vec<u8> {
    postcard::to_extend(record, vec![VALUE_VERSION])
        .expect("records are plain data: writing them to memory cannot fail")
}

/// Reads what [`encode_record`] wrote; `what` names it in the error.
pub(super) fn decode_record<T: DeserializeOwned>(what: &'static str, value: &[u8]) -> Result<T, EngineError> {
    let parse = || match postcard::take_from_bytes(value.strip_prefix(&[VALUE_VERSION])?) {
        Ok((record, [])) => Some(record),
        _ => None,
    };
    parse().ok_or_else(|| EngineError::corrupt(format_args!("{what} record {:02x?}", &value[..value.len().min(64)])))
}

/// Pieces of a block.
pub(super) fn decode_block(value: &[u8]) -> Result<Vec<Piece>, EngineError> {
    decode_record("block", value)
}

/// Sessions that hold an orphan open.
pub(super) fn decode_holders(value: &[u8]) -> Result<Vec<SessionId>, EngineError> {
    decode_record("orphan", value)
}
