//! Small reports for tests.

use super::*;

/// A report of one run with nothing in it.
pub(crate) fn empty(run: &str) -> Report {
    let method = Method { quick: true, rounds: 3, took: 1.0, seconds: 0.1, seed: 7, only: Vec::new() };
    let subject =
        |name: &str, kind| SubjectRecord { name: name.to_owned(), kind, description: String::new(), transport: None };
    let subjects = vec![
        subject("flexfs", Kind::Measured),
        subject("ext4", Kind::Disk),
        subject("tmpfs", Kind::Memory),
        subject("null", Kind::NullFuse),
        subject("machine", Kind::Machine),
    ];
    Report { run: run.to_owned(), ..Report::new(Environment::default(), method, subjects) }
}

/// Adds a series with one value for each round from 1.
pub(crate) fn add(report: &mut Report, workload: &str, subject: &str, unit: Unit, values: &[f64]) {
    let samples = (1..).zip(values).map(|(round, value)| Sample { round, value: *value, ..Sample::default() });
    report.series.push(Series {
        workload: workload.to_owned(),
        title: workload.to_owned(),
        subject: subject.to_owned(),
        unit,
        ceiling: None,
        samples: samples.collect(),
    });
}

/// Bounds the series that was added last.
pub(crate) fn bound(report: &mut Report, rule: Rule, parts: &[(&str, &str)]) {
    let parts = parts.iter().map(|(workload, subject)| ((*workload).to_owned(), (*subject).to_owned())).collect();
    report.series.last_mut().unwrap().ceiling = Some(Ceiling { rule, parts });
}
