//! Packed directory records: what `ReadDir` answers, in a form that costs nothing to walk.
//!
//! A record is: inode id (8), offset (8), type (1), whether an attribute record follows (1), length of the name (2),
//! the name, the attribute record. Numbers are little-endian. The offset is where a listing goes on behind the record.

use crate::{ATTR_RECORD_LEN, Attr, FileKind, InodeId, NAME_MAX};

/// One name of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirRecord<'a> {
    /// The file the name stands for.
    pub ino: InodeId,
    /// Where a listing goes on behind this record; never 0.
    pub offset: u64,
    /// Type of the file.
    pub kind: FileKind,
    /// The name.
    pub name: &'a [u8],
    /// Its attributes, in a listing that asked for them.
    pub attr: Option<Attr>,
}

const HEADER_LEN: usize = 20;

impl DirRecord<'_> {
    /// Bytes that [`DirRecord::encode`] appends.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        HEADER_LEN + self.name.len() + if self.attr.is_some() { ATTR_RECORD_LEN } else { 0 }
    }

    /// Appends the record. The name is at most [`NAME_MAX`] long.
    pub fn encode(&self, into: &mut Vec<u8>) {
        assert!(self.name.len() <= NAME_MAX, "names are checked where they enter");
        into.extend_from_slice(&self.ino.0.to_le_bytes());
        into.extend_from_slice(&self.offset.to_le_bytes());
        into.push(self.kind as u8);
        into.push(u8::from(self.attr.is_some()));
        into.extend_from_slice(&(self.name.len() as u16).to_le_bytes());
        into.extend_from_slice(self.name);
        if let Some(attr) = &self.attr {
            into.extend_from_slice(&attr.to_record());
        }
    }
}

/// Walks packed records. Ends at the first byte that is no record: a peer's mistake shows as a short listing
/// only if the caller ignores [`DirRecords::is_clean`].
#[derive(Clone, Debug)]
pub struct DirRecords<'a> {
    rest: &'a [u8],
}

impl<'a> DirRecords<'a> {
    /// A walk over `records`.
    #[must_use]
    pub const fn new(records: &'a [u8]) -> Self {
        Self { rest: records }
    }

    /// Whether the walk stopped because nothing is left.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.rest.is_empty()
    }

    fn parse(&self) -> Option<(DirRecord<'a>, &'a [u8])> {
        let (header, rest) = self.rest.split_first_chunk::<HEADER_LEN>()?;
        let ino = InodeId(u64::from_le_bytes(header[0..8].try_into().ok()?));
        let offset = u64::from_le_bytes(header[8..16].try_into().ok()?);
        let kind = FileKind::from_d_type(header[16])?;
        let name_len = usize::from(u16::from_le_bytes([header[18], header[19]]));
        let (name, rest) = rest.split_at_checked(name_len)?;
        let (attr, rest) = match header[17] {
            0 => (None, rest),
            1 => {
                let (record, rest) = rest.split_first_chunk::<ATTR_RECORD_LEN>()?;
                (Some(Attr::from_record(record)?), rest)
            }
            _ => return None,
        };
        (offset != 0 && name_len <= NAME_MAX).then_some((DirRecord { ino, offset, kind, name, attr }, rest))
    }
}

impl<'a> Iterator for DirRecords<'a> {
    type Item = DirRecord<'a>;

    fn next(&mut self) -> Option<DirRecord<'a>> {
        let (record, rest) = self.parse()?;
        self.rest = rest;
        Some(record)
    }
}

#[cfg(test)]
mod tests;
