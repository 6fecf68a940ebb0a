//! What a run found: every sample, and all that is needed to judge and to repeat it. This is the JSON file.

mod compare;
mod html;
mod json;
mod share;
mod svg;
mod table;
mod usage;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::method::{Histogram, Spread};
use crate::unit::Unit;

pub use compare::compare;
pub(crate) use html::save as save_page;
pub(crate) use json::save;
pub use share::Share;
pub(crate) use table::{emit, print};

/// Prints the table of the report at `path` once more, and writes its page anew beside it.
///
/// # Errors
/// The file is no report, or the page cannot be written.
pub fn show(path: &Path) -> Result<()> {
    let report = json::load(path)?;
    let page = path.with_file_name(PAGE);
    html::save(&report, &page)?;
    print(&report)?;
    emit(&format!("\nto look at:  {}\n", page.display()))
}

/// Name of the page in the output folder.
pub(crate) const PAGE: &str = "report.html";
/// Name of the file with all samples.
pub(crate) const SAMPLES: &str = "results.json";

/// Version of the file's form. A program reads its own only.
const FORMAT: u32 = 1;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this form.
    pub format: u32,
    /// Id of the run: samples of one run were taken side by side, of two runs never.
    pub run: String,
    /// Where and with what it ran.
    pub environment: Environment,
    /// How it was measured.
    pub method: Method,
    /// What was measured.
    pub subjects: Vec<SubjectRecord>,
    /// The figures.
    pub series: Vec<Series>,
    /// What could not be measured, and why.
    pub failures: Vec<Failure>,
}

/// How a run measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Whether it was the short run.
    pub quick: bool,
    /// Rounds that were measured from begin to end.
    pub rounds: u32,
    /// Seconds that the whole run took.
    pub took: f64,
    /// Seconds of each workload that is bounded by time.
    pub seconds: f64,
    /// Everything random follows from this number.
    pub seed: u64,
    /// Words that choose workloads; empty = all.
    pub only: Vec<String>,
}

/// What was measured, or beside what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectRecord {
    /// Its name in the series.
    pub name: String,
    /// What it is there for.
    pub kind: Kind,
    /// What it is: file system, device, flags.
    pub description: String,
    /// How its requests travel between the kernel and its daemon, where it is a mount of this program.
    pub transport: Option<String>,
}

/// What a subject is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The run is about it.
    Measured,
    /// A folder of a local disk.
    Disk,
    /// A folder in memory.
    Memory,
    /// A FUSE mount with nothing behind it.
    NullFuse,
    /// A FUSE mount whose files the kernel reads and writes by itself, in memory.
    Passthrough,
    /// No folder: a part of the system, or the machine, by itself.
    Machine,
}

/// One figure of one subject, round by round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Id of the figure, with the group before the first dot.
    pub workload: String,
    /// The figure for people.
    pub title: String,
    /// Name of the subject.
    pub subject: String,
    /// Unit of the values.
    pub unit: Unit,
    /// What bounds it.
    pub ceiling: Option<Ceiling>,
    /// In the order they were taken.
    pub samples: Vec<Sample>,
}

/// Other series of the same run that this one can not exceed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ceiling {
    /// How they bound it.
    pub rule: Rule,
    /// Workload and subject of each.
    pub parts: Vec<(String, String)>,
}

/// How parts bound a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Work flows through all at once: the slowest part is the bound.
    Slowest,
    /// One operation at a time passes one part after the other: their times add up.
    InTurn,
}

/// What one round found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Number of the round, from 1.
    pub round: u32,
    /// The figure, in the unit of the series.
    pub value: f64,
    /// Operations done.
    pub operations: u64,
    /// Bytes moved.
    pub bytes: u64,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Time of each operation, in nanoseconds: pairs of lower bound and count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Histogram>,
    /// CPU seconds by process.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub cpu_seconds: BTreeMap<String, f64>,
    /// Largest resident memory by process, in bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rss_peak: BTreeMap<String, u64>,
}

/// A workload that could not be measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The workload.
    pub workload: String,
    /// On what.
    pub subject: String,
    /// Why.
    pub reason: String,
}

impl Report {
    /// A run that is about to begin.
    #[must_use]
    pub(crate) fn new(environment: Environment, method: Method, subjects: Vec<SubjectRecord>) -> Self {
        let run = uuid::Uuid::new_v4().to_string();
        Self { format: FORMAT, run, environment, method, subjects, series: Vec::new(), failures: Vec::new() }
    }

    /// The series of a figure and a subject.
    #[must_use]
    pub fn find(&self, workload: &str, subject: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.workload == workload && series.subject == subject)
    }

    /// The subjects that the run is about.
    pub(crate) fn measured(&self) -> impl Iterator<Item = &SubjectRecord> {
        self.subjects.iter().filter(|subject| subject.kind == Kind::Measured)
    }

    /// What bounds `series`, as a spread of shares; `None` where nothing does or the bound was not measured.
    #[must_use]
    pub fn share(&self, series: &Series) -> Option<Share> {
        share::of(self, series)
    }

    /// How fast `series` is beside the same figure of subject `first`, round by round; `None` for that subject itself.
    #[must_use]
    pub fn speed(&self, series: &Series, first: &str) -> Option<Spread> {
        share::speed(self, series, first)
    }
}

impl Series {
    /// Group of the workload: what stands before the first dot.
    #[must_use]
    pub fn group(&self) -> &str {
        self.workload.split('.').next().unwrap_or_default()
    }

    /// Median and range of the values.
    #[must_use]
    pub fn spread(&self) -> Option<Spread> {
        Spread::of(&self.samples.iter().map(|sample| sample.value).collect::<Vec<_>>())
    }

    /// Round and value of each sample.
    pub(crate) fn points(&self) -> Vec<(u32, f64)> {
        self.samples.iter().map(|sample| (sample.round, sample.value)).collect()
    }

    /// Times of all operations of all rounds.
    #[must_use]
    pub fn latency(&self) -> Option<Histogram> {
        let mut whole: Option<Histogram> = None;
        for histogram in self.samples.iter().filter_map(|sample| sample.latency.as_ref()) {
            whole.get_or_insert_default().merge(histogram);
        }
        whole.filter(|histogram| histogram.count() > 0)
    }
}

#[cfg(test)]
pub(crate) mod testing;
