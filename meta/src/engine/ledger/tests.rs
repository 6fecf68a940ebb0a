use bytes::Bytes;
use proto::{Attr, BlockIndex, FileKind, InodeId, ObjectId, Piece, StoredFrame, Timespec};

use super::*;

const APPLIED: Standing = Standing::Applied { inherited: false };

fn standing(window: &Window, operation: u64) -> Standing {
    window.standing(OperationId(operation))
}

#[test]
fn operations_arrive_out_of_order() {
    let mut window = Window::default();
    window.note(OperationId(3));
    window.note(OperationId(1));
    assert_eq!([1, 2, 3, 4].map(|id| standing(&window, id)), [APPLIED, Standing::New, APPLIED, Standing::New]);
}

#[test]
fn slot_of_an_older_operation_is_free_for_the_newer_one() {
    let mut window = Window::default();
    window.note(OperationId(5));
    window.note(OperationId(260));
    assert_eq!(standing(&window, 5), APPLIED);
    assert_eq!(standing(&window, 261), Standing::New);
    window.note(OperationId(262));
    assert_eq!(standing(&window, 5), Standing::Outside);
    assert_eq!(standing(&window, 261), Standing::New);
}

#[test]
fn zero_and_ids_behind_the_window_are_outside() {
    let mut window = Window::default();
    window.note(OperationId(u64::MAX));
    assert_eq!(standing(&window, 0), Standing::Outside);
    assert_eq!(standing(&window, 1), Standing::Outside);
    assert_eq!(standing(&window, u64::MAX), APPLIED);
    assert_eq!(standing(&window, u64::MAX - 1), Standing::New);
}

#[test]
fn inherited_operation_is_so_until_noted() {
    let mut window = Window::inherit(&[OperationId(300), OperationId(2), OperationId(299)]);
    assert_eq!(standing(&window, 300), Standing::Applied { inherited: true });
    assert_eq!(standing(&window, 2), Standing::Outside);
    window.note(OperationId(300));
    assert_eq!(standing(&window, 300), APPLIED);
    assert_eq!(standing(&window, 299), Standing::Applied { inherited: true });
}

#[test]
fn block_map_of_an_opened_file_is_not_kept() {
    let time = Timespec { secs: 1 << 40, nanos: 999_999_999 };
    let attr = Attr {
        uid: 1000,
        gid: 1000,
        size: 1 << 40,
        allocated: 1 << 40,
        version: 7,
        ..Attr::new(InodeId(1 << 40), FileKind::Regular, 0o644, time)
    };
    let frames = vec![StoredFrame::new(1 << 17, false); 32];
    let piece = Piece { start: 0, end: 9, origin: 0, len: 9, object: ObjectId(5), object_offset: 0, frames };
    let blocks: Vec<_> = (0..16).map(|index| (BlockIndex(index), vec![piece.clone(); 100])).collect();
    let inline = Some(Bytes::from_static(b"content"));
    let layout = Layout { version: 7, inline, first: BlockIndex(0), behind: BlockIndex(16), blocks };
    let record = encode(OperationId(9), &Reply::Opened(attr, layout));
    assert!(record.len() < 256, "{} bytes", record.len());
    let silent = Layout { version: 7, inline: None, first: BlockIndex(0), behind: BlockIndex(0), blocks: Vec::new() };
    assert_eq!(decode(&record).unwrap(), (OperationId(9), Reply::Opened(attr, silent)));
}
