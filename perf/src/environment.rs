//! Where and with what a run ran: without it a figure is a rumour.

use std::fs;

use serde::{Deserialize, Serialize};

/// The machine and the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Begin of the run, UTC, `2026-01-31T12:00:00Z`.
    pub started: String,
    /// The command line.
    pub command: String,
    /// Version of the program.
    pub version: String,
    /// Commit the program was built from.
    pub commit: String,
    /// Whether the program was built with optimisation.
    pub optimised: bool,
    /// Kernel release.
    pub kernel: String,
    /// Machine type.
    pub machine: String,
    /// CPU model.
    pub cpu: String,
    /// CPUs this process may use.
    pub cpus: usize,
    /// Memory of the machine, in bytes.
    pub memory: u64,
    /// How mounts of this program take requests from this kernel, if nobody chooses.
    pub transport: String,
    /// Whether the kernel would carry FUSE over io_uring: `Y`, `N`, or `absent`.
    pub fuse_uring: String,
}

impl Environment {
    /// What can be learnt here; `command` is the command line of the run.
    pub(crate) fn learn(command: &[String]) -> Self {
        let name = rustix::system::uname();
        let info = rustix::system::sysinfo();
        Self {
            started: utc(std::time::SystemTime::now()),
            command: command.join(" "),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: env!("FLEXFS_COMMIT").to_owned(),
            optimised: !cfg!(debug_assertions),
            kernel: name.release().to_string_lossy().into_owned(),
            machine: name.machine().to_string_lossy().into_owned(),
            cpu: cpu_model(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cpus: std::thread::available_parallelism().map_or(1, Into::into),
            memory: (info.totalram as u64).saturating_mul(u64::from(info.mem_unit)),
            transport: fsd::Transport::available()[0].to_string(),
            fuse_uring: setting("/sys/module/fuse/parameters/enable_uring"),
        }
    }

    /// What differs between the machines or programs of two runs, as `what: one, other`. The time and the command do
    /// not count.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let pairs = [
            ("commit", &self.commit, &other.commit),
            ("kernel", &self.kernel, &other.kernel),
            ("machine", &self.machine, &other.machine),
            ("cpu", &self.cpu, &other.cpu),
            ("transport", &self.transport, &other.transport),
            ("FUSE over io_uring", &self.fuse_uring, &other.fuse_uring),
        ];
        let mut differences: Vec<String> = pairs
            .iter()
            .filter(|(_, one, other)| one != other)
            .map(|(what, one, other)| format!("{what}: {one}, {other}"))
            .collect();
        let mut number = |what: &str, one: u64, other: u64| {
            if one != other {
                differences.push(format!("{what}: {one}, {other}"));
            }
        };
        number("cpus", self.cpus as u64, other.cpus as u64);
        number("memory", self.memory, other.memory);
        number("optimised", self.optimised.into(), other.optimised.into());
        differences
    }
}

fn setting(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "absent".to_owned(), |text| text.trim().to_owned())
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find(|line| line.starts_with("model name") || line.starts_with("Model"));
    model.and_then(|line| line.split_once(':')).map_or("unknown", |(_, model)| model.trim()).to_owned()
}

/// This moment in a file name: `20260131-120000`, UTC.
#[must_use]
pub fn time_stamp() -> String {
    let kept = utc(std::time::SystemTime::now()).replace('T', "-");
    kept.chars()
        .enumerate()
        .filter(|(place, c)| c.is_ascii_digit() || (*place == 10 && *c == '-'))
        .map(|(_, c)| c)
        .collect()
}

/// A moment as `2026-01-31T12:00:00Z`.
pub(crate) fn utc(moment: std::time::SystemTime) -> String {
    let seconds = moment.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days as i64);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

/// Year, month and day of a day since 1970 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests;
