use super::super::testing::{add, bound, empty};
use super::*;
use crate::unit::Unit;

#[test]
fn slowest_part_is_the_bound_of_what_flows() {
    let mut report = empty("a");
    add(&mut report, "disk.write", "machine", Unit::Bytes, &[100.0, 200.0, 100.0]);
    add(&mut report, "sequential.write", "null", Unit::Bytes, &[300.0, 150.0, 300.0]);
    add(&mut report, "sequential.write", "flexfs", Unit::Bytes, &[50.0, 75.0, 50.0]);
    bound(&mut report, Rule::Slowest, &[("disk.write", "machine"), ("sequential.write", "null")]);
    let share = report.share(&report.series[2]).unwrap();
    assert_eq!((share.spread.min, share.spread.max), (0.5, 0.5));
    assert_eq!((share.ceiling.min, share.ceiling.max), (100.0, 150.0));
    assert_eq!(share.by, "disk.write");
    report.series[0].samples.iter_mut().for_each(|sample| sample.value *= 10.0);
    assert_eq!(report.share(&report.series[2]).unwrap().by, "null");
}

#[test]
fn times_of_parts_in_turn_add_up() {
    let mut report = empty("a");
    add(&mut report, "quic.call", "machine", Unit::Operations, &[1000.0]);
    add(&mut report, "engine.create", "machine", Unit::Operations, &[1000.0]);
    add(&mut report, "metadata.create", "flexfs", Unit::Files, &[250.0]);
    bound(&mut report, Rule::InTurn, &[("quic.call", "machine"), ("engine.create", "machine")]);
    let share = report.share(&report.series[2]).unwrap();
    assert_eq!((share.ceiling.median, share.spread.median), (500.0, 0.5));
    assert_eq!(share.by, "quic.call + engine.create");
}

#[test]
fn duration_near_its_bound_has_a_high_share() {
    let mut report = empty("a");
    add(&mut report, "engine.open", "machine", Unit::Seconds, &[0.1]);
    add(&mut report, "recovery.outage", "flexfs", Unit::Seconds, &[0.4]);
    bound(&mut report, Rule::Slowest, &[("engine.open", "machine")]);
    assert_eq!(report.share(&report.series[1]).unwrap().spread.median, 0.25);
}

#[test]
fn bound_of_other_rounds_is_no_bound() {
    let mut report = empty("a");
    add(&mut report, "disk.write", "machine", Unit::Bytes, &[100.0, 100.0]);
    add(&mut report, "sequential.write", "flexfs", Unit::Bytes, &[50.0, 50.0, 50.0]);
    bound(&mut report, Rule::Slowest, &[("disk.write", "machine")]);
    assert_eq!(report.share(&report.series[1]), None);
    report.series[1].samples.pop();
    assert!(report.share(&report.series[1]).is_some());
    report.series[1].ceiling = None;
    assert_eq!(report.share(&report.series[1]), None);
}
