use proptest::prelude::*;

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
        frames: vec![StoredFrame::new(end - start, false)],
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(u32, u32),
    Punch(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let range = (0..BLOCK).prop_flat_map(|start| (Just(start), start + 1..=BLOCK));
    (any::<bool>(), range).prop_map(|(write, (start, end))| match write {
        true => Step::Write(start, end),
        false => Step::Punch(start, end),
    })
}

proptest! {
    #[test]
    fn pieces_say_of_every_byte_who_wrote_it_last(steps in proptest::collection::vec(step(), 0..40)) {
        let mut pieces = Vec::new();
        // The model: for each byte the object that wrote it last, and the byte's place in that object.
        let mut model = vec![None; BLOCK as usize];
        for (object, step) in steps.into_iter().enumerate() {
            match step {
                Step::Write(start, end) => {
                    insert_piece(&mut pieces, piece(object as u64, start, end));
                    (start..end).for_each(|at| model[at as usize] = Some((object as u64, at - start)));
                }
                Step::Punch(start, end) => {
                    punch(&mut pieces, start, end);
                    (start..end).for_each(|at| model[at as usize] = None);
                }
            }
        }
        let mut seen = vec![None; BLOCK as usize];
        let mut behind = 0;
        for piece in &pieces {
            prop_assert!(piece.is_valid(BLOCK));
            prop_assert!(piece.start >= behind);
            behind = piece.end;
            (piece.start..piece.end).for_each(|at| seen[at as usize] = Some((piece.object.0, at - piece.origin)));
        }
        prop_assert_eq!(allocated(&pieces), model.iter().flatten().count() as u64);
        prop_assert_eq!(seen, model);
    }
}

#[test]
fn piece_of_a_hostile_peer_is_seen_through() {
    let good = piece(1, 0, 100);
    assert!(good.is_valid(BLOCK));
    assert!(!Piece { end: 101, ..good.clone() }.is_valid(BLOCK));
    assert!(!Piece { origin: u32::MAX, ..good.clone() }.is_valid(BLOCK));
    assert!(!Piece { start: 100, ..good.clone() }.is_valid(BLOCK));
    assert!(!Piece { frames: vec![], ..good.clone() }.is_valid(BLOCK));
    assert!(!Piece { len: BLOCK + 1, end: BLOCK + 1, ..good }.is_valid(BLOCK));
}
