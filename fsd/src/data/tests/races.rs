//! What two mounts do to each other, in the worst order.

use std::sync::Arc;
use std::time::Duration;

use block::MemoryStore;
use proto::{AttrChanges, Caller, Errno, Request, SetTime, Timespec};

use super::world::*;
use crate::data::Fallocate;

const KIB: u64 = 1 << 10;

fn is_commit(request: &Request) -> bool {
    matches!(request, Request::Commit(_))
}

/// Two mounts of a file with `content`, both of which know its map.
async fn two_mounts(content: &[u8]) -> (Mount, Mount) {
    let first = Mount::new();
    first.write(0, content).await.unwrap();
    first.flush().await.unwrap();
    let second = Mount::of(&first.server, &first.store, 0);
    (first, second)
}

/// A block of 15 pieces of 100 bytes, each 10,000 bytes behind the other, known to two mounts.
async fn block_of_many_pieces() -> (Mount, Mount, Vec<u8>) {
    let first = Mount::new();
    let mut model = vec![0; 150_000];
    for place in 0..15usize {
        let data = pattern(100, place as u64);
        model[place * 10_000..place * 10_000 + 100].copy_from_slice(&data);
        first.write(place as u64 * 10_000, &data).await.unwrap();
        first.flush().await.unwrap();
    }
    let second = Mount::of(&first.server, &first.store, 0);
    (first, second, model)
}

#[tokio::test]
async fn rewriting_a_block_keeps_what_another_mount_commits_meanwhile() {
    let (mount, other, mut model) = block_of_many_pieces().await;
    mount.write(5000, &pattern(100, 50)).await.unwrap();
    mount.write(15_000, &pattern(100, 51)).await.unwrap();
    let gate = mount.server.gate(Side::Request, is_commit);
    let foreign = async {
        // The block was read and rewritten by now; only the commit is missing.
        gate.reached().await;
        mount.server.remove_gates();
        // Over a piece, into a hole, and behind the end.
        for place in [20_000, 25_000, 149_000] {
            other.write(place, &pattern(2000, place)).await.unwrap();
        }
        other.flush().await.unwrap();
        gate.open();
    };
    let (flushed, ()) = tokio::join!(mount.flush(), foreign);
    flushed.unwrap();
    model.resize(151_000, 0);
    for (place, data) in [(5000, pattern(100, 50)), (15_000, pattern(100, 51))] {
        model[place..place + 100].copy_from_slice(&data);
    }
    for place in [20_000, 25_000, 149_000] {
        model[place..place + 2000].copy_from_slice(&pattern(2000, place as u64));
    }
    assert!(mount.committed().await == model, "bytes of the other mount are lost");
    assert!(mount.read(0, 1 << 20).await.unwrap() == model);
}

#[tokio::test]
async fn rewriting_a_block_brings_nothing_back_that_another_mount_cut_off() {
    let (mount, other, _) = block_of_many_pieces().await;
    mount.write(5000, &pattern(100, 50)).await.unwrap();
    mount.write(15_000, &pattern(100, 51)).await.unwrap();
    let gate = mount.server.gate(Side::Request, is_commit);
    let foreign = async {
        gate.reached().await;
        mount.server.remove_gates();
        other.truncate(0).await.unwrap();
        gate.open();
    };
    let (flushed, ()) = tokio::join!(mount.flush(), foreign);
    flushed.unwrap();
    let mut model = vec![0; 15_100];
    model[5000..5100].copy_from_slice(&pattern(100, 50));
    model[15_000..].copy_from_slice(&pattern(100, 51));
    assert!(mount.committed().await == model);
    assert!(mount.read(0, 1 << 20).await.unwrap() == model);
}

#[tokio::test]
async fn small_file_that_two_mounts_let_grow_keeps_the_bytes_of_both() {
    for far in [100 * KIB, 1024 * KIB] {
        let (mount, other) = two_mounts(&[b'a'; 1000]).await;
        mount.write(far, &pattern(100, 1)).await.unwrap();
        let gate = mount.server.gate(Side::Request, is_commit);
        let foreign = async {
            gate.reached().await;
            mount.server.remove_gates();
            other.write(500, &[b'b'; 100]).await.unwrap();
            other.flush().await.unwrap();
            gate.open();
        };
        let (flushed, ()) = tokio::join!(mount.flush(), foreign);
        flushed.unwrap();
        let content = mount.committed().await;
        assert!(content[500..600] == [b'b'; 100], "the other's bytes are lost");
        assert!(content[..500] == [b'a'; 500] && content[600..1000] == [b'a'; 400]);
        assert!(content[1000..far as usize].iter().all(|byte| *byte == 0));
        assert!(content[far as usize..] == pattern(100, 1));
        assert!(mount.read(0, 2 << 20).await.unwrap() == content);
    }
}

#[tokio::test]
async fn empty_file_that_two_mounts_write_to_keeps_the_bytes_of_both() {
    let mount = Mount::new();
    let other = Mount::of(&mount.server, &mount.store, 0);
    other.write(0, &pattern(1000, 1)).await.unwrap();
    mount.write(1024 * KIB, &pattern(1000, 2)).await.unwrap();
    other.flush().await.unwrap();
    mount.flush().await.unwrap();
    let content = mount.committed().await;
    assert!(content[..1000] == pattern(1000, 1) && content[1 << 20..] == pattern(1000, 2));
    assert!(mount.read(0, 2 << 20).await.unwrap() == content);
}

#[tokio::test]
async fn small_file_that_a_busy_mount_writes_to_can_grow_all_the_same() {
    let (mount, other) = two_mounts(&[b'a'; 1000]).await;
    mount.write(1024 * KIB, &pattern(100, 1)).await.unwrap();
    mount.store.delay_puts(Duration::from_millis(5));
    mount.server.state().delay = Some(Duration::from_millis(1));
    let flushing = mount.flush();
    tokio::pin!(flushing);
    let mut rounds = 0u64;
    loop {
        rounds += 1;
        other.write(500, &pattern(100, rounds)).await.unwrap();
        tokio::select! {
            biased;
            flushed = &mut flushing => break flushed.unwrap(),
            written = other.flush() => written.unwrap(),
        }
        assert!(rounds < 100, "the flush never ends");
    }
    other.flush().await.unwrap();
    let content = mount.committed().await;
    assert!(content[..500] == [b'a'; 500] && content[500..600] == pattern(100, rounds));
    assert!(content[1 << 20..] == pattern(100, 1));
}

#[tokio::test]
async fn setting_a_time_does_not_hide_what_another_mount_wrote() {
    let (mut mount, other) = two_mounts(&pattern(300_000, 1)).await;
    mount.reopen().await;
    other.write(0, b"theirs").await.unwrap();
    other.flush().await.unwrap();
    let time = Some(SetTime::At(Timespec { secs: 5, nanos: 0 }));
    let changes = AttrChanges { mtime: time, ..AttrChanges::default() };
    mount.plane.set_attr(&*mount.server, &Caller::ROOT, INO, changes, true).await.unwrap();
    assert_eq!(mount.read(0, 6).await.unwrap(), b"theirs");
    mount.reopen().await;
    assert!(!mount.keep_cache, "the kernel's pages are old");
}

#[tokio::test]
async fn setting_a_size_does_not_hide_what_another_mount_wrote() {
    let (mut mount, other) = two_mounts(&pattern(300_000, 1)).await;
    mount.reopen().await;
    other.write(299_000, &pattern(2000, 2)).await.unwrap();
    other.flush().await.unwrap();
    mount.truncate(301_000).await.unwrap();
    assert!(mount.read(299_000, 4000).await.unwrap() == pattern(2000, 2));
    mount.reopen().await;
    assert!(!mount.keep_cache, "the kernel's pages are old");
}

#[tokio::test]
async fn allocating_room_never_cuts_off_what_another_mount_appended() {
    let (mount, other) = two_mounts(&pattern(1000, 1)).await;
    other.write(1000, &pattern(300_000, 2)).await.unwrap();
    other.flush().await.unwrap();
    let mode = Fallocate::Allocate { keep_size: false };
    mount.plane.fallocate(&*mount.server, &mount.file, mode, 0, 5000, NOW).await.unwrap();
    let content = mount.committed().await;
    assert!(content[..1000] == pattern(1000, 1) && content[1000..] == pattern(300_000, 2));
    assert!(mount.read(0, 1 << 20).await.unwrap() == content);
}

#[tokio::test]
async fn open_sees_what_was_closed_before_even_while_a_commit_is_under_way() {
    let (mut mount, other) = two_mounts(&pattern(300_000, 1)).await;
    mount.reopen().await;
    other.write(0, b"theirs").await.unwrap();
    other.flush().await.unwrap();
    mount.write(200_000, b"ours").await.unwrap();
    let gate = mount.server.gate(Side::Request, is_commit);
    let reader = async {
        gate.reached().await;
        mount.server.remove_gates();
        let (attr, layout) = mount.server.open();
        let opened = mount.plane.open(&attr, layout);
        assert!(!opened.keep_cache, "the kernel's pages are old");
        assert_eq!(mount.read(0, 6).await.unwrap(), b"theirs");
        gate.open();
    };
    let (flushed, ()) = tokio::join!(mount.flush(), reader);
    flushed.unwrap();
    assert_eq!(mount.read(0, 6).await.unwrap(), b"theirs");
    assert_eq!(mount.read(200_000, 4).await.unwrap(), b"ours");
}

#[tokio::test]
async fn file_that_changes_all_the_time_can_be_read() {
    let (mount, other) = two_mounts(&pattern(300_000, 1)).await;
    let reader = Mount::of(&mount.server, &mount.store, 0);
    other.write(0, b"x").await.unwrap();
    other.flush().await.unwrap();
    // Every round trip meets another version.
    let busy = mount.server.clone();
    busy.state().restless = true;
    for _ in 0..3 {
        reader.file.state().forget_map();
        assert!(reader.read(1000, 1000).await.unwrap() == pattern(300_000, 1)[1000..2000]);
    }
}

#[tokio::test]
async fn kernel_that_does_not_know_of_a_cut_gets_the_bytes_that_were_there() {
    let content = pattern(600_000, 1);
    let (mount, other) = two_mounts(&content).await;
    other.truncate(100_000).await.unwrap();
    mount.stat();
    assert!(mount.read_pages(90_000, 20_000).await.unwrap() == content[90_000..110_000]);
    assert!(mount.read_pages(598_016, 4096).await.unwrap() == content[598_016..]);
    assert_eq!(mount.read_pages(598_016, 8192).await, Err(Errno::EIO), "so long it never was");
    // The last page ends where the file ends.
    assert!(mount.read_pages(98_304, 4096).await.unwrap() == content[98_304..100_000]);
    mount.write(99_000, &[7; 5000]).await.unwrap();
    let expected = [&content[98_000..99_000], &[7; 5000], &content[104_000..110_000]].concat();
    assert!(mount.read_pages(98_000, 12_000).await.unwrap() == expected);
    // Past the pages there is nothing to be kept.
    let read = mount.plane.read(&*mount.server, &mount.file, 98_000, 1 << 20, false).await.unwrap();
    assert!(read.concat() == expected[..6000]);
    let live: Vec<_> = mount.server.state().blocks.values().flatten().map(|piece| piece.object).collect();
    let dead: Vec<_> = (100..200).map(proto::ObjectId).filter(|object| !live.contains(object)).collect();
    block::BlockStore::delete(&*mount.store, &dead).await.unwrap();
    assert_eq!(mount.read_pages(300_000, 1000).await, Err(Errno::EIO), "an error, not zeroes");

    // Learned by the read itself, of a file whose map was not known.
    let (mount, other) = two_mounts(&content).await;
    other.truncate(100_000).await.unwrap();
    mount.file.state().forget_map();
    assert_eq!(mount.read_pages(150_000, 1000).await, Err(Errno::EIO));
    assert!(mount.read_pages(50_000, 10).await.unwrap() == content[50_000..50_010]);
}

#[tokio::test]
async fn reader_of_a_file_that_is_cut_by_the_same_mount_gets_no_error() {
    for size in [0, 100_000] {
        let content = pattern(600_000, 1);
        let (mount, _) = two_mounts(&content).await;
        mount.truncate(size).await.unwrap();
        // Asked for before the kernel heard of it.
        assert!(mount.read_pages(150_000, 10_000).await.unwrap() == content[150_000..160_000]);
        assert_eq!(mount.read(0, 1 << 20).await.unwrap().len() as u64, size);
    }
}

#[tokio::test]
async fn last_close_while_a_commit_is_under_way_leaves_no_wrong_map() {
    let (mount, _) = two_mounts(&pattern(300_000, 1)).await;
    mount.write(0, &pattern(300_000, 2)).await.unwrap();
    let gate = mount.server.gate(Side::Request, is_commit);
    let close = async {
        gate.reached().await;
        mount.server.remove_gates();
        // Nobody waits for the flush: as where write-back has it under way when the last handle goes.
        mount.plane.close(INO);
        let (attr, layout) = mount.server.open();
        mount.plane.open(&attr, layout);
        mount.write(100_000, &pattern(300_000, 3)).await.unwrap();
        gate.open();
    };
    let (flushed, ()) = tokio::join!(mount.flush(), close);
    flushed.unwrap();
    mount.flush().await.unwrap();
    let mut model = pattern(300_000, 2);
    model.truncate(100_000);
    model.extend(pattern(300_000, 3));
    assert!(mount.read(0, 1 << 20).await.unwrap() == model);
    assert!(mount.committed().await == model);
}

#[tokio::test]
async fn truncation_to_nothing_needs_no_room_for_what_it_throws_away() {
    let (mount, _) = two_mounts(&pattern(300_000, 1)).await;
    mount.write(0, &pattern(300_000, 2)).await.unwrap();
    mount.store.fail_puts(block::StoreErrorKind::NoSpace, 1000);
    assert!(mount.flush().await.is_err());
    mount.truncate(0).await.unwrap();
    assert_eq!(mount.stat().size, 0);
    mount.flush().await.unwrap();
    assert!(mount.committed().await.is_empty());
}

#[tokio::test]
async fn what_is_written_while_the_file_is_being_emptied_stays() {
    let (mount, _) = two_mounts(&pattern(300_000, 1)).await;
    mount.write(0, &pattern(300_000, 2)).await.unwrap();
    let gate = mount.server.gate(Side::Reply, |request| matches!(request, Request::SetAttr { .. }));
    let writer = async {
        gate.reached().await;
        // The caller was interrupted, say, and goes on.
        mount.write(10, b"later").await.unwrap();
        gate.open();
    };
    let (truncated, ()) = tokio::join!(mount.truncate(0), writer);
    assert_eq!(truncated.unwrap().size, 15);
    assert_eq!(mount.read(0, 100).await.unwrap(), b"\0\0\0\0\0\0\0\0\0\0later");
    mount.flush().await.unwrap();
    assert_eq!(mount.committed().await, b"\0\0\0\0\0\0\0\0\0\0later");

    let quiet = mount.plane.quiet(INO).await.unwrap();
    let other = Mount::of(&mount.server, &mount.store, 0);
    other.truncate(0).await.unwrap();
    mount.write(2, b"news").await.unwrap();
    let (attr, layout) = mount.server.open();
    mount.plane.settle_truncating_open(quiet);
    mount.plane.open(&attr, layout);
    mount.flush().await.unwrap();
    assert_eq!(mount.committed().await, b"\0\0news");
}

#[tokio::test]
async fn older_bytes_do_not_turn_back_the_time_of_change() {
    let (mount, other) = two_mounts(&pattern(300_000, 1)).await;
    let later = Timespec { secs: NOW.secs + 10, nanos: 0 };
    mount.write(0, b"early").await.unwrap();
    other.plane.write(&*other.server, &other.file, 100, b"late", later, || false).await.unwrap();
    other.flush().await.unwrap();
    mount.flush().await.unwrap();
    assert_eq!(mount.server.attr().mtime, later);
}

#[tokio::test]
async fn many_mounts_that_write_their_own_ranges_keep_all_bytes() {
    let server = Server::new();
    let store = Arc::new(MemoryStore::new());
    let mounts: Vec<_> = (0..4).map(|_| Mount::of(&server, &store, 0)).collect();
    let stripe = 3000;
    let work = mounts.iter().enumerate().map(|(number, mount)| async move {
        for round in 0..60u64 {
            let place = (round * 4 + number as u64) * stripe;
            mount.write(place, &pattern(stripe as usize, place)).await.unwrap();
            if round % 3 == number as u64 % 3 {
                mount.flush().await.unwrap();
            }
        }
        mount.flush().await.unwrap();
    });
    futures_util::future::join_all(work).await;
    let expected: Vec<u8> = (0..240u64).flat_map(|index| pattern(stripe as usize, index * stripe)).collect();
    assert!(mounts[0].committed().await == expected);
}
