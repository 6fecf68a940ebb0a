//! What moved between two runs, beyond the noise.
//!
//! Two runs were not taken side by side, so no ratio of their figures means anything, and none is given. What can be
//! said is whether all samples of one lie apart from all of the other; shares of a ceiling, each taken within its run,
//! tell whether it was the machine that moved.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};

use super::json::load;
use super::table::{emit, lines, percents, range};
use super::{Report, Series};
use crate::method::{Spread, Verdict};
use crate::unit::Unit;

/// Prints what moved between the reports `old` and `new`; `all`: and what did not.
///
/// # Errors
/// A file is not a report.
pub fn compare(old: &Path, new: &Path, all: bool) -> Result<()> {
    let (old, new) = (load(old)?, load(new)?);
    emit(&text(&old, &new, all))
}

/// A figure of both runs.
#[derive(Clone, Debug, PartialEq)]
struct Move<'a> {
    series: &'a Series,
    old: Spread,
    new: Spread,
    verdict: Verdict,
    /// Shares of the ceiling, and what became of them.
    share: Option<(Spread, Spread, Verdict)>,
}

fn moves<'a>(old: &Report, new: &'a Report) -> Vec<Move<'a>> {
    let both = |series: &'a Series| {
        let before = old.find(&series.workload, &series.subject)?;
        let (old_spread, new_spread) = (before.spread()?, series.spread()?);
        let share = old.share(before).zip(new.share(series)).map(|(before, after)| {
            let verdict = Verdict::of(&before.spread, &after.spread);
            (before.spread, after.spread, verdict)
        });
        let verdict = Verdict::of(&old_spread, &new_spread);
        Some(Move { series, old: old_spread, new: new_spread, verdict, share })
    };
    new.series.iter().filter_map(both).collect()
}

impl Move<'_> {
    fn has_moved(&self) -> bool {
        let moved = |verdict| matches!(verdict, Verdict::Rose | Verdict::Fell);
        moved(self.verdict) || self.share.is_some_and(|(.., verdict)| moved(verdict))
    }
}

fn text(old: &Report, new: &Report, all: bool) -> String {
    let mut text = heading(old, new);
    let moves = moves(old, new);
    let shown: Vec<&Move<'_>> = moves.iter().filter(|figure| all || figure.has_moved()).collect();
    if !shown.is_empty() {
        text.push('\n');
        text.push_str(&table(&shown));
    }
    let count = |verdict| moves.iter().filter(|figure| figure.verdict == verdict).count();
    let moved = moves.iter().filter(|figure| figure.has_moved()).count();
    let _ = write!(
        text,
        "\n{moved} of {} figures moved beyond the noise (no sample of one run in the range of the other, medians 5% \
         apart); {} within it, {} with too few samples to say\n",
        moves.len(),
        count(Verdict::WithinNoise),
        count(Verdict::TooFewSamples),
    );
    let alone = old.series.len() + new.series.len() - 2 * moves.len();
    if alone > 0 {
        let _ = writeln!(text, "{alone} figures are in one of the reports only");
    }
    text
}

fn heading(old: &Report, new: &Report) -> String {
    let one = |what: &str, report: &Report| {
        format!("{what}: run {} of {}, {} rounds\n", report.run, report.environment.started, report.method.rounds)
    };
    let mut text = one("old", old) + &one("new", new);
    if old.run == new.run {
        text.push_str("these are the same run\n");
    } else {
        text.push_str("no ratios: the two runs were not taken side by side\n");
    }
    for difference in old.environment.differences(&new.environment) {
        let _ = writeln!(text, "differs in {difference}");
    }
    if (old.method.quick, old.method.seconds, old.method.seed)
        != (new.method.quick, new.method.seconds, new.method.seed)
    {
        text.push_str("differs in the size, the time or the seed of the workloads\n");
    }
    text
}

fn table(moves: &[&Move<'_>]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["FIGURE", "ON", "OLD", "NEW", "UNIT", "", "SHARE OF CEILING", ""]);
    for figure in moves {
        let unit = figure.series.unit;
        let (shares, share_word) = match figure.share {
            Some((old, new, verdict)) => {
                (format!("{} -> {}", percents(old), percents(new)), word(verdict, Unit::Operations))
            }
            None => (String::new(), ""),
        };
        table.add_row([
            figure.series.title.clone(),
            figure.series.subject.clone(),
            range(unit, figure.old),
            range(unit, figure.new),
            unit.name().to_owned(),
            word(figure.verdict, unit).to_owned(),
            shares,
            share_word.to_owned(),
        ]);
    }
    lines(&table)
}

fn word(verdict: Verdict, unit: Unit) -> &'static str {
    match (verdict, unit.is_rate()) {
        (Verdict::Rose, true) | (Verdict::Fell, false) => "better",
        (Verdict::Rose, false) | (Verdict::Fell, true) => "worse",
        (Verdict::WithinNoise, _) => "noise",
        (Verdict::TooFewSamples, _) => "too few samples",
    }
}

#[cfg(test)]
mod tests;
