//! Supplementary groups of a process, as the kernel's `/proc` tells them.

use proto::limits::GROUPS_MAX;

/// The groups of thread `pid` (as FUSE names it); none where it is gone or lives in another PID namespace.
pub(crate) fn groups_of(pid: u32) -> Vec<u32> {
    if pid == 0 {
        return Vec::new();
    }
    std::fs::read_to_string(format!("/proc/{pid}/status")).map(|status| parse(&status)).unwrap_or_default()
}

/// The `Groups:` line of a `/proc/PID/status`; at most as many groups as a request carries.
fn parse(status: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    line.split_ascii_whitespace().filter_map(|group| group.parse().ok()).take(GROUPS_MAX).collect()
}

#[cfg(test)]
mod tests;
