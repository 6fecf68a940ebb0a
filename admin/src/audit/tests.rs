use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::chain::{Fault, Tip};
use super::files::Files;
use super::*;
use crate::db::{AUDIT_FOLDER, Database};
use crate::keys::Keys;

fn keys(folder: &Path) -> Keys {
    Keys::load(&folder.join("key"), true).unwrap()
}

/// A database folder whose log has `count` lines.
async fn folder_with(count: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(folder.path()).unwrap();
    for number in 0..count {
        database.tell(Event::new("volume.create").with("number", number)).await;
    }
    folder
}

fn log_file(folder: &Path) -> PathBuf {
    super::files::paths(&folder.join(AUDIT_FOLDER)).unwrap().pop().unwrap()
}

fn lines(folder: &Path) -> Vec<String> {
    fs::read_to_string(log_file(folder)).unwrap().lines().map(str::to_owned).collect()
}

fn write(folder: &Path, lines: &[String]) {
    fs::write(log_file(folder), lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

/// Line of the file and what is wrong there.
#[track_caller]
fn broken(folder: &Path) -> (u64, String) {
    let broken = verify_audit(folder).unwrap().broken.expect("the log is broken");
    (broken.line, broken.what)
}

#[test]
fn times_read_as_everybody_writes_them() {
    let at = |secs| stamp(UNIX_EPOCH + Duration::from_secs(secs));
    assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(at(951_782_400), "2000-02-29T00:00:00.000Z");
    assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59.000Z");
    assert_eq!(at(4_107_542_400), "2100-03-01T00:00:00.000Z");
    let now = UNIX_EPOCH + Duration::from_secs(86_400);
    assert_eq!(stamp::since("1h", now).unwrap(), "1970-01-01T23:00:00.000Z");
    assert_eq!(stamp::since("9w", now).unwrap(), "1970-01-01T00:00:00.000Z");
    for text in ["2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5Z"] {
        assert!(stamp::since(text, now).is_ok(), "{text}");
    }
    assert!(stamp::since("2026-01-31T12:00:00Z", now).unwrap().as_str() <= "2026-01-31T12:00:00.000Z");
    for text in ["", "h", "yesterday", "2026-1-1", "2026-01-31T12:00:00", "2026-01-31T12:00:00+01:00", "5y"] {
        assert!(stamp::since(text, now).unwrap_err().contains("24h"), "{text}");
    }
}

#[test]
fn lines_follow_from_each_other_under_the_key_alone() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = keys(folder.path());
    let (one, first) = Tip::start().next(&keys, "t", &Event::new("a.b"));
    let (two, second) = one.next(&keys, "t", &Event::new("a.c"));
    assert_eq!(Tip::start().check(&keys, &first), Ok(one.clone()));
    assert_eq!(one.check(&keys, &second), Ok(two));
    assert_eq!(one.check(&keys, &first), Err(Fault::OutOfOrder { expected: 2, found: 1 }));
    assert_eq!(one.check(&keys, &second.replace("a.c", "a.d")), Err(Fault::Changed(2)));
    assert_eq!(Tip::start().check(&super::tests::keys(other.path()), &first), Err(Fault::Changed(1)));
    let (_, forked) = Tip::start().next(&keys, "t", &Event::new("x.y"));
    let (forked_tip, _) = Tip::start().next(&keys, "t", &Event::new("x.y"));
    assert_ne!(forked, first);
    assert_eq!(forked_tip.check(&keys, &second), Err(Fault::Unlinked(2)));
    for end in 0..second.len() {
        assert!(one.check(&keys, &second[..end]).is_err(), "{end}");
    }
}

#[test]
fn secrets_and_long_texts_do_not_get_into_a_line() {
    let changes = serde_json::json!({ "token": "t0ken", "notes": "x".repeat(5000), "password": { "a": "t0ken" } });
    let event = Event::new("account.update").with("changes", changes).with("token", "t0ken");
    let text = serde_json::to_string(&event).unwrap();
    assert!(!text.contains("t0ken") && text.len() < 700, "{text}");
}

#[tokio::test]
async fn sound_log_is_sound_and_private() {
    let folder = folder_with(5).await;
    let report = verify_audit(folder.path()).unwrap();
    assert_eq!((report.first, report.last, report.files, report.broken), (1, 5, 1, None));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.path().join(AUDIT_FOLDER)), mode(&log_file(folder.path()))), (0o700, 0o600));
}

#[tokio::test]
async fn changed_line_is_the_one_that_is_named() {
    let folder = folder_with(5).await;
    let mut lines = lines(folder.path());
    lines[2] = lines[2].replace("\"number\":2", "\"number\":7");
    write(folder.path(), &lines);
    let (line, what) = broken(folder.path());
    assert_eq!((line, what.contains("line 3 was changed")), (3, true), "{what}");
}

#[tokio::test]
async fn line_taken_out_or_moved_is_noticed() {
    let folder = folder_with(5).await;
    let whole = lines(folder.path());
    for (what_is_done, changed) in [
        ("taken out", [&whole[..2], &whole[3..]].concat()),
        ("taken out at the begin", whole[1..].to_vec()),
        ("swapped", vec![whole[0].clone(), whole[2].clone(), whole[1].clone(), whole[3].clone(), whole[4].clone()]),
        ("doubled", vec![whole[0].clone(), whole[0].clone()]),
    ] {
        write(folder.path(), &changed);
        assert!(verify_audit(folder.path()).unwrap().broken.is_some(), "{what_is_done}");
    }
    write(folder.path(), &whole);
    assert_eq!(verify_audit(folder.path()).unwrap().broken, None);
}

/// The database lets go of lines that are on disk; then a cut is final.
#[tokio::test]
async fn cut_tail_is_noticed_once_the_database_let_go_of_it() {
    let folder = folder_with(300).await;
    let whole = lines(folder.path());
    // What the database still has is no loss.
    write(folder.path(), &whole[..280]);
    assert_eq!(verify_audit(folder.path()).unwrap().broken, None);
    write(folder.path(), &whole[..200]);
    let (_, what) = broken(folder.path());
    assert!(what.contains("300") && what.contains("cut off") && what.contains("200"), "{what}");
    fs::remove_file(log_file(folder.path())).unwrap();
    assert!(broken(folder.path()).1.contains("cut off"));
}

#[tokio::test]
async fn crash_between_database_and_file_loses_no_line() {
    let folder = folder_with(5).await;
    let whole = lines(folder.path());
    // The last lines did not get to the file, and one is half there.
    fs::write(log_file(folder.path()), format!("{}\n{}\n{}", whole[0], whole[1], &whole[2][..40])).unwrap();
    assert_eq!(verify_audit(folder.path()).unwrap().broken, None, "the database has them");
    drop(Database::open(folder.path()).unwrap());
    assert_eq!(lines(folder.path()), whole);
    assert_eq!(verify_audit(folder.path()).unwrap().last, 5);
}

#[tokio::test]
async fn restored_database_is_no_excuse_for_other_lines() {
    let folder = folder_with(3).await;
    let backup = tempfile::tempdir().unwrap();
    for file in ["admin.db", "key"] {
        fs::copy(folder.path().join(file), backup.path().join(file)).unwrap();
    }
    let database = Database::open(folder.path()).unwrap();
    database.tell(Event::new("volume.delete")).await;
    drop(database);
    fs::copy(backup.path().join("admin.db"), folder.path().join("admin.db")).unwrap();
    for file in ["admin.db-wal", "admin.db-shm"] {
        let _ = fs::remove_file(folder.path().join(file));
    }
    let database = Database::open(folder.path()).unwrap();
    database.tell(Event::new("volume.create")).await;
    drop(database);
    assert!(verify_audit(folder.path()).unwrap().broken.is_some());
}

#[tokio::test]
async fn altered_record_of_the_end_is_noticed() {
    let folder = folder_with(3).await;
    let connection = rusqlite::Connection::open(folder.path().join("admin.db")).unwrap();
    connection.execute("UPDATE audit_state SET sealed = zeroblob(80)", []).unwrap();
    drop(connection);
    assert!(broken(folder.path()).1.contains("record of the last line"));
}

#[test]
fn files_rotate_keep_the_chain_and_go_at_the_old_end() {
    let folder = tempfile::tempdir().unwrap();
    let (keys, log) = (keys(folder.path()), folder.path().join("log"));
    let (mut files, written) = Files::open_with(&log, 1000).unwrap();
    assert_eq!(written, 0);
    let mut tip = Tip::start();
    for _ in 0..50 {
        let (next, line) = tip.next(&keys, "2026-01-01T00:00:00.000Z", &Event::new("a.b"));
        files.append(next.seq, &line).unwrap();
        tip = next;
    }
    let paths = super::files::paths(&log).unwrap();
    assert!(paths.len() > 5, "{paths:?}");
    assert!(paths.iter().all(|path| fs::metadata(path).unwrap().len() < 1500));
    let mut walked = Tip::start();
    for path in &paths {
        for line in fs::read_to_string(path).unwrap().lines() {
            walked = walked.check(&keys, line).unwrap();
        }
    }
    assert_eq!(walked, tip);
    let first = files.prune(2).unwrap().unwrap();
    let left = super::files::paths(&log).unwrap();
    assert_eq!((left.len(), files.prune(2).unwrap()), (2, None));
    assert!(left[0].ends_with(format!("{first:012}.jsonl")));
    drop(files);
    assert_eq!(Files::open_with(&log, 1000).unwrap().1, 50);
}
