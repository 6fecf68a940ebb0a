use proptest::prelude::*;

use super::*;

const BLOCK: u32 = 4096;

#[derive(Clone, Debug)]
struct Put {
    start: u32,
    len: u32,
    fill: bool,
}

fn put() -> impl Strategy<Value = Put> {
    let range = (0..BLOCK).prop_flat_map(|start| (Just(start), 1..=(BLOCK - start).min(300)));
    (range, prop::bool::weighted(0.1)).prop_map(|((start, len), fill)| Put { start, len, fill })
}

proptest! {
    #[test]
    fn buffer_holds_the_newest_byte_of_each_place(puts in prop::collection::vec(put(), 0..200)) {
        let mut buffer = BlockBuffer::default();
        let mut model = vec![None; BLOCK as usize];
        for (seed, Put { start, len, fill }) in puts.into_iter().enumerate() {
            let data = vec![seed as u8; len as usize];
            if fill {
                buffer.fill_gaps(start, &data, BLOCK);
            } else {
                buffer.write(start, &data, BLOCK);
            }
            for place in &mut model[start as usize..(start + len) as usize] {
                if place.is_none() || !fill {
                    *place = Some(seed as u8);
                }
            }
        }
        let mut shown = vec![None; BLOCK as usize];
        for (start, slice) in buffer.slices(0, BLOCK) {
            for (at, byte) in slice.iter().enumerate() {
                prop_assert_eq!(shown[start as usize + at].replace(*byte), None);
            }
        }
        prop_assert_eq!(&shown, &model);
        prop_assert_eq!(buffer.len(), model.iter().flatten().count());
        let runs_expected = model.chunk_by(|a, b| a.is_some() == b.is_some()).filter(|run| run[0].is_some()).count();
        prop_assert_eq!(buffer.run_count(), runs_expected);
        let runs = buffer.into_runs();
        prop_assert_eq!(runs.len(), runs_expected);
        for run in runs {
            let bytes = run.chunks.concat();
            let expected = model[run.start as usize..run.start as usize + bytes.len()].iter();
            prop_assert!(bytes.iter().eq(expected.flatten()));
        }
    }
}

#[test]
fn bytes_of_a_writer_in_order_are_copied_once() {
    let mut buffer = BlockBuffer::default();
    let block_size = 4 << 20;
    let data = vec![1; 1 << 20];
    buffer.write(0, &data, block_size);
    let place = buffer.slices(0, 1).next().unwrap().1.as_ptr();
    for start in [1 << 20, 2 << 20, 3 << 20] {
        buffer.write(start, &data, block_size);
    }
    assert_eq!(buffer.slices(0, 1).next().unwrap().1.as_ptr(), place, "no write moved what was there");
    let runs = buffer.into_runs();
    assert_eq!(runs[0].chunks.len(), 1);
    assert_eq!(runs[0].chunks[0].as_ptr(), place, "sealing does not copy");
}

#[test]
fn writer_that_goes_backwards_ends_with_few_extents() {
    let mut buffer = BlockBuffer::default();
    for start in (0..BLOCK).rev() {
        buffer.write(start, &[start as u8], BLOCK);
        assert!(buffer.extents.len() <= 2 * EXTENTS_FREE);
    }
    assert_eq!(buffer.run_count(), 1);
}
