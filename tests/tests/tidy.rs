//! The shape of the workspace: who may know whom, what is pure, and how long a file may be.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on in this workspace. Arrows point down; crates of one line never import each other.
const ALLOWED: [(&str, &[&str]); 12] = [
    ("proto", &[]),
    ("metrics", &[]),
    ("auth", &["proto"]),
    ("transport", &["proto"]),
    ("block", &["proto"]),
    ("fsd", &["proto", "metrics", "auth", "transport", "block"]),
    ("meta", &["proto", "metrics", "auth", "transport", "block"]),
    ("admin", &["proto", "metrics", "auth", "transport", "block"]),
    ("perf", &["proto", "auth", "transport", "block", "fsd", "meta"]),
    ("tools", &["proto", "metrics", "auth", "transport", "block", "fsd", "meta", "admin", "perf"]),
    ("tests", &["proto", "auth", "transport", "block", "fsd", "meta", "admin", "tools"]),
    ("xtask", &[]),
];

/// Lines of a source file that is not a test: beyond this it has more than one subject.
const LINES_MAX: usize = 500;

#[test]
fn crates_depend_downwards_only() {
    let allowed = BTreeMap::from(ALLOWED);
    let metadata = cargo_metadata();
    let packages = metadata["packages"].as_array().expect("cargo lists packages");
    assert_eq!(packages.len(), ALLOWED.len(), "a crate is new: say here what it may know");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let target = dependency["name"].as_str().unwrap();
            if dependency["path"].is_string() {
                assert!(allowed[name].contains(&target), "{name} must not know {target}");
            }
        }
    }
}

#[test]
fn source_files_have_one_subject() {
    let mut long = Vec::new();
    for (name, _) in ALLOWED {
        visit(&workspace().join(name), &mut |path| {
            let is_test = path.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests"));
            if path.extension().is_some_and(|ending| ending == "rs") && !is_test {
                let lines = std::fs::read_to_string(path).unwrap().lines().count();
                if lines > LINES_MAX {
                    long.push(format!("{}: {lines} lines", path.display()));
                }
            }
        });
    }
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn tests_lie_in_files_of_their_own() {
    let mut inline = Vec::new();
    for (name, _) in ALLOWED {
        visit(&workspace().join(name).join("src"), &mut |path| {
            let is_source = path.extension().is_some_and(|ending| ending == "rs");
            if is_source && std::fs::read_to_string(path).unwrap().lines().any(|line| line.trim() == "mod tests {") {
                inline.push(path.display().to_string());
            }
        });
    }
    assert!(inline.is_empty(), "{inline:#?}");
}

/// The parts of `fsd` that only remember and decide; their tests are held too.
const PURE: [&str; 11] = [
    "state.rs",
    "state/",
    "adapter.rs",
    "adapter/",
    "data/budget",
    "data/dirty",
    "data/map",
    "data/readahead",
    "data/sealed",
    "data/state.rs",
    "data/state/",
];

/// What nothing pure may call: runtimes, clocks, threads, files.
const IMPURE: [&str; 8] =
    ["tokio", "Instant::now", "SystemTime::now", "std::thread", "std::fs", "std::net", "spawn(", "spawn_local("];

/// Where the pure parts wait for each other all the same, by what wakes tasks of any runtime.
const WAITING: [(&str, &str); 5] = [
    ("state/closes.rs", "use tokio::sync::Notify;"),
    ("state/files.rs", "settling: tokio::sync::Mutex<()>,"),
    ("state/files/doubts.rs", "_turn: tokio::sync::MutexGuard<'a, ()>,"),
    ("state/locks.rs", "_turn: tokio::sync::OwnedMutexGuard<()>,"),
    ("state/locks.rs", "type Turns = tokio::sync::Mutex<()>;"),
];

#[test]
fn pure_parts_of_the_mount_daemon_know_no_runtime_and_no_clock() {
    let sources = workspace().join("fsd/src");
    let (mut impure, mut waiting, mut seen) = (Vec::new(), Vec::new(), [0; PURE.len()]);
    visit(&sources, &mut |path| {
        let name = path.strip_prefix(&sources).unwrap().to_str().unwrap();
        let Some(part) = PURE.iter().position(|part| name.starts_with(part)) else { return };
        seen[part] += 1;
        for line in std::fs::read_to_string(path).unwrap().lines().map(str::trim) {
            let is_comment = line.starts_with("//");
            if is_comment || !IMPURE.iter().any(|word| line.contains(word)) {
                continue;
            }
            match WAITING.iter().find(|known| **known == (name, line)) {
                Some(known) => waiting.push(*known),
                None => impure.push(format!("{name}: {line}")),
            }
        }
    });
    assert!(impure.is_empty(), "{impure:#?}");
    waiting.sort_unstable();
    assert_eq!(waiting, WAITING, "an exception is gone: take it off the list");
    assert!(!seen.contains(&0), "a part has another name now: {PURE:?} {seen:?}");
}

fn visit(folder: &Path, each: &mut impl FnMut(&Path)) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { visit(&path, each) } else { each(&path) }
    }
}

fn cargo_metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(workspace())
        .output()
        .expect("cargo runs");
    serde_json::from_slice(&output.stdout).expect("cargo speaks JSON")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
