use super::*;

fn time(stage: Stage, at: u64, took: u64) -> StageTime {
    StageTime { stage, request: None, at, took, server: 0, disk: 0 }
}

fn operation(total: u64, stages: Vec<StageTime>) -> SlowOperation {
    SlowOperation {
        operation: "fsync".to_owned(),
        inode: 4711,
        began: 1000.0,
        total,
        queue: 200,
        reply: 5,
        error: None,
        stages,
    }
}

#[test]
fn time_is_told_with_what_it_was_for() {
    let commit =
        StageTime { request: Some("commit".to_owned()), server: 9500, disk: 9400, ..time(Stage::Call, 2100, 9800) };
    let slow = operation(12_345, vec![time(Stage::Upload, 0, 2050), commit]);
    assert_eq!(
        report(Path::new("/mnt"), &[slow], 1003.2),
        "slowest operations of the last minutes, /mnt; milliseconds\n\
         \n   12.35  fsync of inode 4711, 3 s ago\n        2.05  uploads of written bytes\n        \
         9.80  commit: metadata server 9.50 (of that its disk 9.40), network 0.30\n        \
         0.20  before it was taken up: others were first on the thread\n        0.29  the mount itself\n"
    );
}

#[test]
fn stage_within_another_is_shown_below_it_and_not_counted_twice() {
    let stages = vec![
        time(Stage::Blocks, 0, 1000),
        time(Stage::Store, 100, 700),
        time(Stage::Store, 150, 800),
        time(Stage::Turn, 1000, 50),
    ];
    let depths: Vec<usize> = nested(&stages).iter().map(|(depth, _)| *depth).collect();
    assert_eq!(depths, [0, 1, 1, 0]);
    assert_eq!(covered(&stages), 1050);
    assert_eq!(covered(&[]), 0);
}

#[test]
fn failure_and_silence_are_told() {
    let failed = SlowOperation { error: Some("EINTR".to_owned()), ..operation(500, Vec::new()) };
    assert!(report(Path::new("/mnt"), &[failed], 1000.0).contains("fsync of inode 4711, EINTR, 0 s ago"));
    assert_eq!(report(Path::new("/mnt"), &[], 0.0), "/mnt: no operation had to wait in the last minutes\n");
}

#[test]
fn newest_mount_is_the_last_of_ours() {
    let mountinfo = "\
30 22 0:25 / /mnt/one rw - fuse.flexfs default rw
31 22 0:26 / /mnt/two\\040words rw - fuse.flexfs default rw
32 22 0:27 / /mnt/other rw - fuse.sshfs host: rw
";
    assert_eq!(newest(mountinfo), Some("/mnt/two words".into()));
    assert_eq!(newest(""), None);
}
