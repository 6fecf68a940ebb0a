use proptest::prelude::*;

use super::*;
use crate::{StoredFrame, insert_piece, punch};

const BLOCK: u32 = 256;
const INLINE: u32 = 40;

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

/// What a byte of the block is: as stored, and whose it is (0 = nobody's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Byte {
    source: Source,
    writer: u64,
}

/// A block, byte by byte.
#[derive(Clone)]
struct Model {
    bytes: Vec<Byte>,
    version: u64,
    inline_end: u32,
}

impl Model {
    fn new() -> Self {
        let hole = Byte { source: Source::Hole, writer: 0 };
        let mut bytes = vec![hole; BLOCK as usize];
        bytes[..INLINE as usize].fill(Byte { source: Source::Inline(0), writer: 1 });
        Self { bytes, version: 7, inline_end: INLINE }
    }

    /// Where the byte would be copied from now.
    fn source(&self, at: u32) -> Source {
        match self.bytes[at as usize].source {
            Source::Inline(_) => Source::Inline(self.version),
            source => source,
        }
    }

    fn below(&self) -> Below {
        Below { inline_end: self.inline_end, version: self.version, end: BLOCK }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(u32, u32),
    Punch(u32, u32),
    /// Takes a copy of the block, to rewrite by later.
    Look,
    /// Writes the ranges and copies what is between from the last copy.
    Rewrite(Vec<(u32, u32)>, u32, u32),
    ForgetInline,
    Otherwise,
}

fn range() -> impl Strategy<Value = (u32, u32)> {
    (0..BLOCK).prop_flat_map(|start| (Just(start), start + 1..=BLOCK.min(start + 60)))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => range().prop_map(|(start, end)| Step::Write(start, end)),
        1 => range().prop_map(|(start, end)| Step::Punch(start, end)),
        2 => Just(Step::Look),
        4 => (prop::collection::vec(range(), 0..5), 0..=BLOCK, 0..=BLOCK).prop_map(|(w, a, b)| Step::Rewrite(w, a, b)),
        1 => Just(Step::ForgetInline),
        1 => Just(Step::Otherwise),
    ]
}

/// A rewrite of `start..end` by an old copy of the block. Returns also which bytes were written.
fn rewrite(object: u64, old: &Model, written: &[(u32, u32)], start: u32, end: u32) -> Option<(Rewrite, Vec<bool>)> {
    let is_written = |at: u32| written.iter().any(|(start, end)| (*start..*end).contains(&at));
    let (start, end) = (start.min(end), start.max(end));
    if start == end {
        return None;
    }
    let mut copied: Vec<Copied> = Vec::new();
    for at in (start..end).filter(|at| !is_written(*at)) {
        let source = old.source(at);
        match copied.last_mut() {
            Some(last) if last.end == at && last.source == source => last.end += 1,
            _ => copied.push(Copied { start: at, end: at + 1, source }),
        }
    }
    let flags = (0..BLOCK).map(|at| (start..end).contains(&at) && is_written(at)).collect();
    Some((Rewrite { piece: piece(object, start, end), copied }, flags))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn rewriting_by_an_old_map_changes_no_byte_but_those_that_were_written(
        steps in proptest::collection::vec(step(), 0..30)
    ) {
        let mut pieces = Vec::new();
        let mut model = Model::new();
        let mut old = model.clone();
        for (step, object) in steps.into_iter().zip(100..) {
            match step {
                Step::Write(start, end) => {
                    insert_piece(&mut pieces, piece(object, start, end));
                    let byte = Byte { source: Source::Object(ObjectId(object)), writer: object };
                    model.bytes[start as usize..end as usize].fill(byte);
                    model.version += 1;
                }
                Step::Punch(start, end) => {
                    punch(&mut pieces, start, end);
                    for at in start..end {
                        // The inode record keeps its bytes, as zeroes.
                        let source = if at < model.inline_end { Source::Inline(0) } else { Source::Hole };
                        model.bytes[at as usize] = Byte { source, writer: 0 };
                    }
                    model.version += 1;
                }
                Step::Look => old = model.clone(),
                Step::Rewrite(written, a, b) => {
                    let Some((rewrite, is_written)) = rewrite(object, &old, &written, a, b) else { continue };
                    prop_assert!(rewrite.is_valid(BLOCK));
                    rewrite.apply(&mut pieces, model.below());
                    let range = rewrite.piece.start..rewrite.piece.end;
                    for at in range.map(|at| at as usize) {
                        let new = Source::Object(ObjectId(object));
                        if is_written[at] {
                            model.bytes[at] = Byte { source: new, writer: object };
                        } else if model.source(at as u32) == old.source(at as u32) {
                            // What is copied is the same bytes: nobody else's, and nobody loses any.
                            prop_assert_eq!(model.bytes[at].writer, old.bytes[at].writer);
                            model.bytes[at].source = new;
                        }
                    }
                    model.version += 1;
                }
                Step::ForgetInline => {
                    let visible = model.bytes.iter().any(|byte| matches!(byte.source, Source::Inline(_)));
                    model.inline_end = if visible { model.inline_end } else { 0 };
                }
                Step::Otherwise => model.version += 1,
            }
        }
        let mut seen: Vec<Source> = (0..BLOCK)
            .map(|at| if at < model.inline_end { Source::Inline(0) } else { Source::Hole })
            .collect();
        let mut behind = 0;
        for piece in &pieces {
            prop_assert!(piece.is_valid(BLOCK) && piece.start >= behind);
            behind = piece.end;
            seen[piece.start as usize..piece.end as usize].fill(Source::Object(piece.object));
        }
        let expected: Vec<Source> = model.bytes.iter().map(|byte| byte.source).collect();
        prop_assert_eq!(seen, expected);
    }
}

fn copied(start: u32, end: u32, source: Source) -> Copied {
    Copied { start, end, source }
}

#[test]
fn rewrite_of_an_unchanged_block_is_one_piece() {
    let mut pieces = vec![piece(1, 10, 20), piece(2, 30, 40), piece(3, 40, 50)];
    let object = |id| Source::Object(ObjectId(id));
    let copies = [(0, 10, Source::Inline(4)), (10, 20, object(1)), (20, 25, Source::Hole), (30, 40, object(2))];
    let copies = copies.into_iter().chain([(40, 50, object(3))]);
    let copied = copies.map(|(start, end, source)| copied(start, end, source)).collect();
    let rewrite = Rewrite { piece: piece(9, 0, 50), copied };
    rewrite.apply(&mut pieces, Below { inline_end: 10, version: 4, end: 50 });
    assert_eq!(pieces, [piece(9, 0, 50)]);
}

#[test]
fn copied_zeroes_do_not_reach_behind_the_end_of_the_file() {
    let mut pieces = Vec::new();
    let copies = vec![copied(10, 40, Source::Hole), copied(40, 50, Source::Object(ObjectId(1)))];
    let rewrite = Rewrite { piece: piece(9, 0, 50), copied: copies };
    assert_eq!(rewrite.written_end(), Some(10));
    rewrite.apply(&mut pieces, Below { inline_end: 0, version: 1, end: 10 });
    assert_eq!(pieces, [Piece { end: 10, ..piece(9, 0, 50) }]);
}

#[test]
fn written_end_is_that_of_the_last_byte_that_is_no_copy() {
    let ends = |copies: &[(u32, u32)]| {
        let copied = copies.iter().map(|(start, end)| copied(*start, *end, Source::Hole)).collect();
        Rewrite { piece: piece(9, 0, 50), copied }.written_end()
    };
    assert_eq!(ends(&[]), Some(50));
    assert_eq!(ends(&[(0, 50)]), None);
    assert_eq!(ends(&[(0, 20), (20, 50)]), None);
    assert_eq!(ends(&[(0, 20), (21, 30), (30, 50)]), Some(21));
    assert_eq!(ends(&[(0, 20), (21, 49)]), Some(50));
}

#[test]
fn copies_that_do_not_fit_are_invalid() {
    let is_valid = |copies: &[(u32, u32)]| {
        let copied = copies.iter().map(|(start, end)| copied(*start, *end, Source::Nowhere)).collect();
        Rewrite { piece: piece(9, 10, 50), copied }.is_valid(BLOCK)
    };
    assert!(is_valid(&[(10, 20), (20, 50)]));
    for wrong in [&[(9, 20)][..], &[(10, 51)], &[(20, 20)], &[(20, 10)], &[(20, 30), (29, 40)], &[(u32::MAX, 0)]] {
        assert!(!is_valid(wrong), "{wrong:?}");
    }
}
