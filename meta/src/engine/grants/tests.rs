use proto::SessionId;
use uuid::Uuid;

use super::*;

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

fn grants(ranges: &[(u64, u32, u128)]) -> Grants {
    let mut grants = Grants::default();
    for &(first, count, owner) in ranges {
        grants.apply((ObjectId(first), Some(Grant { count, session: session(owner) })));
    }
    grants
}

fn take(grants: &mut Grants, owner: u128, ids: &[u64]) -> bool {
    let Some(changes) = grants.take(session(owner), ids.iter().map(|id| ObjectId(*id)).collect()) else { return false };
    changes.into_iter().for_each(|change| grants.apply(change));
    true
}

fn left(grants: &Grants, owner: u128) -> Vec<(u64, u32)> {
    grants.of(session(owner), 100).iter().map(|(first, grant)| (first.0, grant.count)).collect()
}

#[test]
fn taking_ids_splits_the_ranges() {
    let mut grants = grants(&[(10, 10, 1), (20, 5, 1), (25, 5, 2)]);
    assert!(take(&mut grants, 1, &[22, 10, 14, 19]));
    assert_eq!(left(&grants, 1), [(11, 3), (15, 4), (20, 2), (23, 2)]);
    assert_eq!(grants.outstanding(session(1)), 11);
    assert!(take(&mut grants, 1, &[11, 12, 13, 15, 16, 17, 18, 20, 21, 23, 24]));
    assert_eq!(left(&grants, 1), []);
    assert_eq!(grants.outstanding(session(1)), 0);
    assert_eq!(left(&grants, 2), [(25, 5)]);
}

#[test]
fn foreign_unknown_taken_and_repeated_ids_are_refused() {
    let mut grants = grants(&[(10, 10, 1), (20, 5, 2)]);
    assert!(!take(&mut grants, 1, &[20]));
    assert!(!take(&mut grants, 1, &[9]));
    assert!(!take(&mut grants, 1, &[25]));
    assert!(!take(&mut grants, 1, &[11, 11]));
    assert!(take(&mut grants, 1, &[11]));
    assert!(!take(&mut grants, 1, &[11]));
    assert!(!take(&mut grants, 1, &[12, 20]));
    assert_eq!(left(&grants, 1), [(10, 1), (12, 8)]);
}
