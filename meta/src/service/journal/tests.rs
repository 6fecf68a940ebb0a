use super::*;
use crate::engine::Breach;

fn addr(last: u8) -> SocketAddr {
    ([192, 0, 2, last], 1000).into()
}

fn start(journal: &Journal) {
    journal.note(SessionChange::Start, Subject::default(), "");
}

#[test]
fn events_stay_until_they_are_taken() {
    let journal = Journal::new();
    assert_eq!(journal.report(Some(0)), None);
    assert_eq!(journal.report(None).unwrap().next, 0, "the first report tells of the run alone");
    let mut news = journal.news();
    assert!(!news.has_changed().unwrap());
    (0..REPORT_MAX + 1).for_each(|_| start(&journal));
    assert_eq!((news.has_changed().unwrap(), *news.borrow_and_update()), (true, REPORT_MAX as u64 + 1));
    let report = journal.report(Some(0)).unwrap();
    assert_eq!((report.events.len(), report.next), (REPORT_MAX, REPORT_MAX as u64));
    assert_eq!(journal.report(Some(0)), Some(report.clone()), "an answer that was lost: the same again");
    journal.forget(report.next);
    let rest = journal.report(Some(report.next)).unwrap();
    assert_eq!((rest.events.len(), rest.events[0].number, rest.next), (1, report.next, report.next + 1));
    journal.forget(rest.next);
    assert_eq!(journal.report(Some(rest.next)), None);
}

#[test]
fn what_is_dropped_leaves_a_hole_in_the_numbers() {
    let journal = Journal::new();
    (0..EVENTS_MAX + 7).for_each(|_| start(&journal));
    let mut reported = 0;
    while reported < EVENTS_MAX as u64 {
        let report = journal.report(Some(reported)).unwrap();
        journal.forget(report.next);
        reported = report.next;
    }
    assert_eq!(reported, EVENTS_MAX as u64 + 7, "the last report tells of those that are missing");
    start(&journal);
    assert_eq!(journal.report(Some(reported)).unwrap().events[0].number, reported);
}

#[test]
fn flood_of_refusals_becomes_a_number() {
    let journal = Journal::new();
    (0..1000).for_each(|_| journal.note_refusal(addr(1), "no"));
    journal.note_untold();
    journal.note_untold();
    let events = journal.report(Some(0)).unwrap().events;
    assert_eq!(events.iter().map(|event| event.count).sum::<u64>(), 1000);
    assert!(events.len() < 20, "{}", events.len());
}

#[test]
fn words_of_peers_are_cut() {
    let journal = Journal::new();
    let place = "ä".repeat(1000);
    journal.note(SessionChange::Start, Subject { place, ..Subject::default() }, "");
    assert_eq!(journal.report(Some(0)).unwrap().events[0].place.len(), 254);
}

#[test]
fn breaches_are_one_line_of_a_session_and_stay_counted_until_they_are_told() {
    let journal = Journal::new();
    let breaches = Breaches::default();
    journal.note_breaches(&breaches, addr(1), Subject::default());
    for round in 0..1000 {
        (0..3).for_each(|_| breaches.note(Breach::Scope));
        journal.note_breaches(&breaches, addr(1), Subject::default());
        assert_eq!(breaches.is_empty(), round < 10, "of one address ten are told in a minute");
    }
    journal.note_untold();
    let events = journal.report(Some(0)).unwrap().events;
    assert_eq!(events.len(), 10, "what waits is not untold");
    assert!(events.iter().all(|event| (event.what, event.count) == (SessionChange::Breach, 3)));
    assert_eq!(breaches.take().unwrap().count, 3 * 990);
}
