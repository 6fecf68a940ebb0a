//! Where events go: stderr, which a detached mount has pointed at its log file.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging at `level` for this system's crates; `RUST_LOG` overrides it.
pub(crate) fn start(level: &str) {
    // An unreadable RUST_LOG is not worth failing for.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter_for(level)));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}

/// Libraries below us are heard from `warn` on: their `info` and `debug` are about themselves.
fn filter_for(level: &str) -> String {
    let ours = ["admin", "auth", "block", "fsd", "meta", "perf", "tools", "transport"];
    let ours: Vec<String> = ours.iter().map(|name| format!("{name}={level}")).collect();
    format!("warn,{}", ours.join(","))
}
