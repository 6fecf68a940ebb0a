use super::super::testing::{add, bound, empty};
use super::super::{Rule, json};
use super::*;

/// The same three figures, each multiplied.
fn run(name: &str, factors: [f64; 3]) -> Report {
    let mut report = empty(name);
    let times = |values: [f64; 3], factor: f64| values.map(|value| value * factor);
    add(&mut report, "disk.write", "machine", Unit::Bytes, &times([1e9, 1.01e9, 0.99e9], factors[0]));
    add(&mut report, "sequential.write", "flexfs", Unit::Bytes, &times([5e8, 5.1e8, 4.9e8], factors[1]));
    bound(&mut report, Rule::Slowest, &[("disk.write", "machine")]);
    add(&mut report, "recovery.outage", "flexfs", Unit::Seconds, &times([0.1, 0.12, 0.11], factors[2]));
    report
}

fn verdicts(old: &Report, new: &Report) -> Vec<(String, Verdict, Option<Verdict>)> {
    let moves = moves(old, new);
    let of =
        |figure: &Move<'_>| (figure.series.workload.clone(), figure.verdict, figure.share.map(|(.., verdict)| verdict));
    moves.iter().map(of).collect()
}

#[test]
fn nothing_moves_where_nothing_moved() {
    let (old, new) = (run("a", [1.0; 3]), run("b", [1.005; 3]));
    assert!(moves(&old, &new).iter().all(|figure| !figure.has_moved()));
    let text = text(&old, &new, false);
    assert!(text.contains("0 of 3 figures moved"), "{text}");
}

#[test]
fn faster_machine_is_told_from_a_faster_mount() {
    let old = run("a", [1.0; 3]);
    let faster_mount = verdicts(&old, &run("b", [1.0, 1.5, 1.0]));
    assert_eq!(faster_mount[1], ("sequential.write".to_owned(), Verdict::Rose, Some(Verdict::Rose)));
    let faster_machine = verdicts(&old, &run("b", [1.5, 1.5, 1.0]));
    assert_eq!(faster_machine[1], ("sequential.write".to_owned(), Verdict::Rose, Some(Verdict::WithinNoise)));
}

#[test]
fn longer_wait_is_worse_and_no_ratio_is_given() {
    let text = text(&run("a", [1.0; 3]), &run("b", [1.0, 1.0, 2.0]), false);
    let line = text.lines().find(|line| line.starts_with("recovery.outage")).unwrap();
    assert!(line.contains("110 [100..120]") && line.contains("220 [200..240]") && line.contains("worse"), "{line}");
    assert!(text.contains("no ratios: the two runs were not taken side by side"), "{text}");
    assert!(!text.contains("2.00") && !text.contains("200%"), "{text}");
}

#[test]
fn figures_of_one_run_only_and_other_machines_are_told() {
    let (old, mut new) = (run("a", [1.0; 3]), run("b", [1.0; 3]));
    new.series.remove(0);
    new.environment.kernel = "7.0".to_owned();
    let text = text(&old, &new, true);
    assert!(text.contains("1 figures are in one of the reports only"), "{text}");
    assert!(text.contains("differs in kernel: , 7.0"), "{text}");
    assert!(text.contains("sequential.write"), "{text}");
}

#[test]
fn file_that_is_no_report_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("results.json");
    let error = |content: &str| {
        std::fs::write(&path, content).unwrap();
        format!("{:#}", json::load(&path).unwrap_err())
    };
    assert!(error("not JSON").contains("not JSON; name a results.json"));
    assert!(error("{}").contains("its format is null, this program reads 1"));
    assert!(error("{\"format\": 2}").contains("its format is 2, this program reads 1"));
    assert!(error("{\"format\": 1}").contains("not of format 1"));
    let report = run("a", [1.0; 3]);
    json::save(&report, &path).unwrap();
    assert_eq!(json::load(&path).unwrap(), report);
}
