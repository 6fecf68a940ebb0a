//! How near a figure comes to its ceiling, round by round.

use super::{Ceiling, Report, Rule, Series};
use crate::method::{PairedSeries, Spread, ratio};

/// A figure as a part of what bounds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// 1 = the bound was reached.
    pub spread: Spread,
    /// Each round's.
    pub samples: Vec<f64>,
    /// The bound itself, in the unit of the figure.
    pub ceiling: Spread,
    /// The series that bound most; all of them where their times add up. The same workload elsewhere goes by the name of
    /// that subject, another one by its own.
    pub by: String,
}

/// The share of `series` in `report`. A part that was not measured in the same rounds bounds nothing.
pub(super) fn of(report: &Report, series: &Series) -> Option<Share> {
    let ceiling = series.ceiling.as_ref()?;
    let parts: Vec<&Series> = ceiling
        .parts
        .iter()
        .filter_map(|(workload, subject)| report.find(workload, subject))
        .filter(|part| part.unit.is_rate() == series.unit.is_rate())
        .collect();
    let points = bound(ceiling.rule, &parts, series)?;
    let spread = speed_of(report, series, &points)?;
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    let samples = series.samples.iter().zip(&values).map(|(sample, bound)| series.unit.share(sample.value, *bound));
    Some(Share { spread, samples: samples.collect(), ceiling: Spread::of(&values)?, by: name(ceiling, &parts, series) })
}

/// How fast `series` is beside the same figure of subject `first`, round by round: 2 = twice as fast.
pub(super) fn speed(report: &Report, series: &Series, first: &str) -> Option<Spread> {
    let other = report.find(&series.workload, first).filter(|_| series.subject != first)?;
    speed_of(report, series, &other.points())
}

/// The quotient with `others` of the same run, the right way round for the unit.
fn speed_of(report: &Report, series: &Series, others: &[(u32, f64)]) -> Option<Spread> {
    let ours = series.points();
    let paired = |samples| PairedSeries { run: &report.run, samples };
    let (ours, others) = (paired(&ours), paired(others));
    let quotient = if series.unit.is_rate() { ratio(ours, others) } else { ratio(others, ours) };
    quotient.ok()
}

/// What the parts together allow in each round of `series`.
fn bound(rule: Rule, parts: &[&Series], series: &Series) -> Option<Vec<(u32, f64)>> {
    if parts.is_empty() {
        return None;
    }
    let is_rate = series.unit.is_rate();
    series
        .samples
        .iter()
        .map(|sample| {
            let values: Option<Vec<f64>> = parts
                .iter()
                .map(|part| part.samples.iter().find(|other| other.round == sample.round).map(|other| other.value))
                .collect();
            let values = values?;
            let value = match (rule, is_rate) {
                (Rule::Slowest, true) => values.into_iter().fold(f64::INFINITY, f64::min),
                (Rule::Slowest, false) => values.into_iter().fold(0.0, f64::max),
                (Rule::InTurn, true) => 1.0 / values.into_iter().map(|value| 1.0 / value).sum::<f64>(),
                (Rule::InTurn, false) => values.into_iter().sum(),
            };
            Some((sample.round, value))
        })
        .collect()
}

fn name(ceiling: &Ceiling, parts: &[&Series], series: &Series) -> String {
    let shown = |part: &Series| {
        if part.workload == series.workload { part.subject.clone() } else { part.workload.clone() }
    };
    match ceiling.rule {
        Rule::InTurn => parts.iter().map(|part| shown(part)).collect::<Vec<_>>().join(" + "),
        Rule::Slowest => {
            let median = |part: &&&Series| part.spread().map_or(f64::INFINITY, |spread| spread.median);
            let is_rate = parts.first().is_some_and(|part| part.unit.is_rate());
            let ordered = |one: &&&Series, other: &&&Series| {
                let order = median(one).total_cmp(&median(other));
                if is_rate { order } else { order.reverse() }
            };
            parts.iter().min_by(ordered).map(|part| shown(part)).unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests;
