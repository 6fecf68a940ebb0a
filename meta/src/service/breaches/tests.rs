use super::*;

#[test]
fn counts_are_told_once_and_by_kind() {
    let breaches = Breaches::default();
    assert!(breaches.is_empty() && breaches.take().is_none());
    for breach in [Breach::Scope, Breach::Protocol, Breach::Scope] {
        breaches.note(breach);
    }
    assert!(!breaches.is_empty());
    let words = "2 outside the mount path, 1 malformed".to_owned();
    assert_eq!(breaches.take(), Some(Tally { count: 3, words }));
    assert!(breaches.is_empty() && breaches.take().is_none());
}

#[test]
fn every_kind_has_its_own_count() {
    for (number, breach) in Breach::ALL.into_iter().enumerate() {
        assert_eq!(breach as usize, number);
    }
}
