//! Figures gathered and shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// All figures of a run, by workload and folder.
#[derive(Default)]
pub(crate) struct Report {
    order: Vec<String>,
    figures: BTreeMap<(String, PathBuf), Vec<f64>>,
}

impl Report {
    /// Adds one round's figure.
    pub(crate) fn add(&mut self, workload: &str, folder: &Path, figure: f64) {
        if !self.order.iter().any(|known| known == workload) {
            self.order.push(workload.to_owned());
        }
        self.figures.entry((workload.to_owned(), folder.to_owned())).or_default().push(figure);
    }

    /// Prints a line for each workload: median [min..max] of each folder, and the first folder's share of the second.
    pub(crate) fn print(&self, folders: &[PathBuf]) {
        for workload in &self.order {
            let cells: Vec<(f64, String)> = folders.iter().map(|folder| self.cell(workload, folder)).collect();
            let shown: Vec<&str> = cells.iter().map(|(_, text)| text.as_str()).collect();
            let share = match cells.as_slice() {
                [(target, _), (reference, _)] => format!("  = {:.2} of the reference", target / reference),
                _ => String::new(),
            };
            println!("{workload:<40} {}{share}", shown.join("  |  "));
        }
    }

    fn cell(&self, workload: &str, folder: &Path) -> (f64, String) {
        let mut figures = self.figures[&(workload.to_owned(), folder.to_owned())].clone();
        figures.sort_by(f64::total_cmp);
        let median = figures[figures.len() / 2];
        (median, format!("{median:.0} [{:.0}..{:.0}]", figures[0], figures[figures.len() - 1]))
    }
}

/// Resident memory of a process as the kernel shows it.
pub(crate) fn resident(pid: u32) -> Result<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    Ok(line.context("no VmRSS: is the process still there?")?.trim().to_owned())
}
