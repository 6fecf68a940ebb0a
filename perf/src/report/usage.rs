//! What processes used, added up.

use std::collections::BTreeMap;

use super::{Report, Series};
use crate::work::WORKERS;

/// A process over a whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProcessUse {
    /// CPU seconds while something was measured.
    pub(super) cpu_seconds: f64,
    /// Largest resident memory in any measurement, in bytes; 0 of a part of a process.
    pub(super) rss_peak: u64,
}

/// Every process of a run, as `subject: process`; load makers of all subjects together.
pub(super) fn of_run(report: &Report) -> BTreeMap<String, ProcessUse> {
    let mut processes: BTreeMap<String, ProcessUse> = BTreeMap::new();
    for series in &report.series {
        let name = |process: &str| {
            if process == WORKERS || process == series.subject {
                process.to_owned()
            } else {
                format!("{}: {process}", series.subject)
            }
        };
        for sample in &series.samples {
            for (process, seconds) in &sample.cpu_seconds {
                processes.entry(name(process)).or_default().cpu_seconds += seconds;
            }
            for (process, bytes) in &sample.rss_peak {
                let peak = &mut processes.entry(name(process)).or_default().rss_peak;
                *peak = (*peak).max(*bytes);
            }
        }
    }
    processes
}

/// CPU seconds of an operation of `series`: of those who serve, and of those who make the load.
pub(super) fn cpu_per_operation(series: &Series) -> Option<(f64, f64)> {
    let operations: u64 = series.samples.iter().map(|sample| sample.operations).sum();
    let sum = |wanted: &dyn Fn(&str) -> bool| -> f64 {
        let samples = series.samples.iter().flat_map(|sample| &sample.cpu_seconds);
        samples.filter(|(process, _)| wanted(process)).map(|(_, seconds)| seconds).sum()
    };
    // Parts are in their process already.
    let served = sum(&|process| process != WORKERS && !process.contains('/'));
    (operations > 0).then(|| (served / operations as f64, sum(&|process| process == WORKERS) / operations as f64))
}

#[cfg(test)]
mod tests;
