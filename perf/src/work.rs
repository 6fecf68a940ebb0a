//! The seam between a run and its workloads.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::crew::{Crew, Site};
use crate::report::{Kind, Rule, Sample};
use crate::resources::{Reading, Usage};
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::Tally;
use crate::unit::Unit;

/// How large workloads are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// For a run of two minutes.
    Quick,
    /// For a run that takes its time.
    Full,
}

/// Something measurable, with one or several figures.
pub(crate) trait Work {
    /// The figures of each measurement, in order.
    fn figures(&self) -> Vec<Figure>;

    /// Whether it can be measured on a subject.
    fn runs_on(&self, subject: &Subject) -> bool;

    /// Measures once, and leaves nothing behind. As many results as there are figures.
    fn measure(&mut self, field: &Field<'_>) -> Result<Vec<Found>>;
}

/// One figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its id: the group, a dot, and what tells it from others.
    pub(crate) id: String,
    /// For people.
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// What bounds it on a measured subject.
    pub(crate) bound: Option<Bound>,
}

/// Figures of other subjects that bound one.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    pub(crate) rule: Rule,
    /// Id and kind of subject.
    pub(crate) parts: Vec<(String, Kind)>,
}

impl Figure {
    /// A figure that nothing bounds.
    pub(crate) fn new(id: impl Into<String>, title: impl Into<String>, unit: Unit) -> Self {
        Self { id: id.into(), title: title.into(), unit, bound: None }
    }

    /// The same figure of subjects of another kind is the bound.
    pub(crate) fn bounded_by(self, kind: Kind) -> Self {
        let parts = [(self.id.clone(), kind)];
        self.bounded(Rule::Slowest, parts)
    }

    /// Bounded by `parts` together.
    pub(crate) fn bounded<S: Into<String>>(self, rule: Rule, parts: impl IntoIterator<Item = (S, Kind)>) -> Self {
        let parts = parts.into_iter().map(|(id, kind)| (id.into(), kind)).collect();
        Self { bound: Some(Bound { rule, parts }), ..self }
    }
}

/// Where a measurement takes place.
pub(crate) struct Field<'a> {
    pub(crate) site: &'a Site,
    pub(crate) subject: &'a Subject,
    /// Name of the folder that the measurement makes, new each time.
    pub(crate) name: String,
    /// How long what is bounded by time takes, in seconds.
    pub(crate) seconds: f64,
    /// For what may differ from round to round.
    pub(crate) seed: Seed,
    /// For what is the same in all rounds.
    pub(crate) fixed_seed: Seed,
    /// Folder of the run on the disk, for what is made once and what must not lie on the subject.
    pub(crate) local: &'a Path,
}

/// What was found of one figure.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) sample: Sample,
}

impl Field<'_> {
    /// The measurement's folder through mount `number` of the subject: of several mounts of one file system, each shows
    /// the same folder.
    pub(crate) fn folder(&self, number: usize) -> PathBuf {
        let mounts = self.subject.mounts();
        mounts[number % mounts.len()].join(&self.name)
    }

    /// Lets `crew` do its next phase, watched, and gives the figure in `unit`.
    pub(crate) fn phase(&self, crew: &mut Crew, unit: Unit) -> Result<Found> {
        self.phase_within(crew, unit, self.seconds)
    }

    /// As [`Self::phase`], for a phase that is meant to take other than the usual time.
    pub(crate) fn phase_within(&self, crew: &mut Crew, unit: Unit, seconds: f64) -> Result<Found> {
        let reading = Reading::begin(self.subject.watched());
        let tally = crew.phase(seconds)?;
        Ok(Found::of(unit, tally).with(&reading.end()))
    }

    /// As [`Self::phase`], for processes that do different things.
    pub(crate) fn phase_each(&self, crew: &mut Crew) -> Result<Each> {
        let reading = Reading::begin(self.subject.watched());
        crew.go()?;
        let tallies = crew.results(self.seconds)?;
        Ok(Each { tallies, usage: reading.end() })
    }
}

/// What each process did in a phase, and what the subject used for all of it.
pub(crate) struct Each {
    pub(crate) tallies: Vec<Tally>,
    usage: Usage,
}

impl Each {
    /// The figure in `unit` of some of the processes.
    pub(crate) fn found(&self, unit: Unit, tally: Tally) -> Found {
        Found::of(unit, tally).with(&self.usage)
    }
}

impl Found {
    /// The figure in `unit` of what workers did.
    pub(crate) fn of(unit: Unit, tally: Tally) -> Self {
        let value = match unit {
            Unit::Bytes => tally.bytes as f64 / tally.seconds,
            Unit::Operations | Unit::Files => tally.operations as f64 / tally.seconds,
            Unit::Seconds => tally.seconds / tally.operations as f64,
            Unit::Size => tally.bytes as f64 / tally.operations as f64,
        };
        let Tally { operations, bytes, seconds, latency, cpu_seconds, rss_peak } = tally;
        let latency = (latency.count() > 0).then_some(latency);
        let sample = Sample {
            value,
            operations,
            bytes,
            seconds,
            latency,
            cpu_seconds: [(WORKERS.to_owned(), cpu_seconds)].into(),
            rss_peak: [(WORKERS.to_owned(), rss_peak)].into(),
            ..Sample::default()
        };
        Self { sample }
    }

    /// The time within which part `quantile` of the operations were done, as a figure in seconds.
    pub(crate) fn quantile(&self, quantile: f64) -> Result<Self> {
        let latency = self.sample.latency.as_ref().and_then(|latency| latency.quantile(quantile));
        let value = latency.context("a phase without operations")?.as_secs_f64();
        Ok(Self { sample: Sample { value, ..self.sample.clone() } })
    }

    /// Adds what the processes behind the subject used.
    pub(crate) fn with(mut self, usage: &Usage) -> Self {
        self.sample.cpu_seconds.extend(usage.cpu_seconds.clone());
        self.sample.rss_peak.extend(usage.rss_peak.clone());
        self
    }
}

/// Name of the processes that make load, in reports.
pub(crate) const WORKERS: &str = "load";
