//! The report as one page that needs nothing else: style and drawings are in it.

use std::fmt::{self, Display, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};

use super::svg::{self, Line};
use super::table::{percents, range};
use super::{Kind, Report, Series, usage};
use crate::method::Spread;
use crate::unit::digits;

const STYLE: &str = include_str!("html/style.css");

/// Writes `report` as a page to `path`.
pub(crate) fn save(report: &Report, path: &Path) -> Result<()> {
    std::fs::write(path, page(report)).with_context(|| format!("cannot write {}", path.display()))
}

/// Text in a page: nothing in it is markup.
struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn page(report: &Report) -> String {
    let mut groups: Vec<&str> = Vec::new();
    for series in &report.series {
        if !groups.contains(&series.group()) {
            groups.push(series.group());
        }
    }
    // What the run is about comes first, what bounds it behind that.
    let is_ceiling = |group: &&str| {
        let mut shown = report.series.iter().filter(|series| series.group() == *group);
        shown.all(|series| class(report, &series.subject) == "machine")
    };
    groups.sort_by_key(is_ceiling);
    let sections: String = groups.iter().map(|group| section(report, group)).collect();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>flexfs benchmark, {started}</title><style>{STYLE}</style></head><body><main>\n\
         {header}{failures}{sections}{processes}</main></body></html>\n",
        started = Text(&report.environment.started),
        header = header(report),
        failures = failures(report),
        processes = processes(report),
    )
}

fn header(report: &Report) -> String {
    let environment = &report.environment;
    let optimised = if environment.optimised { "" } else { ", not optimised: these figures say nothing about speed" };
    let facts = [
        ("Program", format!("flexfs {}, commit {}{optimised}", environment.version, environment.commit)),
        ("Command", environment.command.clone()),
        ("Begun", environment.started.clone()),
        (
            "Machine",
            format!(
                "{} CPUs, {}, {} GB, {}",
                environment.cpus,
                environment.cpu,
                environment.memory >> 30,
                environment.machine
            ),
        ),
        (
            "Kernel",
            format!(
                "Linux {}, transport {}, FUSE over io_uring: {}",
                environment.kernel, environment.transport, environment.fuse_uring
            ),
        ),
        (
            "Method",
            format!(
                "{} rounds of {} s after a warm-up, in {:.0} s altogether, everything in turns in each; medians with the range of all samples; \
                 shares taken round by round; seed {}",
                report.method.rounds, report.method.seconds, report.method.took, report.method.seed
            ),
        ),
    ];
    let facts: String = facts.iter().map(|(what, text)| format!("<dt>{what}</dt><dd>{}</dd>", Text(text))).collect();
    let subject = |subject: &super::SubjectRecord| {
        let class = class(report, &subject.name);
        format!("<li><i class=\"{class}\"></i><b>{}</b> {}</li>", Text(&subject.name), Text(&subject.description))
    };
    let subjects: String = report.subjects.iter().map(subject).collect();
    format!("<h1>flexfs benchmark</h1><dl>{facts}</dl><ul class=\"subjects\">{subjects}</ul>\n")
}

fn failures(report: &Report) -> String {
    if report.failures.is_empty() {
        return String::new();
    }
    let line = |failure: &super::Failure| {
        let (workload, subject) = (Text(&failure.workload), Text(&failure.subject));
        format!("<li><b>{workload}</b> on {subject}: {}</li>", Text(&failure.reason))
    };
    let lines: String = report.failures.iter().map(line).collect();
    format!("<section class=\"failures\"><h2>Could not be measured</h2><ul>{lines}</ul></section>\n")
}

fn section(report: &Report, group: &str) -> String {
    let series: Vec<&Series> = report.series.iter().filter(|series| series.group() == group).collect();
    format!(
        "<section><h2>{}</h2>{}{}{}</section>\n",
        Text(heading(group)),
        bars(report, &series),
        table(report, &series),
        histograms(report, &series)
    )
}

/// A group's name as a heading.
fn heading(group: &str) -> String {
    match group {
        "quic" => "QUIC over loopback".to_owned(),
        "sqlite" => "SQLite".to_owned(),
        "engine" => "Metadata engine".to_owned(),
        "mixed" => "Mixed, over several mounts".to_owned(),
        group => {
            let words = group.replace('-', " ");
            let mut letters = words.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        }
    }
}

/// How near each figure comes to its ceiling.
fn bars(report: &Report, series: &[&Series]) -> String {
    let shares: Vec<(&Series, super::Share)> =
        series.iter().filter_map(|series| Some((*series, report.share(series)?))).collect();
    if shares.is_empty() {
        return String::new();
    }
    let end = svg::axis_end(&shares.iter().map(|(_, share)| share.spread).collect::<Vec<_>>());
    let mut html = "<div class=\"bars\">".to_owned();
    for (series, share) in &shares {
        let (class, unit) = (class(report, &series.subject), series.unit);
        let median = series.spread().map_or(0.0, |spread| spread.median);
        let _ = write!(
            html,
            "<div class=\"label\">{}<small>{}</small></div><div class=\"{class}\">{}</div>\
             <div class=\"value\"><b>{} %</b> <span>{} {unit_name}, of {} by {}</span></div>",
            Text(&series.title),
            Text(&series.subject),
            svg::bar(share.spread, &share.samples, end),
            digits(share.spread.median * 100.0),
            unit.show(median),
            unit.show(share.ceiling.median),
            Text(&share.by),
            unit_name = unit.name(),
        );
    }
    let _ = write!(
        html,
        "</div><p class=\"note\">Share of the ceiling, 0 to {:.0} %: the bar is the median, the line the range, each dot a \
         round, the strong mark the ceiling.</p>",
        end * 100.0
    );
    html
}

/// Every figure of every subject. Columns that nothing is in are left out.
fn table(report: &Report, series: &[&Series]) -> String {
    let rows: Vec<[String; COLUMNS.len()]> = series.iter().map(|series| row(report, series)).collect();
    let used: Vec<usize> =
        (0..COLUMNS.len()).filter(|column| rows.iter().any(|cells| !cells[*column].is_empty())).collect();
    let head: String = used.iter().map(|column| format!("<th>{}</th>", COLUMNS[*column])).collect();
    let mut body = String::new();
    let mut shown = "";
    for (series, cells) in series.iter().zip(&rows) {
        let class = class(report, &series.subject);
        body.push_str("<tr>");
        // One title for all subjects of a workload.
        if series.workload != shown {
            shown = &series.workload;
            let same = rows_of(shown, report);
            let _ = write!(body, "<td class=\"title\" rowspan=\"{same}\">{}</td>", Text(&series.title));
        }
        let _ = write!(body, "<td class=\"on\"><i class=\"{class}\"></i>{}</td>", Text(&series.subject));
        for column in &used {
            let _ = write!(body, "<td>{}</td>", Text(&cells[*column]));
        }
        body.push_str("</tr>");
    }
    format!(
        "<div class=\"scroll\"><table><thead><tr><th class=\"title\">Figure</th><th class=\"on\">On</th>{head}</tr>\
         </thead><tbody>{body}</tbody></table></div>"
    )
}

fn rows_of(workload: &str, report: &Report) -> usize {
    report.series.iter().filter(|series| series.workload == workload).count()
}

const COLUMNS: [&str; 8] =
    ["Median [min..max]", "Unit", "Of ceiling", "Of the first", "p50", "p99", "CPU µs/op, serving", "CPU µs/op, load"];

/// The text of the columns.
fn row(report: &Report, series: &Series) -> [String; COLUMNS.len()] {
    let latency = series.latency();
    let quantile = |quantile| {
        let time = latency.as_ref().and_then(|latency| latency.quantile(quantile));
        time.map_or_else(String::new, svg::time)
    };
    let micros = |seconds: f64| if seconds > 0.0 { digits(seconds * 1e6) } else { String::new() };
    let (served, load) = usage::cpu_per_operation(series).unwrap_or_default();
    [
        series.spread().map_or_else(String::new, |spread| range(series.unit, spread)),
        series.unit.name().to_owned(),
        report.share(series).map_or_else(String::new, |share| percents(share.spread)),
        beside_first(report, series).map_or_else(String::new, percents),
        quantile(0.5),
        quantile(0.99),
        micros(served),
        micros(load),
    ]
}

/// The speed of another measured subject than the first.
fn beside_first(report: &Report, series: &Series) -> Option<Spread> {
    let first = report.measured().next()?;
    report.measured().find(|subject| subject.name == series.subject)?;
    report.speed(series, &first.name)
}

/// A plot for each figure whose operations were timed, with all subjects in it.
fn histograms(report: &Report, series: &[&Series]) -> String {
    let mut plots = String::new();
    let mut workloads: Vec<&str> = Vec::new();
    for first in series {
        if workloads.contains(&first.workload.as_str()) {
            continue;
        }
        workloads.push(&first.workload);
        let timed: Vec<_> = series
            .iter()
            .filter(|series| series.workload == first.workload)
            .filter_map(|series| Some((class(report, &series.subject), &series.subject, series.latency()?)))
            .collect();
        // One operation a round is no distribution.
        if timed.iter().all(|(_, _, latency)| latency.count() < OPERATIONS_MIN) {
            continue;
        }
        let lines: Vec<Line<'_>> = timed.iter().map(|(class, _, latency)| Line { class, latency }).collect();
        let legend = timed.iter().map(|(class, subject, _)| {
            format!("<span class=\"legend\"><i class=\"{class}\"></i>{}</span> ", Text(subject))
        });
        let _ = write!(
            plots,
            "<figure><figcaption>{}</figcaption>{}<small>{}</small></figure>",
            Text(&first.title),
            svg::histogram(&lines),
            legend.collect::<String>()
        );
    }
    if plots.is_empty() {
        return plots;
    }
    format!("<details open><summary>Times of single operations</summary><div class=\"plots\">{plots}</div></details>")
}

/// Operations from which their times are drawn.
const OPERATIONS_MIN: u64 = 20;

fn processes(report: &Report) -> String {
    let row = |(name, used): (String, usage::ProcessUse)| {
        let memory = if used.rss_peak > 0 { digits(used.rss_peak as f64 / f64::from(1 << 20)) } else { String::new() };
        format!("<tr><td>{}</td><td>{}</td><td>{memory}</td></tr>", Text(name), digits(used.cpu_seconds))
    };
    let rows: String = usage::of_run(report).into_iter().map(row).collect();
    format!(
        "<section><h2>processes</h2><div class=\"scroll\"><table><thead><tr><th>Process</th><th>CPU s, all measurements</th>\
         <th>Peak resident MiB</th></tr></thead><tbody>{rows}</tbody></table></div></section>\n"
    )
}

/// The colour of a subject: by what it is there for, and of several measured ones by their order.
fn class(report: &Report, subject: &str) -> String {
    let of_kind = |kind| report.subjects.iter().filter(move |subject| subject.kind == kind);
    let Some(kind) = report.subjects.iter().find(|known| known.name == subject).map(|known| known.kind) else {
        return String::new();
    };
    let place = of_kind(kind).position(|known| known.name == subject).unwrap_or(0);
    let word = match kind {
        Kind::Measured => "measured",
        Kind::Disk => "disk",
        Kind::Memory => "memory",
        Kind::NullFuse => "null",
        Kind::Passthrough => "null other-1",
        Kind::Machine => "machine",
    };
    if place == 0 { word.to_owned() } else { format!("{word} other-{}", place.min(3)) }
}

#[cfg(test)]
mod tests;
