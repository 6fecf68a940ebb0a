//! The conformance suites that `cargo xtask test` installs.

use std::path::PathBuf;

/// The program of a suite.
pub fn suite(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a test knows its own path");
    let target = tests.ancestors().nth(3).expect("tests lie in target/debug/deps");
    let program = target.join("conformance/bin").join(name);
    assert!(program.exists(), "{} is missing: `cargo xtask test` installs it", program.display());
    program
}
