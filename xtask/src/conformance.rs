//! The conformance suites that others wrote: pjdfstest (POSIX system calls) and fsx (data under random operations).

use std::path::Path;

use anyhow::Result;

use crate::{cargo, run};

const SUITES: [&str; 2] = ["pjdfstest@0.2.2", "fsx@0.3.2"];

/// Installs the suites into `<target>/conformance/bin`, once.
pub(crate) fn install(target: &Path) -> Result<()> {
    let root = target.join("conformance");
    for suite in SUITES {
        let (name, _) = suite.split_once('@').expect("suites are named with their version");
        if !root.join("bin").join(name).exists() {
            let mut install = cargo();
            install.args(["install", "--locked", "--quiet", "--root"]).arg(&root).arg(suite);
            run(install.env("CARGO_TARGET_DIR", root.join("build")))?;
        }
    }
    Ok(())
}
