//! Stores and servers that fail, and callers that leave.

use std::sync::Arc;
use std::time::Duration;

use block::{MemoryStore, StoreErrorKind};
use proto::Errno;

use super::world::*;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn full_store_is_told_by_the_flush_and_the_next_one_stores_the_data() {
    let mount = Mount::new();
    mount.store.fail_puts(StoreErrorKind::NoSpace, 1);
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    assert_eq!(mount.flush().await, Err(Errno::ENOSPC));
    assert_eq!(mount.server.attr().size, 0, "nothing half done");
    assert_eq!(mount.read(0, 100_000).await.unwrap(), pattern(100_000, 1), "the data is still here");
    mount.flush().await.unwrap();
    assert_eq!(mount.committed().await, pattern(100_000, 1));
}

#[tokio::test]
async fn failure_of_a_background_upload_reaches_the_flush() {
    let mount = Mount::new();
    mount.store.fail_puts(StoreErrorKind::Internal, 100);
    mount.write(0, &pattern(BLOCK as usize, 1)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(mount.flush().await, Err(Errno::EIO));
    mount.store.mend();
    mount.flush().await.unwrap();
    assert_eq!(mount.committed().await, pattern(BLOCK as usize, 1));
}

#[tokio::test]
async fn writer_who_finds_no_room_is_told_why() {
    let mount = Mount::new();
    mount.store.fail_puts(StoreErrorKind::NoSpace, 10_000);
    let mut written = 0;
    let error = loop {
        match mount.write(written, &pattern(MIB, written)).await {
            Ok(()) => written += MIB as u64,
            Err(error) => break error,
        }
        assert!(written < 100 * MIB as u64, "the memory has an end");
    };
    assert_eq!(error, Errno::ENOSPC);
    mount.store.mend();
    mount.flush().await.unwrap();
    assert_eq!(mount.committed().await[..written as usize], mount.read(0, written as u32).await.unwrap());
}

#[tokio::test]
async fn store_that_is_away_for_a_moment_is_tried_again() {
    let mount = Mount::new();
    mount.store.fail_puts(StoreErrorKind::Unavailable, 2);
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    mount.flush().await.unwrap();
    assert_eq!(mount.store.put_count(), 3);
    assert_eq!(mount.committed().await, pattern(100_000, 1));
}

#[tokio::test]
async fn refused_commit_is_the_flushs_error_and_is_sent_again() {
    let mount = Mount::new();
    mount.server.state().commit_failures.push_back(Errno::ENOSPC);
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    assert_eq!(mount.flush().await, Err(Errno::ENOSPC));
    mount.flush().await.unwrap();
    assert_eq!(mount.store.put_count(), 1, "what is stored is not stored again");
    assert_eq!(mount.committed().await, pattern(100_000, 1));
}

#[tokio::test]
async fn flush_that_nobody_waited_for_is_done_again_by_the_next() {
    let mount = Mount::new();
    mount.write(0, &pattern(100_000, 0)).await.unwrap();
    mount.flush().await.unwrap();
    mount.server.state().delay = Some(Duration::from_millis(10));
    for round in 0..12u64 {
        let data = pattern(100_000, round);
        mount.write(round * 100_000, &data).await.unwrap();
        // Left at different moments: before, while and after the server applies the commit.
        let patience = Duration::from_millis(5 * (round + 1));
        let _ = tokio::time::timeout(patience, mount.flush()).await;
    }
    mount.server.state().delay = None;
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().strange_ids, 0, "no id is committed twice");
    let expected: Vec<u8> = (0..12).flat_map(|round| pattern(100_000, round)).collect();
    assert_eq!(mount.read(0, u32::MAX).await.unwrap(), expected);
    assert_eq!(mount.committed().await, expected);
}

#[tokio::test]
async fn ids_of_a_session_that_is_over_are_replaced() {
    let mount = Mount::new();
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    mount.flush().await.unwrap();
    mount.write(0, &pattern(100_000, 2)).await.unwrap();
    mount.server.state().end_session();
    mount.flush().await.unwrap();
    assert_eq!(mount.committed().await, pattern(100_000, 2));
}

#[tokio::test]
async fn commit_whose_answer_is_lost_with_the_session_is_repeated_by_the_same_flush() {
    for len in [100, 100_000] {
        let mount = Mount::new();
        mount.write(0, &pattern(len, 1)).await.unwrap();
        mount.server.state().lost_replies = 2;
        mount.flush().await.unwrap();
        assert_eq!(mount.committed().await, pattern(len, 1));
        assert_eq!(mount.read(0, 200_000).await.unwrap(), pattern(len, 1));
        assert!(!mount.file.is_dirty());
        assert_eq!(mount.server.state().strange_ids, 0);
        mount.server.state().lost_replies = 1000;
        mount.write(10, b"x").await.unwrap();
        assert_eq!(mount.flush().await, Err(Errno::EIO), "not for ever");
        mount.server.state().lost_replies = 0;
        mount.flush().await.unwrap();
        let mut expected = pattern(len, 1);
        expected[10] = b'x';
        assert_eq!(mount.committed().await, expected);
    }
}

#[tokio::test]
async fn objects_that_are_thrown_away_are_given_back() {
    let mount = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), 64 << 20);
    for round in 0..200 {
        // Sealed, uploaded, and then emptied by an open before it is committed.
        mount.write(0, &pattern(BLOCK as usize, round)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        let quiet = mount.plane.quiet(INO).await.unwrap();
        mount.plane.settle_truncating_open(quiet);
    }
    tokio::time::sleep(Duration::from_millis(20)).await;
    for round in 0..300 {
        mount.write(round * u64::from(BLOCK), &pattern(BLOCK as usize, round)).await.unwrap();
    }
    mount.flush().await.unwrap();
    let state = mount.server.state();
    assert_eq!(state.given_back.len(), 200);
    assert_eq!(state.strange_ids, 0);
}

#[tokio::test]
async fn map_that_makes_no_sense_is_refused() {
    let mount = Mount::new();
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    mount.flush().await.unwrap();
    let good = mount.server.state().blocks[&0][0].clone();
    let piece = |start, end| proto::Piece { start, end, ..good.clone() };
    for forged in [vec![piece(5, 4)], vec![piece(0, 60), piece(50, 90)], vec![piece(0, u32::MAX)]] {
        mount.server.state().blocks.insert(0, forged);
        let reader = Mount::of(&mount.server, &mount.store, 0);
        assert_eq!(reader.read(0, 100).await, Err(Errno::EPROTO));
        reader.write(10, b"x").await.unwrap();
        assert_eq!(reader.flush().await, Err(Errno::EPROTO));
    }
}

#[tokio::test]
async fn server_that_lost_power_is_followed_to_where_it_is() {
    let mount = Mount::new();
    mount.write(0, &pattern(400_000, 1)).await.unwrap();
    mount.flush().await.unwrap();
    let before = mount.server.state().content();
    for round in 0..5 {
        mount.write(300_000 + round * 1000, &pattern(1000, 2)).await.unwrap();
        mount.plane.flush(&*mount.server, &mount.file, false).await.unwrap();
    }
    mount.server.state().go_back(before.clone());
    let mut expected = pattern(400_000, 1);
    mount.write(100, b"after").await.unwrap();
    mount.flush().await.unwrap();
    expected[100..105].copy_from_slice(b"after");
    assert!(mount.committed().await == expected);
    assert!(mount.read(0, 1 << 20).await.unwrap() == expected);

    for round in 0..5 {
        mount.write(round * 1000, &pattern(1000, 2)).await.unwrap();
        mount.plane.flush(&*mount.server, &mount.file, false).await.unwrap();
    }
    mount.server.state().go_back(before);
    // Nothing is to be committed, and the map has to be asked for.
    mount.file.state().forget_map();
    assert!(mount.read(0, 1 << 20).await.unwrap() == pattern(400_000, 1));
}

#[tokio::test]
async fn application_that_tries_for_ever_does_not_use_up_the_ids() {
    let mount = Mount::new();
    mount.store.fail_puts(StoreErrorKind::NoSpace, 200);
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    for _ in 0..200 {
        assert_eq!(mount.flush().await, Err(Errno::ENOSPC));
    }
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().grants, 1);
    assert_eq!(mount.committed().await, pattern(100_000, 1));
}

#[tokio::test]
async fn rotten_object_is_an_error_and_never_zeroes() {
    let mount = Mount::new();
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    mount.flush().await.unwrap();
    let object = mount.server.state().blocks[&0][0].object;
    assert!(mount.store.rot(object, 50));
    let reader = Mount::of(&mount.server, &mount.store, 0);
    assert_eq!(reader.read(0, 100).await, Err(Errno::EIO));
}

#[tokio::test]
async fn last_close_gives_up_what_could_not_be_stored() {
    let mount = Mount::new();
    mount.store.fail_puts(StoreErrorKind::NoSpace, 100);
    mount.write(0, &pattern(100_000, 1)).await.unwrap();
    assert_eq!(mount.flush().await, Err(Errno::ENOSPC));
    assert!(mount.plane.close(INO));
    assert_eq!(mount.plane.memory_used(), 0);
    assert_eq!(mount.stat().size, 0);
}

#[tokio::test]
async fn file_of_another_block_size_than_any_is_refused() {
    let store = Arc::new(MemoryStore::new());
    for block_size in [0, 1, 4096, 300_000, 16 << 20] {
        let volume = proto::VolumeSettings { block_size, ..volume() };
        let plane = crate::data::DataPlane::new(store.clone(), &volume, crate::data::DataSettings { memory_max: 0 });
        assert!(plane.is_err(), "{block_size}");
    }
}
