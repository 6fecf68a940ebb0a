//! Pure parts of the daemon for whoever counts their instructions. In no product: behind the feature `counted`.

use bytes::Bytes;
use fuse_backend_rs::abi::fuse_abi::{self as abi, Opcode};
use proto::{Attr, Close, FileKind, InodeId, Timespec};

use crate::adapter::{Answer, Open, Presentation, bytes_of, encode, parse};
use crate::state::{HandleTable, OpenFiles};

pub use crate::data::CountedFile;

/// Attributes of a file.
#[must_use]
pub fn attr(ino: u64) -> Attr {
    let time = Timespec { secs: 1_700_000_000, nanos: 1 };
    Attr {
        uid: 1000,
        gid: 1000,
        size: 1 << 40,
        allocated: 1 << 20,
        version: 7,
        ..Attr::new(InodeId(ino), FileKind::Regular, 0o644, time)
    }
}

/// The tables of open files and of their handles.
#[derive(Debug, Default)]
pub struct Tables {
    files: OpenFiles,
    handles: HandleTable<u64>,
}

impl Tables {
    /// Opens `count` files, uses each of them, and closes them again.
    #[must_use]
    pub fn open_use_close(&self, count: u64) -> usize {
        let open = Open { read: true, write: true, ..Open::default() };
        let handles: Vec<_> = (1..=count)
            .map(|ino| {
                self.files.opened(&attr(ino), &open);
                self.handles.insert(ino)
            })
            .collect();
        let used = handles.iter().filter(|handle| {
            let ino = self.handles.find(**handle).map(|ino| InodeId(*ino));
            ino.is_ok_and(|ino| self.files.permit_use(ino).is_ok())
        });
        let used = used.count();
        for handle in &handles {
            if let Some(ino) = self.handles.remove(*handle) {
                let ino = InodeId(*ino);
                self.files.closed(ino, true, false);
                self.files.released(&[Close { ino, count: 1, atime: None }], true);
            }
        }
        used
    }
}

/// Messages of the kernel and answers to it.
#[derive(Debug)]
pub struct KernelMessages {
    requests: Vec<Vec<u8>>,
    presentation: Presentation,
}

impl KernelMessages {
    /// `count` of each: lookup, read, write of 4 KiB.
    #[must_use]
    pub fn new(count: u64) -> Self {
        let presentation = Presentation::usual();
        let requests = (0..count).flat_map(|number| {
            let read = abi::ReadIn { fh: number, offset: number << 12, size: 4096, ..Default::default() };
            let write = abi::WriteIn { fh: number, offset: number << 12, size: 4096, ..Default::default() };
            [
                message(Opcode::Lookup, number, &[b"some-file-name\0"]),
                message(Opcode::Read, number, &[bytes_of(&read)]),
                message(Opcode::Write, number, &[bytes_of(&write), &[0; 4096]]),
            ]
        });
        Self { requests: requests.collect(), presentation }
    }

    /// Reads every message and writes an answer with attributes to it; bytes of the answers.
    #[must_use]
    pub fn read_and_answer(&self) -> usize {
        let answer = |message: &Vec<u8>| {
            let incoming = parse(message, InodeId::ROOT, |place| Bytes::copy_from_slice(&message[place]))?;
            incoming.operation.ok()?;
            let answer = Answer::Entry(attr(incoming.ino.0));
            Some(encode(incoming.unique, Ok(answer), &self.presentation).head.len())
        };
        self.requests.iter().filter_map(answer).sum()
    }
}

fn message(opcode: Opcode, number: u64, body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let header = abi::InHeader {
        len: (size_of::<abi::InHeader>() + body.len()) as u32,
        opcode: opcode as u32,
        unique: number + 1,
        nodeid: number + 2,
        ..Default::default()
    };
    [bytes_of(&header), &body].concat()
}
