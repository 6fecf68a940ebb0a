use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    Attr, AttrChanges, BlockIndex, Caller, Commit, Event, FileKind, Greeting, Hello, InodeId, Layout, Name,
    OperationId, Redacted, Refused, Reply, ReplyFrame, Request, RequestFrame, Sequence, Timespec, Took,
};

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode::<RequestFrame>(&bytes);
        let _ = decode::<ReplyFrame>(&bytes);
        let _ = decode::<Hello>(&bytes);
        let _ = decode::<Greeting>(&bytes);
        let _ = decode::<Event>(&bytes);
    }

    #[test]
    fn damaged_messages_never_panic(at in 0usize..200, byte in any::<u8>(), cut in 0usize..200) {
        for mut bytes in [encode(&request()), encode(&reply())] {
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(bytes.len() - cut % bytes.len());
            let _ = decode::<RequestFrame>(&bytes);
            let _ = decode::<ReplyFrame>(&bytes);
        }
    }
}

fn request() -> RequestFrame {
    let commit = Commit {
        ino: InodeId(77),
        changes: Vec::new(),
        inline: Some(Bytes::from_static(b"content")),
        base_version: 3,
        size_min: 7,
        mtime: Timespec { secs: 1, nanos: 2 },
        durable: true,
    };
    let caller = Caller { uid: 1000, gid: 100, groups: Some(vec![4, 24]) };
    RequestFrame { operation: Some(OperationId(9)), caller, request: Request::Commit(commit) }
}

fn attr() -> Attr {
    let time = Timespec { secs: -1, nanos: 999_999_999 };
    Attr {
        nlink: 2,
        uid: 3,
        gid: 4,
        rdev: 5,
        size: 6,
        allocated: 7,
        version: 8,
        ..Attr::new(InodeId(u64::MAX), FileKind::Regular, 0o4755, time)
    }
}

fn reply() -> ReplyFrame {
    let layout = Layout {
        version: 8,
        inline: None,
        first: BlockIndex(0),
        behind: BlockIndex(4),
        blocks: vec![(BlockIndex(1), vec![])],
    };
    ReplyFrame {
        sequence: Sequence(5),
        durable: Sequence(4),
        dirs: vec![attr()],
        took: Took { micros: 12_345, disk_micros: 12_000 },
        result: Ok(Reply::Opened(attr(), layout)),
    }
}

#[test]
fn messages_come_back_as_they_went() {
    assert_eq!(decode::<RequestFrame>(&encode(&request())).unwrap(), request());
    assert_eq!(decode::<ReplyFrame>(&encode(&reply())).unwrap(), reply());
    let refused = ReplyFrame { result: Err(Refused::NeedGroups), ..reply() };
    assert_eq!(decode::<ReplyFrame>(&encode(&refused)).unwrap(), refused);
}

#[test]
fn bytes_behind_a_message_are_refused() {
    let mut bytes = encode(&request());
    bytes.push(0);
    assert!(matches!(decode::<RequestFrame>(&bytes), Err(DecodeError::Trailing(1))));
}

#[test]
fn forged_names_do_not_get_through() {
    for forged in [&b".."[..], b".", b"", b"a/b", b"a\0b", &[b'x'; 256]] {
        let mut bytes = encode(&Request::Lookup { parent: InodeId(1), name: Name::new(b"n").unwrap() });
        bytes.truncate(bytes.len() - 2);
        bytes.extend(encode(&Bytes::copy_from_slice(forged)));
        assert!(decode::<Request>(&bytes).is_err(), "{forged:?}");
    }
}

#[test]
fn secrets_are_not_shown() {
    let secret = Redacted("hunter2".to_owned());
    assert_eq!(format!("{secret:?}"), "***");
}

#[test]
fn only_mutations_are_said_to_change_something() {
    assert!(Request::SetAttr { ino: InodeId(1), changes: AttrChanges::default(), by_handle: false }.is_mutation());
    assert!(!Request::StatFs.is_mutation());
}
