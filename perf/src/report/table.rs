//! The report on a terminal.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

use super::{Kind, Report, Series};
use crate::unit::digits;

/// Prints what was found. A reader that went away had enough.
pub(crate) fn print(report: &Report) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text(report).as_bytes()).and_then(|()| stdout.flush()) {
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
    text
}

fn heading(report: &Report) -> String {
    let environment = &report.environment;
    let mut text = format!(
        "flexfs {} ({}){}, {} CPUs ({}), Linux {}, transport {}\n\
         {} rounds of {} s, everything in turns in each; median [min..max]; seed {}\n",
        environment.version,
        environment.commit,
        if environment.optimised { "" } else { " NOT OPTIMISED" },
        environment.cpus,
        environment.cpu,
        environment.kernel,
        environment.transport,
        report.method.rounds,
        report.method.seconds,
        report.method.seed,
    );
    for subject in &report.subjects {
        text.push_str(&format!("  {}: {}\n", subject.name, subject.description));
    }
    text
}

/// The figures of a group: each measured subject's in a line, with its ceiling and the same work on the references.
fn section(report: &Report, group: &str) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    let references: Vec<&str> = report
        .subjects
        .iter()
        .filter(|subject| matches!(subject.kind, Kind::Disk | Kind::Memory | Kind::NullFuse))
        .filter(|subject| report.series.iter().any(|series| series.group() == group && series.subject == subject.name))
        .map(|subject| subject.name.as_str())
        .collect();
    let mut headers = vec![group.to_uppercase(), "ON".to_owned(), "MEASURED".to_owned(), "UNIT".to_owned()];
    headers.extend(["OF CEILING".to_owned(), "CEILING".to_owned()]);
    headers.extend(references.iter().map(|name| name.to_uppercase()));
    table.set_header(headers);
    for series in report.series.iter().filter(|series| series.group() == group) {
        let kind = report.subjects.iter().find(|subject| subject.name == series.subject).map(|subject| subject.kind);
        if matches!(kind, Some(Kind::Measured | Kind::Machine)) {
            table.add_row(row(report, series, &references));
        }
    }
    for column in 2..table.column_count() {
        if column != 3
            && let Some(column) = table.column_mut(column)
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned() + "\n");
    format!("\n{}", lines.collect::<String>())
}

fn row(report: &Report, series: &Series, references: &[&str]) -> Vec<Cell> {
    let share = report.share(series);
    let (of_ceiling, ceiling) = share.map_or_else(
        || (ABSENT.to_owned(), ABSENT.to_owned()),
        |share| {
            let percent = |value: f64| digits(value * 100.0);
            let of = share.spread;
            let shown = format!("{}% [{}..{}]", percent(of.median), percent(of.min), percent(of.max));
            (shown, format!("{} {}", series.unit.show(share.ceiling.median), share.by))
        },
    );
    let mut cells = vec![
        series.title.clone(),
        series.subject.clone(),
        spread(series),
        series.unit.name().to_owned(),
        of_ceiling,
        ceiling,
    ];
    let same = references.iter().map(|name| report.find(&series.workload, name));
    cells.extend(same.map(|series| series.map_or_else(|| ABSENT.to_owned(), spread)));
    cells.into_iter().map(Cell::new).collect()
}

fn spread(series: &Series) -> String {
    let Some(spread) = series.spread() else { return ABSENT.to_owned() };
    let show = |value| series.unit.show(value);
    format!("{} [{}..{}]", show(spread.median), show(spread.min), show(spread.max))
}

/// Where nothing was measured.
const ABSENT: &str = "-";
