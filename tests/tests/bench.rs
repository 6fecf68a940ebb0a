//! `flexfs bench`: it measures, says what with, and leaves nothing behind however it ends.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tests::{Daemon, Outcome, flexfs, require_fuse, transport, wait_for};

/// `flexfs bench ARGS` in a folder of its own.
fn bench(folder: &Path, args: &[&str]) -> Command {
    let mut command = flexfs(folder, &[&["bench"], args].concat());
    command.current_dir(folder);
    command
}

/// Smallest run of `only` that means anything.
fn run(folder: &Path, only: &str, extra: &[&str]) -> Outcome {
    let base = ["run", "--quick", "--seconds", "0.02", "--output", "out", "--only", only];
    Outcome::of(&mut bench(folder, &[&base, extra].concat()))
}

fn results(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out/results.json")).unwrap()).unwrap()
}

fn folder() -> TempDir {
    require_fuse();
    tempfile::tempdir().unwrap()
}

fn mounts_below(folder: &Path) -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().filter(|line| line.contains(folder.to_str().unwrap())).count()
}

/// Processes whose command line names `folder`.
fn processes_of(folder: &Path) -> usize {
    let folder = folder.to_str().unwrap().as_bytes();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| line.windows(folder.len()).any(|window| window == folder)).count()
}

fn assert_nothing_is_left(folder: &Path) {
    assert_eq!(mounts_below(folder), 0);
    assert_eq!(processes_of(folder), 0);
    let left: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "out" || name == "target"), "{left:?}");
}

#[test]
fn own_system_is_measured_beside_its_ceilings() {
    let folder = folder();
    let folder = folder.path();
    let variant = format!("flexfs=--transport {}", transport());
    let extra = ["--rounds", "3", "--variant", &variant];
    let table = run(folder, "metadata.create.1p,sequential", &extra).success();
    assert!(table.contains("create and close, 1 process"), "{table}");
    let results = results(folder);
    let environment = &results["environment"];
    for field in ["commit", "kernel", "cpus", "transport", "command", "version"] {
        let value = &environment[field];
        assert!(value.as_str().is_some_and(|text| !text.is_empty()) || value.as_u64() > Some(0), "{field}: {value}");
    }
    assert_eq!((results["method"]["rounds"].as_u64(), results["method"]["seed"].as_u64()), (Some(3), Some(1)));
    let series = results["series"].as_array().unwrap();
    let find = |workload: &str, subject: &str| {
        let found = series.iter().find(|series| series["workload"] == workload && series["subject"] == subject);
        found.unwrap_or_else(|| panic!("{workload} on {subject}: {table}"))
    };
    let subjects = results["subjects"].as_array().unwrap();
    let null = subjects.iter().find(|subject| subject["kind"] == "null-fuse").unwrap();
    let mounted = subjects.iter().find(|subject| subject["name"] == "flexfs").unwrap();
    assert_eq!(null["transport"], mounted["transport"]);
    let null = null["name"].as_str().unwrap();
    // What bounds a figure is measured though only the figure was asked for.
    for (workload, subject) in [
        ("metadata.create.1p", "flexfs"),
        ("metadata.create.1p", null),
        ("metadata.create.1p", "tmpfs"),
        ("quic.call", "machine"),
        ("engine.create", "machine"),
        ("sequential.write.1024k.1j.buffered", "flexfs"),
        ("disk.write", "machine"),
        ("block-store.put", "machine"),
    ] {
        let samples = find(workload, subject)["samples"].as_array().unwrap();
        let rounds: Vec<u64> = samples.iter().map(|sample| sample["round"].as_u64().unwrap()).collect();
        assert_eq!(rounds, [1, 2, 3], "{workload} on {subject}");
        assert!(samples.iter().all(|sample| sample["value"].as_f64() > Some(0.0)), "{workload} on {subject}");
    }
    let create = find("metadata.create.1p", "flexfs");
    let parts: Vec<&str> =
        create["ceiling"]["parts"].as_array().unwrap().iter().map(|part| part[0].as_str().unwrap()).collect();
    assert_eq!(parts, ["metadata.create.1p", "quic.call", "engine.create"]);
    let sample = &create["samples"][0];
    for process in ["up", "up/fsd", "up/meta", "load"] {
        assert!(sample["cpu_seconds"][process].is_number(), "{process}: {sample}");
    }
    assert!(sample["rss_peak"]["up"].as_u64() > Some(1 << 20), "{sample}");
    assert!(fs::read_to_string(folder.join("out/report.html")).unwrap().contains("<svg"));
    assert_nothing_is_left(folder);
}

#[test]
fn any_directory_is_measured_and_left_as_it_was() {
    let folder = folder();
    let folder = folder.path();
    let target = folder.join("target");
    fs::create_dir(&target).unwrap();
    fs::write(target.join("mine"), "untouched").unwrap();
    let pid = format!("this={}", std::process::id());
    let only = "random,small-files,sqlite,mixed,contention,tree,metadata.create.8p";
    let table =
        run(folder, only, &["--rounds", "1", "--target", target.to_str().unwrap(), "--process", &pid]).success();
    assert!(table.contains("tar -xf") && table.contains("this"), "{table}");
    let names: Vec<_> = fs::read_dir(&target).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["mine"]);
    assert_eq!(fs::read_to_string(target.join("mine")).unwrap(), "untouched");
    let results = results(folder);
    assert!(results["failures"].as_array().unwrap().is_empty(), "{}", results["failures"]);
    assert!(results["series"].as_array().unwrap().iter().any(|series| series["workload"] == "sqlite.wal"));
    assert_nothing_is_left(folder);
}

#[test]
fn sessions_revocation_and_recovery_are_measured_on_a_system_of_its_own() {
    let folder = folder();
    let folder = folder.path();
    run(folder, "sessions,auth,revocation,recovery", &["--rounds", "1"]).success();
    let results = results(folder);
    let value = |workload: &str| {
        let series = results["series"].as_array().unwrap();
        let found = series.iter().find(|series| series["workload"] == workload).unwrap();
        found["samples"][0]["value"].as_f64().unwrap()
    };
    assert!(value("sessions.open.250") > 1.0);
    assert!(value("sessions.last.250") < 30.0);
    assert!(value("sessions.read.250") > 1.0);
    assert!(value("sessions.calm.250") < 30.0);
    assert!((0.0..30.0).contains(&value("revocation.cut")));
    assert!(value("auth.cached") > 0.0 && value("auth.cold") <= value("auth.cold.p99"));
    assert!((0.0..60.0).contains(&value("recovery.outage")));
    assert_nothing_is_left(folder);
}

#[test]
fn large_volume_is_filled_once_and_asked_through_its_server() {
    let folder = folder();
    let folder = folder.path();
    let words = ["run", "--only", "scale", "--inodes", "5000", "--rounds", "2", "--seconds", "0.05", "--output", "out"];
    Outcome::of(&mut bench(folder, &words)).success();
    let results = results(folder);
    let values = |figure: &str| -> Vec<f64> {
        let series = results["series"].as_array().unwrap();
        let found = series.iter().find(|series| series["workload"] == format!("scale.5000.{figure}")).unwrap();
        found["samples"].as_array().unwrap().iter().map(|sample| sample["value"].as_f64().unwrap()).collect()
    };
    let fill = values("fill");
    assert!(fill.len() == 2 && fill[0] == fill[1] && fill[0] > 1.0, "{fill:?}");
    assert!(values("disk").iter().all(|bytes| (50.0..100_000.0).contains(bytes)));
    assert!(values("memory").iter().all(|bytes| *bytes > 1e6));
    assert!(values("list").iter().all(|names| *names > 500.0), "a directory has a tenth of the files");
    for figure in ["restart", "first-lookup.p99", "lookup.p99", "getattr.p99", "engine-lookup.p99"] {
        assert!(values(figure).iter().all(|seconds| (0.0..30.0).contains(seconds)), "{figure}");
    }
    assert_nothing_is_left(folder);
}

#[test]
fn variants_are_compared_within_a_run_and_runs_are_not() {
    let folder = folder();
    let folder = folder.path();
    // Another build would stand here; this one is a build as well.
    let own = flexfs(folder, &[]);
    let one = format!("one=@{} --threads 1", own.get_program().to_str().unwrap());
    let variants = ["--rounds", "1", "--variant", "all=", "--variant", &one];
    let table = run(folder, "metadata.create.1p", &variants).success();
    assert!(table.contains("SPEED OF ALL"), "{table}");
    fs::rename(folder.join("out/results.json"), folder.join("old.json")).unwrap();
    run(folder, "metadata.create.1p", &variants).success();
    let compared = Outcome::of(&mut bench(folder, &["compare", "old.json", "out/results.json", "--all"])).success();
    assert!(compared.contains("no ratios: the two runs were not taken side by side"), "{compared}");
    assert!(compared.contains("create and close, 1 process"), "{compared}");
    fs::remove_file(folder.join("old.json")).unwrap();
    assert_nothing_is_left(folder);
}

/// Starts a long run of all workloads and waits until it measures.
fn long_run(folder: &Path) -> Daemon {
    let args = ["run", "--quick", "--seconds", "5", "--rounds", "100", "--output", "out", "--only", "metadata"];
    let mut running = Daemon::start(&mut bench(folder, &args), &folder.with_extension("log"));
    wait_for("workers work on the mount", 60, || {
        assert!(running.is_running(), "{}", running.log());
        let run = fs::read_dir(folder).unwrap().flatten().find(|entry| entry.file_name() != "out");
        run.is_some_and(|run| {
            let mounts = ["flexfs/mnt", "disk"].map(|mount| run.path().join(mount));
            mounts.iter().any(|mount| fs::read_dir(mount).is_ok_and(|mut entries| entries.next().is_some()))
        })
    });
    running
}

#[test]
fn signal_takes_away_everything_that_was_started() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let folder = folder();
        let mut running = long_run(folder.path());
        running.signal(signal);
        assert_eq!(running.wait(), 1, "{}", running.log());
        let log = running.log();
        assert!(log.contains("ended by SIG") && log.lines().count() == 1, "{log}");
        assert_nothing_is_left(folder.path());
        fs::remove_file(folder.path().with_extension("log")).unwrap();
    }
}

#[test]
fn killed_run_takes_its_processes_with_it() {
    let folder = folder();
    let mut running = long_run(folder.path());
    running.kill();
    wait_for("all processes of the run end", 30, || processes_of(folder.path()) == 0);
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    // A tmpfs needs nobody to serve it: nobody is left to unmount it.
    let left: Vec<&str> = mounts.lines().filter(|line| line.contains(folder.path().to_str().unwrap())).collect();
    for line in left {
        assert!(line.contains("- tmpfs flexfs-bench"), "{line}");
        let place = line.split(' ').nth(4).unwrap();
        rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
    fs::remove_file(folder.path().with_extension("log")).unwrap();
}

#[test]
fn null_server_is_a_file_system_with_nothing_in_its_files() {
    let folder = folder();
    let mount = folder.path().join("mnt");
    fs::create_dir(&mount).unwrap();
    let log = folder.path().join("log");
    let mut server =
        Daemon::start(&mut bench(folder.path(), &["null", mount.to_str().unwrap(), "--transport", &transport()]), &log);
    wait_for("the null server is mounted", 20, || {
        assert!(server.is_running(), "{}", server.log());
        mounts_below(&mount) == 1
    });
    fs::create_dir(mount.join("folder")).unwrap();
    fs::write(mount.join("folder/file"), "forgotten").unwrap();
    // The page cache has what was written; past it are zeroes.
    let file = fs::File::options().read(true).open(mount.join("folder/file")).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    assert_eq!(fs::read(mount.join("folder/file")).unwrap(), [0; 9]);
    drop(file);
    std::os::unix::fs::symlink("file", mount.join("folder/link")).unwrap();
    assert_eq!(fs::metadata(mount.join("folder/link")).unwrap().len(), 9);
    fs::rename(mount.join("folder/file"), mount.join("moved")).unwrap();
    let names: Vec<_> = fs::read_dir(&mount).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    fs::remove_dir_all(mount.join("folder")).unwrap();
    assert_eq!(server.terminate(), 0, "{}", server.log());
    assert_eq!(mounts_below(&mount), 0);
}

#[test]
fn null_server_leaves_files_to_the_kernel_where_it_is_told_to() {
    let folder = folder();
    let mount = folder.path().join("mnt");
    fs::create_dir(&mount).unwrap();
    let args = ["null", mount.to_str().unwrap(), "--transport", &transport(), "--passthrough"];
    let mut server = Daemon::start(&mut bench(folder.path(), &args), &folder.path().join("log"));
    wait_for("the null server is mounted", 20, || {
        assert!(server.is_running(), "{}", server.log());
        mounts_below(&mount) == 1
    });
    let (file, other) = (mount.join("file"), mount.join("other"));
    fs::write(&file, vec![7; 3 << 20]).unwrap();
    // It has no pages of such a file to forget: what is read comes from the file that the kernel writes by itself.
    assert!(fs::read(&file).unwrap() == vec![7; 3 << 20]);
    assert_eq!(fs::metadata(&file).unwrap().len(), 3 << 20);
    fs::write(&file, "short").unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_len(3).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"sho");
    fs::write(&other, "other").unwrap();
    fs::rename(&other, &file).unwrap();
    assert_eq!(fs::read(&file).unwrap(), b"other");
    fs::remove_file(&file).unwrap();
    assert_eq!(server.terminate(), 0, "{}", server.log());
    assert_eq!(mounts_below(&mount), 0);
}

#[test]
fn what_cannot_be_measured_is_one_line() {
    let folder = folder();
    let folder = folder.path();
    let said = |args: &[&str], status| Outcome::of(&mut bench(folder, args)).failure(status);
    assert!(said(&["run", "--only", "nonsense"], 2).contains("no workload begins so; the groups are disk, quic"));
    assert!(said(&["run", "--variant", "x"], 2).contains("a name, `=` and flags"));
    assert!(said(&["run", "--variant", "x=@/nonexistent"], 2).contains("program /nonexistent: No such file"));
    assert!(said(&["run", "--seconds", "0"], 2).contains("from 0.01 to 3600"));
    assert!(said(&["run", "--target", "/nonexistent", "--quick"], 1).contains("folder /nonexistent"));
    assert!(said(&["run", "--target", "/etc/passwd", "--quick"], 1).contains("/etc/passwd: a folder to measure"));
    assert!(said(&["compare", "/etc/passwd", "/etc/passwd"], 1).contains("not JSON; name a results.json"));
    assert!(said(&["null", "/nonexistent"], 1).contains("does not exist"));
    assert!(said(&["worker", "--parent", "1"], 1).contains("process 1, which started this one, is gone"));
    for entry in fs::read_dir(folder).unwrap().flatten() {
        // An output folder may have been made; it is empty.
        fs::remove_dir(entry.path()).unwrap();
    }
    assert_nothing_is_left(folder);
}
