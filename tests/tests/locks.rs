//! Locks hold among all mounts of a volume, end with whoever held them, and are where mounts meet.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::{Cluster, Flags, Locker, Mounted, Volume, wait_for};

const LOCKER: &str = env!("CARGO_BIN_EXE_locker");
/// The bound of whatever ends a lock: from then on to who waits for it.
const HANDED_ON_MS: u64 = 1000;
/// As long as somebody who waits is watched to wait.
const WATCHED_MS: u64 = 300;

struct World {
    /// Go before the servers.
    mounts: [Mounted; 2],
    volume: Volume,
    cluster: Cluster,
}

impl World {
    fn new(name: &str) -> Self {
        Self::of(Cluster::start(), name)
    }

    fn of(cluster: Cluster, name: &str) -> Self {
        let volume = cluster.create_volume(name, &[]);
        let mounts = [(); 2].map(|()| cluster.mount(&volume, &volume.token, &[]));
        fs::write(mounts[0].path("file"), "").unwrap();
        Self { mounts, volume, cluster }
    }

    /// Programs with the file open: two on the first mount, one on the second.
    fn lockers(&self) -> [Locker; 3] {
        [0, 0, 1].map(|mount: usize| Locker::opening(LOCKER, &self.mounts[mount].path("file")))
    }
}

#[track_caller]
fn waits(locker: &mut Locker, command: &str) {
    locker.begin(command);
    assert_eq!(locker.answer_within(WATCHED_MS), None, "{command}");
}

#[track_caller]
fn gets(locker: &Locker) {
    assert_eq!(locker.answer_within(HANDED_ON_MS).as_deref(), Some("ok"));
}

#[test]
fn locks_of_all_kinds_exclude_others_on_the_same_mount_and_on_another() {
    let world = World::new("kinds");
    for kind in ["range", "ofd", "whole"] {
        let [mut holder, beside, far] = world.lockers();
        for mut other in [beside, far] {
            holder.ok(&format!("lock f {kind} sh 0 0 try"));
            other.ok(&format!("lock f {kind} sh 0 0 try"));
            assert_eq!(holder.ask(&format!("lock f {kind} ex 0 0 try")), "EAGAIN", "{kind}: it is shared");
            other.ok(&format!("unlock f {kind} 0 0"));
            holder.ok(&format!("lock f {kind} ex 0 0 try"));
            assert_eq!(other.ask(&format!("lock f {kind} sh 0 0 try")), "EAGAIN", "{kind}: it is exclusive");
            holder.ok(&format!("lock f {kind} sh 0 0 try"));
            other.ok(&format!("lock f {kind} sh 0 0 try"));
            other.ok(&format!("unlock f {kind} 0 0"));
            holder.ok(&format!("unlock f {kind} 0 0"));
            other.ok(&format!("lock f {kind} ex 0 0 try"));
            other.ok(&format!("unlock f {kind} 0 0"));
        }
    }
}

#[test]
fn ranges_are_locked_apart_and_told_of() {
    let world = World::new("ranges");
    let [mut holder, mut beside, mut far] = world.lockers();
    holder.ok("lock f range ex 100 50 try");
    holder.ok("lock f range sh 120 10 try");
    for other in [&mut beside, &mut far] {
        other.ok("lock f range ex 0 100 try");
        other.ok("unlock f range 0 100");
        assert_eq!(other.ask("lock f range sh 0 101 try"), "EAGAIN");
        other.ok("lock f range sh 120 10 try");
        assert_eq!(other.ask("lock f range sh 130 1 try"), "EAGAIN");
        other.ok("unlock f range 120 10");
    }
    let pid = holder.pid();
    assert_eq!(holder.ask("test f range ex 0 0"), "free", "what it holds itself is in nobody's way");
    assert_eq!(beside.ask("test f range ex 0 0"), format!("ex 100 20 {pid}"));
    assert_eq!(beside.ask("test f range sh 0 100"), "free");
    // A process of another host has no number here.
    assert_eq!(far.ask("test f range sh 125 1000"), "ex 130 20 0");
    assert_eq!(far.ask("test f ofd ex 120 10"), "sh 120 10 -1", "an open file is no process");
    holder.ok("unlock f range 0 0");
    assert_eq!(far.ask("test f range ex 0 0"), "free");
    // What grows is covered too.
    holder.ok("lock f range ex 1000 0 try");
    assert_eq!(far.ask("lock f range sh 9000000000000000000 1 try"), "EAGAIN");
}

#[test]
fn lock_of_a_process_ends_with_its_first_close_and_one_of_an_open_file_with_the_last() {
    let world = World::new("close");
    let [mut holder, _, mut far] = world.lockers();
    let again = format!("open g {} rw", world.mounts[0].path("file").display());
    holder.ok("lock f range ex 0 0 try");
    holder.ok("lock f whole ex 0 0 try");
    holder.ok(&again);
    holder.ok("close g");
    far.ok("lock f range ex 0 0 try");
    far.ok("unlock f range 0 0");
    holder.ok("lock f ofd ex 0 0 try");
    holder.ok(&again);
    holder.ok("close g");
    assert_eq!(far.ask("lock f range ex 0 0 try"), "EAGAIN");
    assert_eq!(far.ask("lock f whole ex 0 0 try"), "EAGAIN");
    waits(&mut far, "lock f ofd ex 0 0 wait");
    holder.ok("close f");
    gets(&far);
    // The kernel says so a moment after the close; who asks elsewhere may be faster.
    wait_for("the flock of the closed file ends", 1, || far.ask("lock f whole ex 0 0 try") == "ok");
}

#[test]
fn lock_through_a_descriptor_that_only_reads_ends_with_it() {
    let world = World::new("reading");
    let [_, _, mut far] = world.lockers();
    let mut holder = Locker::start(LOCKER);
    holder.ok(&format!("open f {} ro", world.mounts[0].path("file").display()));
    assert_eq!(holder.ask("lock f range ex 0 0 try"), "EBADF");
    holder.ok("lock f range sh 0 0 try");
    holder.ok("lock f whole ex 0 0 try");
    waits(&mut far, "lock f range ex 0 0 wait");
    holder.ok("close f");
    gets(&far);
    far.begin("lock f whole ex 0 0 wait");
    gets(&far);
}

#[test]
fn end_of_a_program_frees_its_locks() {
    let world = World::new("end");
    for kind in ["range", "ofd", "whole"] {
        let [mut holder, mut beside, mut far] = world.lockers();
        holder.ok(&format!("lock f {kind} ex 0 0 try"));
        waits(&mut far, &format!("lock f {kind} sh 0 0 wait"));
        waits(&mut beside, &format!("lock f {kind} sh 0 0 wait"));
        holder.kill();
        gets(&far);
        gets(&beside);
    }
}

#[test]
fn waiters_get_the_lock_one_after_the_other() {
    let world = World::new("waiters");
    for kind in ["range", "ofd", "whole"] {
        let [mut first, mut second, mut third] = world.lockers();
        first.ok(&format!("lock f {kind} ex 0 0 try"));
        second.begin(&format!("lock f {kind} ex 0 0 wait"));
        third.begin(&format!("lock f {kind} ex 0 0 wait"));
        assert_eq!((second.answer_within(WATCHED_MS), third.answer_within(WATCHED_MS)), (None, None));
        first.ok(&format!("unlock f {kind} 0 0"));
        let mut lockers = [second, third];
        let mut got = Vec::new();
        wait_for("one of them gets it", 5, || {
            got = (0..2).filter(|place| lockers[*place].answer_within(10).is_some()).collect();
            !got.is_empty()
        });
        assert_eq!(got.len(), 1, "only one of them");
        assert_eq!(lockers[1 - got[0]].answer_within(WATCHED_MS), None);
        lockers[got[0]].ok(&format!("unlock f {kind} 0 0"));
        gets(&lockers[1 - got[0]]);
    }
}

#[test]
fn signal_ends_the_waiting_at_once_and_nothing_is_held_afterwards() {
    let world = World::new("signal");
    for kind in ["range", "ofd", "whole"] {
        let [mut holder, mut beside, mut far] = world.lockers();
        holder.ok(&format!("lock f {kind} ex 0 0 try"));
        for waiter in [&mut beside, &mut far] {
            waiter.ok("alarm 100");
            let begin = Instant::now();
            assert_eq!(waiter.ask(&format!("lock f {kind} ex 0 0 wait")), "EINTR");
            let took = begin.elapsed();
            assert!(took < Duration::from_millis(350), "{kind}: {took:?} for a signal after 100 ms");
        }
        holder.ok(&format!("unlock f {kind} 0 0"));
        holder.ok(&format!("lock f {kind} ex 0 0 try"));
        // A killed waiter is gone at once and gets nothing any more.
        waits(&mut beside, &format!("lock f {kind} ex 0 0 wait"));
        assert!(beside.kill() < Duration::from_millis(300));
        holder.ok(&format!("unlock f {kind} 0 0"));
        holder.ok(&format!("lock f {kind} ex 0 0 try"));
    }
}

#[test]
fn two_that_wait_for_each_other_over_two_mounts_are_told() {
    let world = World::new("deadlock");
    let [mut near, _, mut far] = world.lockers();
    near.ok("lock f range ex 0 1 try");
    far.ok("lock f range ex 1 1 try");
    waits(&mut near, "lock f range ex 1 1 wait");
    assert_eq!(far.ask("lock f range ex 0 1 wait"), "EDEADLK");
    far.ok("unlock f range 1 1");
    gets(&near);
}

#[test]
fn two_that_share_a_flock_and_both_want_it_for_themselves_do_not_wait_for_ever() {
    let world = World::new("upgrade");
    let [mut near, mut beside, mut far] = world.lockers();
    for other in [&mut beside, &mut far] {
        near.ok("lock f whole sh 0 0 try");
        other.ok("lock f whole sh 0 0 try");
        near.begin("lock f whole ex 0 0 wait");
        other.begin("lock f whole ex 0 0 wait");
        let first = near.answer_within(500);
        let (winner, loser) = if first.is_some() { (&mut near, &mut *other) } else { (&mut *other, &mut near) };
        if first.is_none() {
            gets(winner);
        }
        winner.ok("unlock f whole 0 0");
        gets(loser);
        loser.ok("unlock f whole 0 0");
    }
}

/// Programs on both mounts add to a number in a file, each time under a lock.
fn count(world: &World, name: &str, kind: &str) {
    const TIMES: u64 = 200;
    let paths = world.mounts.each_ref().map(|mount| mount.path(name));
    fs::write(&paths[0], "00000000").unwrap();
    // Both kernels have the page.
    paths.iter().for_each(|path| assert_eq!(fs::read(path).unwrap(), b"00000000"));
    let mut lockers: Vec<Locker> = paths.iter().cycle().take(4).map(|path| Locker::opening(LOCKER, path)).collect();
    lockers.iter_mut().for_each(|locker| assert_eq!(locker.ask("read f 0 8"), "00000000"));
    lockers.iter_mut().for_each(|locker| locker.begin(&format!("count f {kind} {TIMES}")));
    for locker in &lockers {
        assert_eq!(locker.answer_within(120_000).as_deref(), Some("ok"));
    }
    let expected = format!("{:08}", 4 * TIMES);
    for locker in &mut lockers {
        locker.ok(&format!("lock f {kind} sh 0 0 wait"));
        assert_eq!(locker.ask("read f 0 8"), expected, "{kind}");
        locker.ok(&format!("unlock f {kind} 0 0"));
    }
}

#[test]
fn nothing_is_lost_of_what_is_counted_under_locks_on_two_mounts() {
    let world = World::new("count");
    for kind in ["range", "ofd", "whole"] {
        count(&world, kind, kind);
    }
}

#[test]
fn who_gets_a_lock_sees_what_was_written_under_it_before() {
    let world = World::new("news");
    let [mut writer, _, mut reader] = world.lockers();
    for kind in ["range", "whole"] {
        for (round, text) in ["first", "longer-than-before", "short", "short", "other"].iter().enumerate() {
            writer.ok(&format!("lock f {kind} ex 0 0 wait"));
            writer.ok(&format!("write f 0 {text}"));
            // By giving it up, or by sharing it.
            let ending =
                if round % 2 == 0 { format!("unlock f {kind} 0 0") } else { format!("lock f {kind} sh 0 0 try") };
            writer.ok(&ending);
            reader.ok(&format!("lock f {kind} sh 0 0 wait"));
            assert_eq!(reader.ask(&format!("read f 0 {}", text.len())), *text, "{kind}, round {round}");
            reader.ok(&format!("unlock f {kind} 0 0"));
            writer.ok(&format!("unlock f {kind} 0 0"));
        }
    }
}

#[test]
fn lines_appended_under_locks_on_two_mounts_are_all_there() {
    let world = World::new("append");
    let paths = world.mounts.each_ref().map(|mount| mount.path("log"));
    let mut lockers = paths.each_ref().map(|path| {
        let mut locker = Locker::start(LOCKER);
        locker.ok(&format!("open f {} append", path.display()));
        locker
    });
    let mut expected = String::new();
    for round in 0..40 {
        let locker = &mut lockers[round % 2];
        let line = format!("line-{round};");
        locker.ok("lock f whole ex 0 0 wait");
        locker.ok(&format!("append f {line}"));
        locker.ok("unlock f whole 0 0");
        expected += &line;
    }
    let read = |locker: &mut Locker, len: usize| {
        locker.ok("lock f whole sh 0 0 wait");
        let text = locker.ask(&format!("read r 0 {}", len + 1));
        locker.ok("unlock f whole 0 0");
        text
    };
    for (locker, path) in lockers.iter_mut().zip(&paths) {
        locker.ok(&format!("open r {} ro", path.display()));
        assert_eq!(read(locker, expected.len()), expected);
    }
    // The one cuts the file off, the other goes on to append.
    for line in ["after;", "more;"] {
        lockers[0].ok("lock f whole ex 0 0 wait");
        File::options().write(true).open(&paths[0]).unwrap().set_len(10).unwrap();
        lockers[0].ok("unlock f whole 0 0");
        lockers[1].ok("lock f whole ex 0 0 wait");
        lockers[1].ok(&format!("append f {line}"));
        lockers[1].ok("unlock f whole 0 0");
        let expected = expected[..10].to_owned() + line;
        lockers.iter_mut().for_each(|locker| assert_eq!(read(locker, expected.len()), expected));
    }
}

#[test]
fn file_that_is_opened_to_append_ends_where_another_mount_closed_it() {
    let world = World::new("logs");
    let paths = world.mounts.each_ref().map(|mount| mount.path("log"));
    let mut expected = String::new();
    for round in 0..20 {
        let line = format!("line-{round};");
        let mut file = File::options().append(true).create(true).open(&paths[round % 2]).unwrap();
        file.write_all(line.as_bytes()).unwrap();
        drop(file);
        expected += &line;
    }
    paths.iter().for_each(|path| assert_eq!(fs::read_to_string(path).unwrap(), expected));
}

#[test]
fn locks_and_those_who_wait_outlive_a_crash_of_the_metadata_server() {
    let mut world = World::new("crash");
    let standby = world.cluster.standby_meta();
    let [mut holder, mut beside, mut far] = world.lockers();
    holder.ok("lock f range ex 0 0 try");
    holder.ok("lock f whole ex 0 0 try");
    waits(&mut far, "lock f range ex 0 0 wait");
    waits(&mut beside, "lock f whole ex 0 0 wait");
    let mut killed = Locker::opening(LOCKER, &world.mounts[1].path("file"));
    waits(&mut killed, "lock f whole ex 0 0 wait");
    world.cluster.meta.kill();
    std::thread::sleep(Duration::from_millis(300));
    assert!(killed.kill() < Duration::from_millis(800), "a waiter can be killed while the server is away");
    let mut asking = far;
    holder.begin("unlock f range 0 0");
    assert_eq!((holder.answer_within(WATCHED_MS), asking.answer_within(1)), (None, None));
    world.cluster.take_over(standby);
    assert_eq!(holder.answer_within(20_000).as_deref(), Some("ok"));
    assert_eq!(asking.answer_within(20_000).as_deref(), Some("ok"), "who waited gets it");
    assert_eq!(asking.ask("lock f whole ex 0 0 try"), "EAGAIN", "the other lock is still held");
    assert_eq!(beside.answer_within(WATCHED_MS), None);
    holder.ok("unlock f whole 0 0");
    // Who only waits finds out last that the server it asked is gone.
    assert_eq!(beside.answer_within(20_000).as_deref(), Some("ok"));
}

#[test]
fn unmounting_frees_locks_and_so_does_the_end_of_a_token() {
    let world = World::new("token");
    let [_, _, mut waiter] = world.lockers();
    for by_token in [false, true] {
        let (token, id) = world.cluster.create_bounded_token(&world.volume, &[]);
        let mount = world.cluster.mount(&world.volume, &token, &[]);
        let mut holder = Locker::opening(LOCKER, &mount.path("file"));
        holder.ok("lock f range ex 0 0 try");
        holder.ok("lock f whole ex 0 0 try");
        let mut beside = Locker::opening(LOCKER, &mount.path("file"));
        waits(&mut waiter, "lock f range ex 0 0 wait");
        waits(&mut beside, "lock f whole ex 0 0 wait");
        if by_token {
            world.cluster.configure(&["delete", "volume-token", &id]);
        } else {
            mount.stop();
        }
        gets(&waiter);
        if by_token {
            assert_eq!(beside.answer_within(HANDED_ON_MS).as_deref(), Some("EACCES"));
            assert_eq!(holder.ask("lock f range ex 0 0 try"), "EACCES");
            assert_eq!(holder.ask("unlock f range 0 0"), "EACCES");
        }
        waiter.ok("lock f whole ex 0 0 wait");
        waiter.ok("unlock f whole 0 0");
        waiter.ok("unlock f range 0 0");
    }
}

#[test]
fn read_only_mount_shares_locks_and_takes_none_for_itself() {
    let world = World::new("read-only");
    let token = world.cluster.create_token(&world.volume, "/", "ro");
    let mount = world.cluster.mount(&world.volume, &token, &[]);
    let mut reader = Locker::start(LOCKER);
    reader.ok(&format!("open f {} ro", mount.path("file").display()));
    assert_eq!(reader.ask("lock f whole ex 0 0 try"), "EROFS");
    reader.ok("lock f whole sh 0 0 try");
    reader.ok("lock f range sh 0 0 try");
    let [mut writer, ..] = world.lockers();
    assert_eq!(writer.ask("lock f range ex 0 0 try"), "EAGAIN");
    reader.ok("unlock f range 0 0");
    writer.ok("lock f range ex 0 0 try");
}

#[test]
fn mount_that_was_given_up_for_lost_takes_its_locks_again_or_is_told_that_others_have_them() {
    let flags = Flags { meta: ["--sessionGrace", "30s"].map(str::to_owned).to_vec(), ..Flags::default() };
    let mut world = World::of(Cluster::start_with(flags), "lost");
    let [lost, kept] = ["lost", "kept"].map(|name| world.mounts.each_ref().map(|mount| mount.path(name)));
    let mut holders = [&lost[0], &kept[0]].map(|path| Locker::opening(LOCKER, path));
    for holder in &mut holders {
        holder.ok("write f 0 committed");
        holder.ok("lock f whole ex 0 0 try");
    }
    let [mut gets_lost, mut wants_kept] = [&lost[1], &kept[1]].map(|path| Locker::opening(LOCKER, path));
    waits(&mut gets_lost, "lock f whole ex 0 0 wait");
    holders[0].ok("lock f whole ex 0 0 try");
    holders[0].ok("write f 0 under-lock");
    world.mounts[0].daemon.signal(Signal::STOP);
    world.cluster.meta.kill();
    world.cluster.restart_meta();
    assert_eq!(gets_lost.answer_within(60_000).as_deref(), Some("ok"), "the mount is taken for lost");
    gets_lost.ok("write f 0 the-others");
    world.mounts[0].daemon.signal(Signal::CONT);
    let [holder, keeper] = &mut holders;
    wait_for("who lost the lock is told", 10, || holder.ask("write f 0 overwritten") == "ESTALE");
    assert_eq!(holder.ask("lock f whole sh 0 0 try"), "ESTALE");
    assert_eq!(wants_kept.ask("lock f whole ex 0 0 try"), "EAGAIN", "the lock that nobody took is held again");
    keeper.ok("write f 0 still-held");
    keeper.ok("unlock f whole 0 0");
    wants_kept.ok("lock f whole ex 0 0 wait");
    assert_eq!(wants_kept.ask("read f 0 10"), "still-held");
    holder.ok("close f");
    // What is written back by itself would have come by now.
    std::thread::sleep(Duration::from_secs(6));
    gets_lost.ok("unlock f whole 0 0");
    gets_lost.ok("lock f whole sh 0 0 try");
    assert_eq!(gets_lost.ask("read f 0 10"), "the-others");
    let third = world.cluster.mount(&world.volume, &world.volume.token, &[]);
    assert_eq!(fs::read_to_string(third.path("lost")).unwrap(), "the-others");
}

/// A lock taken and left by one program after another: the kernel tells of a closed file when the next one asks already.
fn take_in_turns(path: &Path, times: usize) {
    let path = path.to_str().unwrap();
    let script = r#"for i in $(seq "$2"); do flock -n "$1" true || echo LOST; done"#;
    let args = ["-c", script, "sh", path, &times.to_string()].map(str::to_owned);
    let output = std::process::Command::new("/bin/sh").args(args).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn lock_that_was_just_left_is_free_for_the_next_program() {
    let world = World::new("turns");
    take_in_turns(&world.mounts[0].path("file"), 500);
}

#[test]
fn many_waiters_on_one_mount_do_not_keep_the_lock_from_being_given_up() {
    let world = World::new("crowd");
    let [mut holder, ..] = world.lockers();
    holder.ok("lock f whole ex 0 0 try");
    let path = world.mounts[0].path("file");
    let mut crowd: Vec<Locker> = (0..150).map(|_| Locker::opening(LOCKER, &path)).collect();
    crowd.iter_mut().for_each(|locker| locker.begin("lock f whole sh 0 0 wait"));
    std::thread::sleep(Duration::from_millis(1500));
    // Others come through.
    let begin = Instant::now();
    fs::write(world.mounts[0].path("other"), "x").unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2));
    holder.ok("unlock f whole 0 0");
    let answers: Vec<_> = crowd.iter().map(|locker| locker.answer_within(10_000)).collect();
    let had = answers.iter().filter(|answer| answer.as_deref() == Some("ok")).count();
    let no_place = answers.iter().filter(|answer| answer.as_deref() == Some("ENOLCK")).count();
    assert_eq!(had + no_place, 150, "{answers:?}");
    assert!(had >= 56, "{had} had the lock");
}
