//! Real files: every crate source in the local cargo registry, copied, compared, compiled.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{Cluster, Outcome};

fn cargo_home() -> PathBuf {
    match std::env::var_os("CARGO_HOME") {
        Some(home) => home.into(),
        None => PathBuf::from(std::env::var_os("HOME").expect("a user has a home")).join(".cargo"),
    }
}

/// The registry as it is now, in hard links where that is possible: cargo replaces files and changes none. Whatever another
/// cargo does to the registry later is not our concern.
fn frozen_registry() -> tempfile::TempDir {
    let registry = cargo_home().join("registry");
    assert!(registry.join("src").is_dir(), "{} holds no crate sources", registry.display());
    // What cargo locks while it downloads.
    let lock = File::options().append(true).create(true).open(cargo_home().join(".package-cache")).unwrap();
    lock.lock().unwrap();
    let frozen = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let copied = |how: &str| Outcome::of(Command::new("cp").arg(how).arg(&registry).arg(frozen.path()));
    if copied("-al").status != 0 {
        copied("-a").success();
    }
    frozen
}

#[test]
fn registry_sources_are_copied_compared_and_compiled() {
    let frozen = frozen_registry();
    let registry = frozen.path().join("registry");
    let cluster = Cluster::start();
    let volume = cluster.create_volume("sources", &[]);
    let mount = cluster.mount(&volume, &volume.token, &[]);
    let home = mount.path("cargo-home");
    fs::create_dir(&home).unwrap();
    run(Command::new("cp").arg("-a").arg(&registry).arg(&home));
    run(Command::new("diff").arg("-r").arg(&registry).arg(home.join("registry")));
    assert_eq!(mount.stop(), 0);

    // What the second mount reads comes from the servers, not from the first one's caches.
    let again = cluster.mount(&volume, &volume.token, &[]);
    let home = again.path("cargo-home");
    run(Command::new("diff").arg("-r").arg(&registry).arg(home.join("registry")));
    let project = again.path("project");
    copy_project(&project);
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--offline", "--locked", "--package", "proto"]).current_dir(&project);
    run(build.env("CARGO_HOME", &home).env("CARGO_TARGET_DIR", project.join("target")).env_remove("RUSTFLAGS"));
    let built = fs::read_dir(project.join("target/debug/deps")).unwrap().count();
    assert!(built > 10, "{built} files were built");
}

/// This workspace without its history and what was built.
fn copy_project(to: &Path) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(workspace).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name != ".git" && !name.starts_with("target") {
            run(Command::new("cp").arg("-a").arg(entry.path()).arg(to));
        }
    }
}

#[track_caller]
fn run(command: &mut Command) {
    Outcome::of(command).success();
}
