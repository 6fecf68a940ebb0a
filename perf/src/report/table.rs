//! The report on a terminal.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::{Kind, Report, Series, usage};
use crate::method::Spread;
use crate::unit::{Unit, digits};

/// Prints what was found.
pub(crate) fn print(report: &Report) -> Result<()> {
    emit(&text(report))
}

/// Writes to standard output. A reader that went away had enough.
pub(crate) fn emit(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}

fn text(report: &Report) -> String {
    let mut text = heading(report);
    let mut groups: Vec<&str> = Vec::new();
    for series in &report.series {
        if !groups.contains(&series.group()) {
            groups.push(series.group());
        }
    }
    for group in groups {
        text.push_str(&section(report, group));
    }
    text + &processes(report)
}

/// What every process used.
fn processes(report: &Report) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["PROCESSES", "CPU s", "PEAK MiB"]);
    for (name, used) in usage::of_run(report) {
        let memory = if used.rss_peak > 0 { digits(used.rss_peak as f64 / f64::from(1 << 20)) } else { String::new() };
        table.add_row([name, digits(used.cpu_seconds), memory]);
    }
    table.column_iter_mut().skip(1).for_each(|column| {
        column.set_cell_alignment(CellAlignment::Right);
    });
    format!("\n{}", lines(&table))
}

fn heading(report: &Report) -> String {
    let environment = &report.environment;
    let mut text = format!(
        "flexfs {} ({}){}, {} CPUs ({}), Linux {}, transport {}\n\
         {} rounds of {} s, in {:.0} s altogether, everything in turns in each; median [min..max], of references the median; seed {}\n",
        environment.version,
        environment.commit,
        if environment.optimised { "" } else { " NOT OPTIMISED" },
        environment.cpus,
        environment.cpu,
        environment.kernel,
        environment.transport,
        report.method.rounds,
        report.method.seconds,
        report.method.took,
        report.method.seed,
    );
    for subject in &report.subjects {
        text.push_str(&format!("  {}: {}\n", subject.name, subject.description));
    }
    text
}

/// The figures of a group: each measured subject's in a line, with its ceiling and the same work on the references.
fn section(report: &Report, group: &str) -> String {
    let columns = Columns::of(report, group);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.headers(group));
    for series in report.series.iter().filter(|series| series.group() == group && is_shown(report, series)) {
        table.add_row(columns.row(report, series));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        let is_text = index < 2 || columns.texts.contains(&index);
        column.set_cell_alignment(if is_text { CellAlignment::Left } else { CellAlignment::Right });
    }
    format!("\n{}", lines(&table))
}

/// A table's lines without the blanks around them.
pub(super) fn lines(table: &Table) -> String {
    table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n").collect()
}

/// What a group's table has beside the figures themselves.
struct Columns<'a> {
    has_ceilings: bool,
    /// The subject that others of the run are compared with, if there are others.
    first: Option<&'a str>,
    references: Vec<&'a str>,
    /// Places of columns that hold words.
    texts: Vec<usize>,
}

impl<'a> Columns<'a> {
    fn of(report: &'a Report, group: &str) -> Self {
        let in_group = |series: &&Series| series.group() == group;
        let has_ceilings = report.series.iter().filter(in_group).any(|series| series.ceiling.is_some());
        let is_reference = |kind| matches!(kind, Kind::Disk | Kind::Memory | Kind::NullFuse | Kind::Passthrough);
        let has_figures = |name: &str| report.series.iter().filter(in_group).any(|series| series.subject == name);
        let references =
            report.subjects.iter().filter(|subject| is_reference(subject.kind) && has_figures(&subject.name));
        let mut measured = report.measured().filter(|subject| has_figures(&subject.name));
        let first = measured.next().filter(|_| measured.next().is_some());
        let texts = if has_ceilings { vec![3, 6] } else { vec![3] };
        Self {
            has_ceilings,
            first: first.map(|subject| subject.name.as_str()),
            references: references.map(|subject| subject.name.as_str()).collect(),
            texts,
        }
    }

    fn headers(&self, group: &str) -> Vec<String> {
        let mut headers = vec![group.to_uppercase(), "ON".to_owned(), "MEASURED".to_owned(), "UNIT".to_owned()];
        if self.has_ceilings {
            headers.extend(["OF CEILING", "CEILING", "BY"].map(str::to_owned));
        }
        headers.extend(self.first.map(|first| format!("SPEED OF {}", first.to_uppercase())));
        headers.extend(self.references.iter().map(|name| name.to_uppercase()));
        headers
    }

    fn row(&self, report: &Report, series: &Series) -> Vec<Cell> {
        let unit = series.unit;
        let mut cells = vec![series.title.clone(), series.subject.clone(), spread(series), unit.name().to_owned()];
        if self.has_ceilings {
            cells.extend(report.share(series).map_or_else(
                || [ABSENT; 3].map(str::to_owned),
                |share| [percents(share.spread), unit.show(share.ceiling.median), share.by],
            ));
        }
        if let Some(first) = self.first {
            cells.push(report.speed(series, first).map_or_else(|| ABSENT.to_owned(), percents));
        }
        let median = |name: &&str| {
            let spread = report.find(&series.workload, name).and_then(Series::spread);
            spread.map_or_else(|| ABSENT.to_owned(), |spread| unit.show(spread.median))
        };
        cells.extend(self.references.iter().map(median));
        cells.into_iter().map(Cell::new).collect()
    }
}

/// References have columns, not lines.
fn is_shown(report: &Report, series: &Series) -> bool {
    let subject = report.subjects.iter().find(|subject| subject.name == series.subject);
    subject.is_some_and(|subject| matches!(subject.kind, Kind::Measured | Kind::Machine))
}

pub(super) fn percents(share: Spread) -> String {
    let percent = |value: f64| digits(value * 100.0);
    format!("{}% [{}..{}]", percent(share.median), percent(share.min), percent(share.max))
}

fn spread(series: &Series) -> String {
    series.spread().map_or_else(|| ABSENT.to_owned(), |spread| range(series.unit, spread))
}

pub(super) fn range(unit: Unit, spread: Spread) -> String {
    let Spread { median, min, max, .. } = spread;
    format!("{} [{}..{}]", unit.show(median), unit.show(min), unit.show(max))
}

/// Where nothing was measured.
const ABSENT: &str = "-";
