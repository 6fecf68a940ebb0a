//! Development chores: `cargo xtask test` sets up and runs every test, `cargo xtask lint` the checks of style,
//! `cargo xtask instructions` counts instructions of hot paths.

mod conformance;
mod instructions;
mod machine;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};

fn main() -> ExitCode {
    let chore = std::env::args().nth(1);
    let outcome = match chore.as_deref() {
        Some("test") => test(),
        Some("lint") => lint(),
        Some("instructions") => instructions::count(&target_folder()),
        _ => Err(anyhow::anyhow!("usage: cargo xtask test | lint | instructions")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the programs and the conformance suites, then runs all tests of the workspace, those of whole systems once for
/// each way in which requests can come from the kernel.
fn test() -> Result<()> {
    let _device = machine::set_up()?;
    run(cargo().args(["build", "--locked", "--package", "tools"]))?;
    conformance::install(&target_folder())?;
    // First what takes seconds.
    run(cargo().args(["test", "--locked", "--workspace", "--exclude", "tests"]))?;
    whole_systems("classic")?;
    let Some(_rings) = machine::Rings::switch_on()? else {
        // On the machines that decide what lands, nothing may be left out.
        ensure!(std::env::var_os("CI").is_none(), "no FUSE over io_uring here: Linux 6.14 or newer is needed");
        eprintln!("xtask: this kernel has no FUSE over io_uring: the end-to-end tests ran over /dev/fuse only");
        return Ok(());
    };
    whole_systems("uring")
}

fn whole_systems(transport: &str) -> Result<()> {
    run(cargo().args(["test", "--locked", "--package", "tests"]).env(TRANSPORT, transport))
}

/// Tells the end-to-end tests how their mounts take requests from the kernel.
const TRANSPORT: &str = "FLEXFS_TEST_TRANSPORT";

/// What a change must pass besides the tests.
fn lint() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--locked", "--workspace", "--all-targets", "--", "--deny", "warnings"]))?;
    run(cargo()
        .args(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items", "--quiet"])
        .env("RUSTDOCFLAGS", DOC_FLAGS))
}

/// Private items are documented too: a link to one is no mistake.
const DOC_FLAGS: &str = "--deny warnings --allow rustdoc::private_intra_doc_links";

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    eprintln!("xtask: {shown}");
    let status = command.status().with_context(|| format!("cannot start {shown}"))?;
    ensure!(status.success(), "failed: {shown}");
    Ok(())
}

/// Where cargo puts what it builds; the tests look for the programs there.
fn target_folder() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => folder.into(),
        None => workspace_folder().join("target"),
    }
}

fn workspace_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ lies in the workspace").to_owned()
}

/// Fails with the reason; never skips what cannot run here.
fn require(condition: bool, what: &str) -> Result<()> {
    if condition { Ok(()) } else { bail!("the tests need {what}") }
}
