//! The seam between a run and its workloads.

use std::path::PathBuf;

use anyhow::Result;

use crate::crew::{Crew, Site};
use crate::report::{Kind, Rule, Sample};
use crate::resources::Reading;
use crate::seed::Seed;
use crate::subject::Subject;
use crate::tally::Tally;
use crate::unit::Unit;

/// Something measurable, with one or several figures.
pub(crate) trait Work {
    /// The figures of each measurement, in order.
    fn figures(&self) -> Vec<Figure>;

    /// Whether it can be measured on subjects of a kind.
    fn runs_on(&self, kind: Kind) -> bool;

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
    pub(crate) seed: Seed,
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
        let usage = reading.end();
        let mut found = Found::of(unit, tally);
        found.sample.cpu_seconds.extend(usage.cpu_seconds);
        found.sample.rss_peak.extend(usage.rss_peak);
        Ok(found)
    }
}

impl Found {
    /// The figure in `unit` of what workers did.
    pub(crate) fn of(unit: Unit, tally: Tally) -> Self {
        let value = match unit {
            Unit::Bytes => tally.bytes as f64 / tally.seconds,
            Unit::Operations | Unit::Files => tally.operations as f64 / tally.seconds,
            Unit::Seconds => tally.seconds / tally.operations as f64,
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
}

/// Name of the processes that make load, in reports.
pub(crate) const WORKERS: &str = "load";
