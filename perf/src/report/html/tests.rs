use super::super::testing::{add, bound, empty};
use super::super::{Failure, Rule};
use super::*;
use crate::method::Histogram;
use crate::unit::Unit;

fn report() -> Report {
    let mut report = empty("a");
    add(&mut report, "disk.write", "machine", Unit::Bytes, &[1e9, 1e9, 1e9]);
    add(&mut report, "sequential.write", "ext4", Unit::Bytes, &[9e8, 9e8, 9e8]);
    add(&mut report, "sequential.write", "flexfs", Unit::Bytes, &[5e8, 4e8, 6e8]);
    bound(&mut report, Rule::Slowest, &[("disk.write", "machine")]);
    let mut latency = Histogram::default();
    (1..100).for_each(|micros| latency.record(std::time::Duration::from_micros(micros)));
    report.series[2].samples[0].latency = Some(latency);
    report
}

#[test]
fn page_needs_nothing_else() {
    let page = page(&report());
    for outside in ["http:", "https:", "src=", "href=", "@import", "url(", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("prefers-color-scheme: dark"));
}

#[test]
fn every_element_that_is_opened_is_closed() {
    let page = page(&report());
    for element in ["html", "head", "body", "main", "section", "div", "table", "tr", "td", "svg", "figure", "details"] {
        let opened = page.matches(&format!("<{element}>")).count() + page.matches(&format!("<{element} ")).count();
        assert_eq!(opened, page.matches(&format!("</{element}>")).count(), "{element}");
        assert!(opened > 0, "{element}");
    }
}

#[test]
fn figures_are_there_with_their_share_and_their_range() {
    let page = page(&report());
    assert!(page.contains("<b>50.0 %</b> <span>500 MB/s, of 1,000 by disk.write</span>"), "{page}");
    assert!(page.contains("<td>500 [400..600]</td>"), "{page}");
    assert!(page.contains("<td>51 µs</td>"), "{page}");
}

#[test]
fn text_of_others_is_no_markup() {
    let mut report = report();
    report.subjects[0].description = "<script>alert(1)</script>".to_owned();
    report.environment.command = "flexfs --only \"a&b\"".to_owned();
    let (workload, subject) = ("sqlite.wal".to_owned(), "flexfs".to_owned());
    report.failures.push(Failure { workload, subject, reason: "<b>".to_owned() });
    let page = page(&report);
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert!(page.contains("&quot;a&amp;b&quot;"));
    assert!(page.contains("<b>sqlite.wal</b> on flexfs: &lt;b&gt;"));
}

#[test]
fn several_measured_subjects_have_colours_of_their_own() {
    let mut report = report();
    let second = super::super::SubjectRecord { name: "second".to_owned(), ..report.subjects[0].clone() };
    report.subjects.push(second);
    assert_eq!(class(&report, "flexfs"), "measured");
    assert_eq!(class(&report, "second"), "measured other-1");
    assert_eq!(class(&report, "ext4"), "disk");
    add(&mut report, "sequential.write", "second", Unit::Bytes, &[1e9, 8e8, 1.2e9]);
    assert!(page(&report).contains("<td>200% [200..200]</td>"));
}
