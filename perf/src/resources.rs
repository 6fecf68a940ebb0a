//! What processes use: CPU time and resident memory, by /proc.

use std::collections::BTreeMap;
use std::fs;

/// A process to watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its name in reports.
    pub name: String,
    /// Its id.
    pub pid: u32,
}

/// CPU seconds of processes when something began.
#[derive(Debug)]
pub(crate) struct Reading {
    watched: Vec<Watched>,
    cpu: BTreeMap<String, f64>,
}

/// What processes used meanwhile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// CPU seconds by process; of a process with several parts also of each part, as `up/fsd`.
    pub(crate) cpu_seconds: BTreeMap<String, f64>,
    /// Largest resident memory by process, in bytes.
    pub(crate) rss_peak: BTreeMap<String, u64>,
}

impl Reading {
    /// Begins to watch. A process that is gone uses nothing.
    pub(crate) fn begin(watched: Vec<Watched>) -> Self {
        for process in &watched {
            // Where it is allowed, the peak is that of this measurement alone; else of the process's life so far.
            let _ = fs::write(format!("/proc/{}/clear_refs", process.pid), "5");
        }
        let cpu = cpu_of(&watched);
        Self { watched, cpu }
    }

    /// What was used since.
    pub(crate) fn end(self) -> Usage {
        let cpu_seconds = cpu_of(&self.watched)
            .into_iter()
            .map(|(name, seconds)| {
                // Threads that ended meanwhile take their time with them.
                let used = (seconds - self.cpu.get(&name).copied().unwrap_or(0.0)).max(0.0);
                (name, used)
            })
            .collect();
        let peaks = self.watched.iter().filter_map(|process| {
            let status = fs::read_to_string(format!("/proc/{}/status", process.pid)).ok()?;
            Some((process.name.clone(), peak(&status)?))
        });
        Usage { cpu_seconds, rss_peak: peaks.collect() }
    }
}

fn cpu_of(watched: &[Watched]) -> BTreeMap<String, f64> {
    let mut cpu = BTreeMap::new();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    for Watched { name, pid } in watched {
        let seconds = |path: &str| {
            let stat = fs::read_to_string(path).ok()?;
            ticks_of(&stat).map(|used| used as f64 / ticks)
        };
        if let Some(seconds) = seconds(&format!("/proc/{pid}/stat")) {
            cpu.insert(name.clone(), seconds);
        }
        for (part, seconds) in parts(*pid) {
            *cpu.entry(format!("{name}/{part}")).or_default() += seconds;
        }
    }
    cpu
}

/// CPU seconds of the named threads of a process, by the first word of their names. The kernel counts nanoseconds here.
fn parts(pid: u32) -> Vec<(String, f64)> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| {
            let name = fs::read_to_string(thread.path().join("comm")).ok()?;
            let part = PARTS.iter().find(|part| name.starts_with(**part))?;
            let schedule = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            let nanos: u64 = schedule.split(' ').next()?.parse().ok()?;
            Some(((*part).to_owned(), nanos as f64 / 1e9))
        })
        .collect()
}

/// Names that threads of this system begin with.
const PARTS: [&str; 3] = ["fsd", "meta", "admin"];

/// User and system time in clock ticks, by proc_pid_stat(5). The name in front may hold anything.
fn ticks_of(stat: &str) -> Option<u64> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut fields = behind_name.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + system)
}

/// `VmHWM` of proc_pid_status(5), in bytes.
fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Largest resident memory of this process so far, in bytes.
pub(crate) fn own_peak() -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|status| peak(&status)).unwrap_or(0)
}

/// CPU seconds of this process so far.
pub(crate) fn own_cpu() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests;
