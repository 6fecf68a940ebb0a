use std::collections::BTreeSet;

use proptest::prelude::*;
use proto::{BlockIndex, ObjectId, StoredFrame};

use super::*;

const BLOCK: u32 = 4096;

fn piece(object: u64, start: u32, end: u32) -> Piece {
    Piece {
        start,
        end,
        origin: start,
        len: end - start,
        object: ObjectId(object),
        object_offset: 0,
        frames: vec![StoredFrame::new(end - start + 8, false)],
    }
}

fn layout(first: u64, behind: u64, blocks: Vec<(u64, Vec<Piece>)>) -> Layout {
    Layout {
        version: 1,
        inline: None,
        first: BlockIndex(first),
        behind: BlockIndex(behind),
        blocks: blocks.into_iter().map(|(index, pieces)| (BlockIndex(index), pieces)).collect(),
    }
}

fn pieces(map: &BlockMap, index: u64) -> Option<usize> {
    match map.block(index) {
        KnownBlock::Unknown => None,
        KnownBlock::Hole => Some(0),
        KnownBlock::Pieces(pieces) => Some(pieces.len()),
    }
}

proptest! {
    #[test]
    fn exactly_what_was_learned_is_known(ranges in prop::collection::vec((0u64..60, 0u64..10), 0..20)) {
        let mut map = BlockMap::empty();
        let mut model = BTreeSet::new();
        for (start, len) in ranges {
            map.learn_holes(start..start + len);
            model.extend(start..start + len);
        }
        for index in 0..80 {
            prop_assert_eq!(pieces(&map, index).is_some(), model.contains(&index));
        }
    }
}

#[test]
fn commit_changes_known_blocks_and_leaves_unknown_ones_unknown() {
    let mut map = BlockMap::default();
    map.learn(layout(0, 4, vec![(2, vec![piece(1, 0, 4096)])]));
    let around = Change { block_size: BLOCK, version: 1, size: 1 << 20 };
    map.apply(BlockChange::Write(BlockIndex(2), piece(2, 100, 200)), around);
    map.apply(BlockChange::Write(BlockIndex(3), piece(3, 0, 10)), around);
    map.apply(BlockChange::Write(BlockIndex(9), piece(4, 0, 10)), around);
    assert_eq!((0..5).map(|index| pieces(&map, index)).collect::<Vec<_>>(), [Some(0), Some(0), Some(3), Some(1), None]);
    assert_eq!(pieces(&map, 9), None);
    map.apply(BlockChange::Punch(BlockIndex(3), 0, 4096), around);
    assert_eq!(pieces(&map, 3), Some(0));
}

#[test]
fn truncation_clips_the_last_block_and_forgets_those_behind() {
    let mut map = BlockMap::default();
    map.learn(layout(0, 4, (0..4).map(|index| (index, vec![piece(index, 0, 4096)])).collect()));
    map.truncate(4096 + 100, BLOCK);
    assert_eq!(pieces(&map, 0), Some(1));
    match map.block(1) {
        KnownBlock::Pieces(pieces) => assert_eq!(pieces[0].end, 100),
        _ => panic!("the second block is known"),
    }
    assert_eq!(pieces(&map, 2), None);

    let mut map = BlockMap::of_inline(Bytes::from_static(b"hello"), 1);
    map.truncate(2, BLOCK);
    assert_eq!(map.inline().map(|inline| &inline[..]), Some(&b"he"[..]));
}

#[test]
fn map_that_grows_too_large_keeps_what_was_asked_for() {
    let mut map = BlockMap::default();
    for first in (0..10_000u64).step_by(1000) {
        map.learn(layout(
            first,
            first + 1000,
            (first..first + 1000).map(|index| (index, vec![piece(1, 0, 5)])).collect(),
        ));
        assert_eq!(pieces(&map, first), Some(1));
        let BlockMap::Known(known) = &map else { panic!("a map of blocks") };
        assert!(known.blocks.len() <= BLOCKS_KEPT_MAX);
    }
    assert_eq!(pieces(&map, 0), None);
}

#[test]
fn map_of_blocks_of_many_pieces_is_bounded_too() {
    let mut map = BlockMap::default();
    let many: Vec<Piece> = (0..200).map(|number| piece(number.into(), number * 20, number * 20 + 10)).collect();
    for first in (0..2000u64).step_by(100) {
        map.learn(layout(first, first + 100, (first..first + 100).map(|index| (index, many.clone())).collect()));
        assert_eq!(pieces(&map, first), Some(200));
        let BlockMap::Known(known) = &map else { panic!("a map of blocks") };
        assert!(known.blocks.values().map(|pieces| pieces.len()).sum::<usize>() <= PIECES_KEPT_MAX);
    }
}
