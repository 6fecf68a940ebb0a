//! What the data path promises, one scenario each.

use std::sync::Arc;
use std::time::Duration;

use block::MemoryStore;
use proto::{AttrChanges, Caller, SetTime, Timespec};

use super::world::*;
use crate::data::Fallocate;

const MIB: usize = 1 << 20;

#[tokio::test]
async fn small_file_is_committed_into_its_inode_record() {
    let mount = Mount::new();
    mount.write(0, b"hello").await.unwrap();
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().inline.as_deref(), Some(&b"hello"[..]));
    assert_eq!(mount.store.put_count(), 0);
    mount.write(5, b" world").await.unwrap();
    mount.flush().await.unwrap();
    assert_eq!(mount.committed().await, b"hello world");
    assert_eq!(mount.server.state().commits, 2);
}

#[tokio::test]
async fn small_file_that_grows_takes_its_content_along_into_blocks() {
    let mut mount = Mount::new();
    mount.write(0, &pattern(5000, 1)).await.unwrap();
    mount.flush().await.unwrap();
    mount.reopen().await;
    // A full block far behind is sealed first and must not be committed before the old content.
    let far = u64::from(BLOCK) * 3;
    mount.write(far, &pattern(BLOCK as usize, 2)).await.unwrap();
    mount.flush().await.unwrap();
    let content = mount.committed().await;
    assert_eq!(&content[..5000], pattern(5000, 1));
    assert!(content[5000..far as usize].iter().all(|byte| *byte == 0));
    assert_eq!(&content[far as usize..], pattern(BLOCK as usize, 2));
}

#[tokio::test]
async fn inline_commit_that_lost_a_race_keeps_both_writes() {
    let mount = Mount::new();
    mount.write(0, &[b'a'; 100]).await.unwrap();
    mount.flush().await.unwrap();
    let other = Mount::of(&mount.server, &mount.store, 0);
    other.write(50, &[b'b'; 100]).await.unwrap();
    mount.write(0, b"cc").await.unwrap();
    other.flush().await.unwrap();
    mount.flush().await.unwrap();
    let expected = [&b"cc"[..], &[b'a'; 48], &[b'b'; 100]].concat();
    assert_eq!(mount.committed().await, expected);
    assert_eq!(mount.read(0, 1000).await.unwrap(), expected);
}

#[tokio::test]
async fn durable_flush_of_what_was_committed_in_the_background_asks_for_a_sync() {
    let mount = Mount::new();
    mount.write(0, &pattern(100, 1)).await.unwrap();
    mount.plane.flush(&*mount.server, &mount.file, false).await.unwrap();
    assert!(mount.file.is_dirty());
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().syncs, 1);
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().syncs, 1, "nothing to do");
    mount.plane.fsync(&*mount.server, &mount.file).await.unwrap();
    assert_eq!(mount.server.state().syncs, 2, "fsync is about the attributes too");
    mount.write(0, b"x").await.unwrap();
    mount.plane.fsync(&*mount.server, &mount.file).await.unwrap();
    assert_eq!(mount.server.state().syncs, 2, "the durable commit says it all");
}

#[tokio::test]
async fn stat_sees_buffered_writes_and_truncation() {
    let mount = Mount::new();
    mount.write(100, &pattern(50, 1)).await.unwrap();
    let stat = mount.stat();
    assert_eq!((stat.size, stat.mtime), (150, NOW));
    assert!(stat.allocated >= 50);
    mount.truncate(20).await.unwrap();
    assert_eq!(mount.stat().size, 20);
    assert_eq!(mount.read(0, 100).await.unwrap(), [0; 20]);
}

#[tokio::test]
async fn old_attributes_that_arrive_late_do_not_turn_back_the_size() {
    let mount = Mount::new();
    let mut late = mount.server.attr();
    mount.write(0, &pattern(100, 1)).await.unwrap();
    mount.flush().await.unwrap();
    mount.plane.overlay(&mut late);
    assert_eq!((late.size, late.version), (100, mount.server.attr().version));
}

#[tokio::test]
async fn time_that_is_set_after_a_write_stays() {
    let mount = Mount::new();
    mount.write(0, b"data").await.unwrap();
    let old = Timespec { secs: 5, nanos: 0 };
    let changes = AttrChanges { mtime: Some(SetTime::At(old)), ..AttrChanges::default() };
    let attr = mount.plane.set_attr(&*mount.server, &Caller::ROOT, INO, changes, false).await.unwrap();
    assert_eq!(attr.mtime, old);
    mount.flush().await.unwrap();
    assert_eq!(mount.stat().mtime, old);
    assert_eq!(mount.server.attr().mtime, old);
}

#[tokio::test]
async fn reopening_an_unchanged_file_keeps_the_kernels_pages() {
    let mut mount = Mount::new();
    assert!(!mount.keep_cache, "nothing is known of earlier pages");
    mount.write(0, &pattern(MIB, 1)).await.unwrap();
    mount.reopen().await;
    assert!(mount.keep_cache);
    let other = Mount::of(&mount.server, &mount.store, 0);
    other.write(5, b"news").await.unwrap();
    other.flush().await.unwrap();
    mount.reopen().await;
    assert!(!mount.keep_cache);
    assert_eq!(&mount.read(5, 4).await.unwrap(), b"news");
    mount.reopen().await;
    assert!(mount.keep_cache);
}

#[tokio::test]
async fn foreign_change_between_own_commits_is_noticed() {
    let mut mount = Mount::new();
    mount.write(0, &pattern(MIB, 1)).await.unwrap();
    mount.reopen().await;
    let other = Mount::of(&mount.server, &mount.store, 0);
    other.write(0, b"theirs").await.unwrap();
    other.flush().await.unwrap();
    mount.write(100, b"ours").await.unwrap();
    mount.flush().await.unwrap();
    assert_eq!(mount.read(0, 6).await.unwrap(), b"theirs");
    mount.reopen().await;
    assert!(!mount.keep_cache);
}

#[tokio::test]
async fn block_of_many_pieces_is_rewritten_as_one() {
    let mount = Mount::new();
    let mut model = vec![0; BLOCK as usize];
    for round in 0..40u64 {
        let (place, data) = ((round * 6007) as usize, pattern(300, round));
        model[place..place + 300].copy_from_slice(&data);
        mount.write(place as u64, &data).await.unwrap();
        mount.flush().await.unwrap();
        let pieces = mount.server.state().blocks.get(&0).map_or(0, Vec::len);
        assert!(pieces <= 16, "{pieces} pieces after {round} writes");
    }
    model.truncate(39 * 6007 + 300);
    assert_eq!(mount.committed().await, model);
}

#[tokio::test]
async fn block_that_is_filled_while_it_is_being_rewritten_keeps_the_newest_bytes() {
    let writer = Mount::new();
    for place in 0..15u64 {
        writer.write(place * 10_000, &pattern(300, place)).await.unwrap();
        writer.plane.flush(&*writer.server, &writer.file, false).await.unwrap();
    }
    let mount = Mount::of(&writer.server, &writer.store, 0);
    mount.write(5000, &pattern(300, 90)).await.unwrap();
    mount.write(15_000, &pattern(300, 91)).await.unwrap();
    mount.store.delay_gets(Duration::from_millis(20));
    let news = async {
        // The flush has asked for the map and is reading the old pieces by now.
        tokio::time::sleep(Duration::from_millis(10)).await;
        mount.write(0, &pattern(BLOCK as usize, 92)).await.unwrap();
        mount.write(7, b"newest").await.unwrap();
    };
    let (flushed, ()) = tokio::join!(mount.flush(), news);
    flushed.unwrap();
    mount.flush().await.unwrap();
    let mut expected = pattern(BLOCK as usize, 92);
    expected[7..13].copy_from_slice(b"newest");
    assert_eq!(mount.read(0, BLOCK).await.unwrap(), expected);
    assert_eq!(mount.committed().await, expected);
}

#[tokio::test]
async fn overwritten_block_shows_the_newest_bytes_while_all_of_them_are_on_their_way() {
    let mount = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), 32 * MIB as u64);
    mount.store.delay_puts(Duration::from_millis(20));
    for round in 0..3u64 {
        mount.write(0, &pattern(BLOCK as usize, round)).await.unwrap();
    }
    mount.write(50, b"top").await.unwrap();
    let mut expected = pattern(BLOCK as usize, 2);
    expected[50..53].copy_from_slice(b"top");
    assert_eq!(mount.read(0, BLOCK).await.unwrap(), expected);
    mount.flush().await.unwrap();
    assert_eq!(mount.read(0, BLOCK).await.unwrap(), expected);
    assert_eq!(mount.committed().await, expected);
}

#[tokio::test]
async fn scattered_writes_of_one_flush_become_one_object_a_block() {
    let mount = Mount::new();
    for place in (0..u64::from(BLOCK)).step_by(8192) {
        mount.write(place, &pattern(100, place)).await.unwrap();
    }
    mount.flush().await.unwrap();
    assert_eq!(mount.store.object_count(), 1);
}

#[tokio::test]
async fn overwriting_a_hole_free_block_needs_no_map() {
    let mut mount = Mount::new();
    mount.write(0, &pattern(4 * BLOCK as usize, 1)).await.unwrap();
    mount.reopen().await;
    let before = mount.server.state().layouts;
    mount.write(u64::from(BLOCK), &pattern(2 * BLOCK as usize, 2)).await.unwrap();
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().layouts, before);
}

#[tokio::test]
async fn written_bytes_never_take_more_than_their_share_of_the_memory() {
    let memory_max = 16 * u64::from(BLOCK);
    let mount = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), memory_max);
    mount.store.delay_puts(Duration::from_millis(1));
    for offset in (0..16 * MIB as u64).step_by(100_000) {
        mount.write(offset, &pattern(100_000, offset)).await.unwrap();
        assert!(mount.plane.memory_used() <= memory_max * 3 / 8, "{}", mount.plane.memory_used());
    }
    mount.flush().await.unwrap();
    assert_eq!(mount.plane.memory_used(), 0);
    for offset in (0..16 * MIB as u64).step_by(100_000) {
        assert_eq!(mount.read(offset, 100_000).await.unwrap(), pattern(100_000, offset));
        assert!(mount.plane.memory_used() <= memory_max);
    }
}

#[tokio::test]
async fn full_memory_writes_back_other_files_too() {
    let mount = Mount::new();
    let (mut attr, layout) = mount.server.open();
    attr.ino = proto::InodeId(8);
    let other = mount.plane.open(&attr, layout).file;
    // The server knows one file only; it takes the other's commits for this one's, which does not matter here.
    for block in 0..3 {
        let offset = block * u64::from(BLOCK);
        mount.plane.write(&*mount.server, &other, offset, &pattern(200_000, block), NOW, || false).await.unwrap();
    }
    assert_eq!(mount.server.state().commits, 0);
    mount.write(0, &pattern(200_000, 9)).await.unwrap();
    assert_eq!(mount.server.state().commits, 1);
    assert_eq!(other.memory(), 0);
}

#[tokio::test]
async fn many_small_dirty_files_share_the_memory() {
    let mount = Mount::new();
    let (attr, layout) = mount.server.open();
    let ceiling = 3 * u64::from(BLOCK);
    let mut files = Vec::new();
    for number in 0..1000 {
        let attr = proto::Attr { ino: proto::InodeId(1000 + number), ..attr };
        let file = mount.plane.open(&attr, layout.clone()).file;
        mount.plane.write(&*mount.server, &file, 0, &pattern(3000, number), NOW, || false).await.unwrap();
        assert!(mount.plane.memory_used() <= ceiling, "{} bytes", mount.plane.memory_used());
        files.push(file);
    }
    let dirty = files.iter().filter(|file| file.memory() > 0).count();
    assert!(dirty > 100, "{dirty} files are dirty: no more are committed than there is need for");
    mount.plane.flush_all(&*mount.server).await.unwrap();
    assert_eq!(mount.plane.memory_used(), 0);
}

#[tokio::test]
async fn long_write_is_uploaded_in_parallel_and_committed_on_the_way() {
    let mount = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), 64 * MIB as u64);
    mount.store.delay_puts(Duration::from_millis(2));
    for offset in (0..32 * MIB as u64).step_by(MIB) {
        mount.write(offset, &pattern(MIB, offset)).await.unwrap();
    }
    assert!(mount.server.state().commits > 2);
    assert_eq!(mount.server.state().durable_commits, 0);
    mount.flush().await.unwrap();
    assert_eq!(mount.server.state().durable_commits, 1);
    let at_once = mount.store.puts_at_once_max();
    assert!((2..=4).contains(&at_once), "{at_once} uploads at once");
    assert_eq!(mount.server.attr().size, 32 * MIB as u64);
}

#[tokio::test]
async fn reader_in_order_finds_its_data_fetched_and_no_more_than_the_window() {
    let memory_max = 64 * MIB as u64;
    let writer = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), memory_max);
    for offset in (0..24 * MIB as u64).step_by(MIB) {
        writer.write(offset, &pattern(MIB, offset)).await.unwrap();
    }
    writer.flush().await.unwrap();
    let reader = Mount::of(&writer.server, &writer.store, memory_max);
    let mut offset = 0;
    for _ in 0..8 {
        reader.read(offset, 128 << 10).await.unwrap();
        offset += 128 << 10;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let cached = reader.plane.memory_used();
        // Frames and their bookkeeping; the first block of the window may be read in part.
        assert!(cached <= offset + (8 << 20) + (1 << 20), "{cached} bytes cached at {offset}");
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    let gets = reader.store.get_count();
    reader.read(offset, 128 << 10).await.unwrap();
    assert_eq!(reader.store.get_count(), gets, "the read-ahead fetched it");
}

#[tokio::test]
async fn map_is_asked_for_in_pages_and_kept() {
    let writer = Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), 64 * MIB as u64);
    for block in 0..300u64 {
        writer.write(block * u64::from(BLOCK), &pattern(100, block)).await.unwrap();
    }
    writer.flush().await.unwrap();
    let reader = Mount::of(&writer.server, &writer.store, 64 * MIB as u64);
    let before = reader.server.state().layouts;
    for _ in 0..2 {
        for block in 0..300u64 {
            let read = reader.read(block * u64::from(BLOCK), 100).await.unwrap();
            assert_eq!(read, pattern(100, block), "block {block}");
        }
    }
    assert!(reader.server.state().layouts - before <= 3);
}

#[tokio::test]
async fn object_deleted_under_a_reader_is_looked_for_in_the_new_map() {
    let writer = Mount::new();
    writer.write(0, &pattern(MIB, 1)).await.unwrap();
    writer.flush().await.unwrap();
    let reader = Mount::of(&writer.server, &writer.store, 0);
    reader.read(0, 10).await.unwrap();
    let old: Vec<_> = writer.server.state().blocks.values().flatten().map(|piece| piece.object).collect();
    writer.write(0, &pattern(MIB, 2)).await.unwrap();
    writer.flush().await.unwrap();
    block::BlockStore::delete(&*writer.store, &old).await.unwrap();
    assert_eq!(reader.read(0, MIB as u32).await.unwrap(), pattern(MIB, 2));
}

#[tokio::test]
async fn tasks_that_write_and_read_one_file_do_not_disturb_each_other() {
    let mount = Arc::new(Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), 0));
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = (0..6u64)
        .map(|task| {
            let mount = mount.clone();
            local.spawn_local(async move {
                for round in 0..8u64 {
                    // Each task has its own stripe of every block.
                    let offset = round * u64::from(BLOCK) / 2 + task * 20_000;
                    let data = pattern(20_000, task * 100 + round);
                    mount.write(offset, &data).await.unwrap();
                    assert_eq!(mount.read(offset, 20_000).await.unwrap(), data);
                    if round % 3 == task % 3 {
                        mount.flush().await.unwrap();
                    }
                    assert_eq!(mount.read(offset, 20_000).await.unwrap(), data);
                }
            })
        })
        .collect();
    local.await;
    for task in tasks {
        task.await.unwrap();
    }
    mount.flush().await.unwrap();
    let content = mount.committed().await;
    for (task, round) in (0..6u64).flat_map(|task| (0..8u64).map(move |round| (task, round))) {
        let offset = (round * u64::from(BLOCK) / 2 + task * 20_000) as usize;
        assert_eq!(&content[offset..offset + 20_000], pattern(20_000, task * 100 + round));
    }
}

#[test]
fn threads_with_runtimes_of_their_own_share_a_file() {
    let mount = Arc::new(Mount::of(&Server::new(), &Arc::new(MemoryStore::new()), 0));
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let mount = mount.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                runtime.block_on(async {
                    for round in 0..10u64 {
                        let offset = (round * 4 + thread) * 70_000;
                        let data = pattern(70_000, thread * 100 + round);
                        mount.write(offset, &data).await.unwrap();
                        assert_eq!(mount.read(offset, 70_000).await.unwrap(), data);
                    }
                    // A runtime that ends takes its uploads with it: they must not be missing in the end.
                    mount.flush().await.unwrap();
                });
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let content = runtime.block_on(async {
        mount.flush().await.unwrap();
        mount.committed().await
    });
    for (thread, round) in (0..4u64).flat_map(|thread| (0..10u64).map(move |round| (thread, round))) {
        let offset = ((round * 4 + thread) * 70_000) as usize;
        assert_eq!(&content[offset..offset + 70_000], pattern(70_000, thread * 100 + round));
    }
}

#[tokio::test]
async fn hole_in_a_small_file_reads_as_zero() {
    let mount = Mount::new();
    mount.write(0, &pattern(4000, 1)).await.unwrap();
    let (server, file) = (&*mount.server, &mount.file);
    mount.plane.fallocate(server, file, Fallocate::PunchHole, 1000, 1000, NOW).await.unwrap();
    let mut expected = pattern(4000, 1);
    expected[1000..2000].fill(0);
    assert_eq!(mount.committed().await, expected);
    assert_eq!(mount.store.put_count(), 0);
}
