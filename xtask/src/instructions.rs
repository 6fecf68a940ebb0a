//! Instruction counts of the hot pure paths, held to the numbers in `perf/benches/instructions.rs`.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::{cargo, run};

/// The program that gungraun's benches call; of the version in `Cargo.lock`.
const RUNNER: &str = "gungraun-runner@0.20.0";

/// Counts; fails where a count is above its limit.
pub(crate) fn count(target: &Path) -> Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success());
    ensure!(valgrind, "the counts need valgrind: install it (`apt-get install valgrind`)");
    let root = target.join("instructions");
    let runner = root.join("bin/gungraun-runner");
    if !runner.exists() {
        let mut install = cargo();
        install.args(["install", "--locked", "--quiet", "--debug", "--root"]).arg(&root).arg(RUNNER);
        run(install.env("CARGO_TARGET_DIR", root.join("build")))?;
    }
    // Optimised members on the dependencies that the tests were built with: a release would build everything twice.
    let mut bench = cargo();
    bench.args(["bench", "--locked", "--profile", "dev", "--workspace", "--bench", "instructions"]);
    run(bench.env("CARGO_PROFILE_DEV_OPT_LEVEL", "3").env("GUNGRAUN_RUNNER", &runner))
}
