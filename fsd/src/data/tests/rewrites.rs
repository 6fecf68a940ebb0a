//! Blocks of many pieces: when they are rewritten, and what that may take and cost.

use std::sync::Arc;
use std::time::Duration;

use block::{MemoryStore, StoreErrorKind};
use proto::Errno;

use super::world::*;

/// A file of one block of `count` pieces of 100 bytes, each `step` bytes behind the other, and its content.
async fn block_of_pieces(count: u64, step: u64) -> (Mount, Vec<u8>) {
    let mount = Mount::new();
    let mut model = vec![0; ((count - 1) * step + 100) as usize];
    for number in 0..count {
        put(&mut model, number * step, &pattern(100, number));
        mount.write(number * step, &pattern(100, number)).await.unwrap();
        mount.flush().await.unwrap();
    }
    (mount, model)
}

fn put(model: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let end = offset as usize + data.len();
    model.resize(model.len().max(end), 0);
    model[offset as usize..end].copy_from_slice(data);
}

#[tokio::test]
async fn rewrite_asks_for_nothing_that_is_known() {
    let (mount, mut model) = block_of_pieces(15, 10_000).await;
    let before = mount.server.state().layouts;
    for number in 0..40 {
        let offset = 5000 + number * 300;
        put(&mut model, offset, &pattern(100, number));
        mount.write(offset, &pattern(100, number)).await.unwrap();
        mount.flush().await.unwrap();
    }
    assert!(mount.server.state().rewrites >= 2);
    assert_eq!(mount.server.state().layouts, before, "the map is kept up to date by what was committed");
    assert!(mount.committed().await == model);
}

#[tokio::test]
async fn block_that_other_mounts_filled_with_pieces_is_rewritten_and_the_commit_repeated() {
    let (first, mut model) = block_of_pieces(2, 1000).await;
    // All of them know the block as one of two pieces.
    let mounts: Vec<_> = (0..24).map(|_| Mount::of(&first.server, &first.store, 0)).collect();
    for (number, mount) in mounts.iter().enumerate() {
        for run in 0..12 {
            let offset = 2000 + (run * 24 + number as u64) * 200;
            put(&mut model, offset, &pattern(100, offset));
            mount.write(offset, &pattern(100, offset)).await.unwrap();
        }
        mount.flush().await.unwrap();
    }
    assert!(first.server.state().too_many_pieces > 0, "288 pieces are too many");
    assert!(first.committed().await == model);
    for mount in &mounts {
        // What an open would tell.
        mount.stat();
        assert!(mount.read(0, BLOCK).await.unwrap() == model);
    }
}

#[tokio::test]
async fn thousands_of_tiny_writes_to_one_block_become_few_pieces() {
    let mount = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), 256 << 20);
    let mut model = pattern(BLOCK as usize, 1);
    mount.write(0, &model).await.unwrap();
    mount.flush().await.unwrap();
    for offset in (0..u64::from(BLOCK)).step_by(50) {
        put(&mut model, offset, &pattern(3, offset));
        mount.write(offset, &pattern(3, offset)).await.unwrap();
    }
    mount.flush().await.unwrap();
    let pieces = mount.server.state().blocks[&0].len();
    assert!(pieces <= 16, "{pieces} pieces");
    assert!(mount.committed().await == model);
    assert!(mount.read(0, BLOCK).await.unwrap() == model);
}

#[tokio::test]
async fn block_is_rewritten_though_others_of_the_file_are_filled_meanwhile() {
    let (mount, mut model) = block_of_pieces(2, 1000).await;
    for number in 0..300 {
        let offset = 2000 + number * 500;
        put(&mut model, offset, &pattern(100, number));
        mount.write(offset, &pattern(100, number)).await.unwrap();
    }
    mount.store.delay_gets(Duration::from_millis(10));
    let news = async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        mount.write(u64::from(BLOCK), &pattern(BLOCK as usize, 7)).await.unwrap();
    };
    let (flushed, ()) = tokio::join!(mount.flush(), news);
    flushed.unwrap();
    mount.flush().await.unwrap();
    put(&mut model, u64::from(BLOCK), &pattern(BLOCK as usize, 7));
    assert!(mount.committed().await == model);
}

#[tokio::test]
async fn runs_of_many_failed_flushes_are_joined() {
    let (mount, mut model) = block_of_pieces(2, 1000).await;
    mount.store.fail_puts(StoreErrorKind::NoSpace, 100_000);
    for round in 0..40u64 {
        for run in 0..8 {
            let offset = 2000 + (run * 40 + round) * 300;
            put(&mut model, offset, &pattern(100, offset));
            mount.write(offset, &pattern(100, offset)).await.unwrap();
        }
        assert_eq!(mount.flush().await, Err(Errno::ENOSPC));
        assert!(mount.read(0, BLOCK).await.unwrap() == model);
    }
    mount.store.mend();
    mount.flush().await.unwrap();
    assert!(mount.committed().await == model);
    // What became of nothing is told to the server, and no id is lost.
    let granted = mount.server.state().granted.len();
    for _ in 0..300 {
        let last = model.len() - 1;
        mount.write(last as u64, &[1]).await.unwrap();
        mount.flush().await.unwrap();
    }
    let state = mount.server.state();
    assert!(state.granted.len() <= granted.max(4096), "{} ids are granted", state.granted.len());
    assert_eq!(state.strange_ids, 0);
}

#[tokio::test]
async fn rotten_piece_does_not_keep_others_from_being_written() {
    let (mount, mut model) = block_of_pieces(15, 10_000).await;
    let rotten = mount.server.state().blocks[&0][4].clone();
    assert!(mount.store.rot(rotten.object, 20));
    let mount = Mount::of(&mount.server, &mount.store, 0);
    for number in 0..3 {
        let offset = 5000 + number * 20_000;
        put(&mut model, offset, &pattern(100, 90 + number));
        mount.write(offset, &pattern(100, 90 + number)).await.unwrap();
    }
    mount.flush().await.unwrap();
    let reader = Mount::of(&mount.server, &mount.store, 0);
    let good = reader.read(0, rotten.start).await.unwrap();
    assert!(good == model[..rotten.start as usize]);
    assert_eq!(reader.read(u64::from(rotten.start), 10).await, Err(Errno::EIO), "an error, not zeroes");
    let good = reader.read(u64::from(rotten.end), BLOCK).await.unwrap();
    assert!(good == model[rotten.end as usize..]);
}

#[tokio::test]
async fn block_with_a_rotten_piece_can_be_written_to_for_ever() {
    let (mount, _) = block_of_pieces(15, 10_000).await;
    let rotten = mount.server.state().blocks[&0][4].clone();
    assert!(mount.store.rot(rotten.object, 20));
    let mount = Mount::of(&mount.server, &mount.store, 0);
    for number in 0..400 {
        mount.write(60_000 + number * 200, &pattern(100, number)).await.unwrap();
        mount.flush().await.unwrap();
    }
    let pieces = mount.server.state().blocks[&0].len();
    assert!(pieces <= 20, "{pieces} pieces");
    for number in 0..400 {
        assert!(mount.read(60_000 + number * 200, 100).await.unwrap() == pattern(100, number));
    }
}

#[tokio::test]
async fn large_holes_stay_and_small_ones_go_where_there_is_no_room() {
    let allocated = |mount: &Mount| {
        let state = mount.server.state();
        state.blocks.values().map(|pieces| proto::allocated(pieces)).sum::<u64>()
    };
    // Holes of more than an eighth of the block, and of 4900 bytes.
    let (mount, mut model) = block_of_pieces(15, 5000).await;
    for (number, offset) in [110_000, 150_000, 200_000].into_iter().enumerate() {
        put(&mut model, offset, &pattern(100, number as u64));
        mount.write(offset, &pattern(100, number as u64)).await.unwrap();
    }
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().blocks[&0].len(), 4);
    assert_eq!(allocated(&mount), 70_100 + 300);
    assert!(mount.committed().await == model);

    // The first 5100 bytes were in the inode record once: one piece.
    let (mount, mut model) = block_of_pieces(15, 5000).await;
    for (number, offset) in [7500, 12_500, 17_500].into_iter().enumerate() {
        put(&mut model, offset, &pattern(100, number as u64));
        mount.write(offset, &pattern(100, number as u64)).await.unwrap();
    }
    mount.server.state().commit_failures.push_back(Errno::ENOSPC);
    mount.flush().await.unwrap();
    assert_eq!(allocated(&mount), 5100 + 1600, "what was written before and now, and no zeroes");
    assert!(mount.committed().await == model);
    assert_eq!(mount.store.put_count(), 15, "what is stored is not stored again");
}

#[tokio::test]
async fn pieces_that_vanish_while_they_are_copied_are_looked_for_anew() {
    let (mount, mut model) = block_of_pieces(15, 10_000).await;
    let other = Mount::of(&mount.server, &mount.store, 0);
    let old: Vec<_> = mount.server.state().blocks[&0].iter().map(|piece| piece.object).collect();
    for number in 0..15 {
        put(&mut model, number * 10_000, &pattern(200, 100 + number));
        other.write(number * 10_000, &pattern(200, 100 + number)).await.unwrap();
    }
    other.flush().await.unwrap();
    block::BlockStore::delete(&*mount.store, &old).await.unwrap();
    put(&mut model, 5000, &pattern(100, 1));
    mount.write(5000, &pattern(100, 1)).await.unwrap();
    mount.flush().await.unwrap();
    assert!(mount.committed().await == model);
}

#[tokio::test]
async fn rewriting_many_blocks_takes_the_memory_of_one_at_a_time() {
    let memory_max = 32 * u64::from(BLOCK);
    let mount = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), memory_max);
    let mut model = Vec::new();
    for block in 0..20u64 {
        let data = pattern(BLOCK as usize, block);
        mount.write(block * u64::from(BLOCK), &data).await.unwrap();
        model.extend(data);
    }
    mount.flush().await.unwrap();
    for (number, offset) in (0..model.len() as u64).step_by(10_000).enumerate() {
        put(&mut model, offset, &pattern(10, number as u64));
        mount.write(offset, &pattern(10, number as u64)).await.unwrap();
    }
    mount.store.delay_puts(Duration::from_millis(2));
    let flushing = mount.flush();
    tokio::pin!(flushing);
    let mut highest = 0;
    loop {
        tokio::select! {
            biased;
            flushed = &mut flushing => break flushed.unwrap(),
            () = tokio::time::sleep(Duration::from_micros(100)) => highest = highest.max(mount.plane.memory_used()),
        }
    }
    assert_eq!(mount.server.state().rewrites, 20);
    let ceiling = memory_max / 2 + 3 * u64::from(BLOCK);
    assert!(highest <= ceiling, "{highest} bytes, of which the cache has {}", memory_max / 2);
    assert!(mount.committed().await == model);
}
