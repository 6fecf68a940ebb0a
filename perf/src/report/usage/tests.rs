use super::super::testing::{add, empty};
use super::*;
use crate::unit::Unit;

fn report() -> Report {
    let mut report = empty("a");
    add(&mut report, "metadata.create.1p", "flexfs", Unit::Files, &[1.0, 1.0]);
    for (number, sample) in (1..).zip(&mut report.series[0].samples) {
        sample.operations = 1000;
        let cpu = [("up", 0.2), ("up/fsd", 0.15), ("mount", 0.1), (WORKERS, 0.05)];
        sample.cpu_seconds = cpu.map(|(name, seconds)| (name.to_owned(), seconds)).into();
        sample.rss_peak = [("up".to_owned(), number * 1000), (WORKERS.to_owned(), 7)].into();
    }
    report
}

#[test]
fn parts_are_not_counted_twice() {
    let report = report();
    let (served, load) = cpu_per_operation(&report.series[0]).unwrap();
    assert!((served - 0.0003).abs() < 1e-9 && (load - 0.00005).abs() < 1e-9, "{served} {load}");
    assert_eq!(
        cpu_per_operation(
            &empty("b").series.pop().unwrap_or(Series { samples: Vec::new(), ..report.series[0].clone() })
        ),
        None
    );
}

#[test]
fn processes_go_by_their_subject_and_keep_their_peak() {
    let processes = of_run(&report());
    let names: Vec<&str> = processes.keys().map(String::as_str).collect();
    assert_eq!(names, ["flexfs: mount", "flexfs: up", "flexfs: up/fsd", WORKERS]);
    assert_eq!(processes["flexfs: up"].rss_peak, 2000);
    assert!((processes["flexfs: up"].cpu_seconds - 0.4).abs() < 1e-9);
    assert_eq!(processes["flexfs: up/fsd"].rss_peak, 0);
}
