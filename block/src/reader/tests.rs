use std::time::Duration;

use proptest::prelude::*;
use proto::{Compression, ObjectId, insert_piece};

use super::*;
use crate::MemoryStore;

const MEMORY: usize = 4 << 20;

struct World {
    store: Arc<MemoryStore>,
    reader: Arc<BlockReader>,
    pieces: Vec<Piece>,
    model: Vec<u8>,
    next_object: u64,
}

impl World {
    fn new(block_len: usize, memory_max: usize) -> Self {
        let store = Arc::new(MemoryStore::new());
        let reader = Arc::new(BlockReader::new(store.clone(), memory_max));
        Self { store, reader, pieces: Vec::new(), model: vec![0; block_len], next_object: 1 }
    }

    async fn write(&mut self, start: usize, data: Vec<u8>) {
        self.model[start..start + data.len()].copy_from_slice(&data);
        let object = ObjectId(self.next_object);
        self.next_object += 1;
        let (piece, body) = frame::encode(object, start as u32, &[data.into()], Compression::Lz4);
        self.store.put(object, body).await.unwrap();
        insert_piece(&mut self.pieces, piece);
    }

    async fn read(&self, start: usize, end: usize) -> Result<Vec<u8>, StoreError> {
        Ok(self.reader.read(&self.pieces, start as u32, end as u32).await?.concat())
    }
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|at| ((at * 31 + seed * 101) ^ (at >> 7)) as u8).collect()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn reader_shows_the_newest_write_of_every_byte(
        writes in prop::collection::vec((0usize..600_000, 1usize..200_000), 1..8),
        reads in prop::collection::vec((0usize..600_000, 0usize..300_000), 1..6),
    ) {
        const LEN: usize = 600_000;
        block_on(async {
            let mut world = World::new(LEN, MEMORY);
            for (seed, (start, len)) in writes.into_iter().enumerate() {
                world.write(start, pattern(len.min(LEN - start), seed)).await;
            }
            for (start, len) in reads {
                let end = (start + len).min(LEN);
                assert_eq!(world.read(start, end).await.unwrap(), &world.model[start..end]);
            }
        });
    }

    #[test]
    fn senseless_pieces_are_refused_without_a_panic(
        numbers in prop::collection::vec(any::<u32>(), 4 * 3),
        offset in any::<u64>(),
        frames in prop::collection::vec(any::<u32>(), 0..40),
        range in any::<(u32, u32)>(),
    ) {
        let world = World::new(0, MEMORY);
        let pieces: Vec<Piece> = numbers
            .chunks(4)
            .map(|n| Piece {
                start: n[0], end: n[1], origin: n[2] % 100, len: n[3], object: ObjectId(1), object_offset: offset,
                frames: frames.iter().map(|len| StoredFrame::new(*len, len % 2 == 0)).collect(),
            })
            .collect();
        let (start, end) = (range.0.min(range.1) % proto::BLOCK_SIZE_MAX, range.1 % proto::BLOCK_SIZE_MAX);
        let _ = block_on(world.reader.warm(&pieces, start, end));
    }
}

#[tokio::test]
async fn neighbouring_frames_come_with_one_get() {
    let mut world = World::new(1 << 20, MEMORY);
    world.write(0, pattern(1 << 20, 1)).await;
    assert_eq!(world.read(0, 1 << 20).await.unwrap(), world.model);
    assert_eq!(world.store.get_count(), 1);
    assert_eq!(world.read(4096, 500_000).await.unwrap(), &world.model[4096..500_000]);
    assert_eq!(world.store.get_count(), 1, "the second read finds all in the cache");
}

#[tokio::test]
async fn small_cold_read_fetches_one_frame() {
    let mut world = World::new(1 << 20, MEMORY);
    world.write(0, pattern(1 << 20, 1)).await;
    world.read(300_000, 304_096).await.unwrap();
    assert!(world.reader.memory_used() < 2 * FRAME_SIZE as usize);
}

#[tokio::test]
async fn readers_of_one_frame_share_its_fetch() {
    let mut world = World::new(1 << 20, MEMORY);
    world.write(0, pattern(1 << 20, 1)).await;
    world.store.delay_gets(Duration::from_millis(20));
    let reads: Vec<_> = (0..10)
        .map(|_| {
            let (reader, pieces) = (world.reader.clone(), world.pieces.clone());
            tokio::spawn(async move { reader.read(&pieces, 0, 1 << 20).await.unwrap().concat() })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap(), world.model);
    }
    assert_eq!(world.store.get_count(), 1);
}

#[tokio::test]
async fn reader_goes_on_where_the_one_it_waits_for_fails_or_leaves() {
    let mut world = World::new(1 << 20, MEMORY);
    world.write(0, pattern(1 << 20, 1)).await;
    world.store.delay_gets(Duration::from_millis(20));
    world.store.fail_gets(StoreErrorKind::Unavailable, 1);
    let (reader, pieces) = (world.reader.clone(), world.pieces.clone());
    let first = tokio::spawn(async move { reader.read(&pieces, 0, 1 << 20).await });
    tokio::task::yield_now().await;
    assert_eq!(world.read(0, 1 << 20).await.unwrap(), world.model);
    assert_eq!(first.await.unwrap().unwrap_err().kind, StoreErrorKind::Unavailable);

    let mut world = World::new(1 << 20, MEMORY);
    world.write(0, pattern(1 << 20, 1)).await;
    world.store.delay_gets(Duration::from_millis(20));
    let (reader, pieces) = (world.reader.clone(), world.pieces.clone());
    let first = tokio::spawn(async move { reader.read(&pieces, 0, 1 << 20).await });
    tokio::task::yield_now().await;
    first.abort();
    assert_eq!(world.read(0, 1 << 20).await.unwrap(), world.model);
}

#[tokio::test]
async fn rotten_byte_is_an_error_and_never_data() {
    let mut world = World::new(1 << 20, MEMORY);
    world.write(0, pattern(1 << 20, 1)).await;
    assert!(world.store.rot(ObjectId(1), 5000));
    assert_eq!(world.read(0, 1 << 20).await.unwrap_err().kind, StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn cache_ceiling_holds_while_much_more_is_read() {
    let mut world = World::new(4 << 20, 1 << 20);
    for start in (0..4 << 20).step_by(1 << 20) {
        world.write(start, pattern(1 << 20, start)).await;
    }
    for start in (0..4 << 20).step_by(100_000) {
        let end = (start + 150_000).min(4 << 20);
        assert_eq!(world.read(start, end).await.unwrap(), &world.model[start..end]);
        assert!(world.reader.memory_used() <= 1 << 20);
    }
}

#[test]
fn zeroes_have_the_length_asked_for() {
    for len in [0, 1, u64::from(FRAME_SIZE), u64::from(FRAME_SIZE) * 3 + 17] {
        let slices: Vec<Bytes> = zeroes(len).collect();
        assert_eq!(slices.iter().map(|slice| slice.len() as u64).sum::<u64>(), len);
        assert!(slices.iter().all(|slice| slice.iter().all(|byte| *byte == 0)));
    }
}
