//! Notes which commit the program is built from: a figure without it cannot be repeated.

use std::process::Command;

fn main() {
    // Everything that is built in, so that "with changes" is true of the program and not of an earlier moment.
    for source in ["proto", "auth", "transport", "block", "meta", "admin", "fsd", "perf", "tools"] {
        println!("cargo::rerun-if-changed=../{source}/src");
    }
    println!("cargo::rerun-if-changed=build.rs");
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", file]).filter(|path| std::path::Path::new(path).exists()) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    let commit = git(&["rev-parse", "HEAD"]).map(|hash| {
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|list| !list.is_empty());
        if changed { format!("{hash} with changes") } else { hash }
    });
    println!("cargo::rustc-env=FLEXFS_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// What git says; `None` outside a checkout.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok().map(|text| text.trim().to_owned())
}
