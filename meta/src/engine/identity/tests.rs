use proto::{FileKind, InodeId, Timespec};

use super::*;

fn caller(uid: u32, gid: u32, groups: Option<&[u32]>) -> Caller {
    Caller { uid, gid, groups: groups.map(<[u32]>::to_vec) }
}

fn squashing() -> Identity {
    Identity::new(true, None)
}

fn fixed(uid: u32, gid: u32, groups: &[u32]) -> Option<FixedCaller> {
    Some(FixedCaller::new(uid, gid, groups.to_vec()))
}

/// Callers as hosts may name them.
fn claims() -> Vec<Caller> {
    let mut claims = Vec::new();
    for uid in [0, 1, 1000, NOBODY, u32::MAX] {
        for gid in [0, 5, 1000, u32::MAX] {
            claims.extend(
                [None, Some(&[][..]), Some(&[0]), Some(&[7, 0, 9]), Some(&[7, 9])]
                    .map(|groups| caller(uid, gid, groups)),
            );
        }
    }
    claims
}

#[test]
fn without_a_policy_everybody_is_as_claimed_and_nothing_is_copied() {
    assert!(!Identity::CLAIMED.is_policy());
    for claimed in claims() {
        let counted = Identity::CLAIMED.of(&claimed);
        assert!(matches!(counted, Cow::Borrowed(same) if std::ptr::eq(same, &claimed)));
    }
}

#[test]
fn squashing_leaves_no_zero_and_nothing_else_is_other_than_it_was() {
    for claimed in claims() {
        let identity = squashing();
        let counted = identity.of(&claimed);
        assert_ne!((counted.uid, counted.gid), (0, claimed.gid));
        assert!(!is_of_root(&counted), "{claimed:?} became {counted:?}");
        let same = |now: u32, then: u32| now == if then == 0 { NOBODY } else { then };
        assert!(same(counted.uid, claimed.uid) && same(counted.gid, claimed.gid));
        assert_eq!(counted.groups.is_none(), claimed.groups.is_none(), "missing groups are still asked for");
        let (now, then) = (counted.groups.iter().flatten(), claimed.groups.iter().flatten());
        assert!(now.zip(then).all(|(now, then)| same(*now, *then)));
        assert_eq!(matches!(counted, Cow::Owned(_)), is_of_root(&claimed), "copied only where it changes");
    }
}

#[test]
fn fixed_caller_takes_the_place_of_everybody_with_all_its_groups() {
    let identity = Identity::new(false, fixed(1000, 100, &[4]));
    for claimed in claims() {
        let counted = identity.of(&claimed);
        assert_eq!(*counted, caller(1000, 100, Some(&[4])));
        assert!(matches!(counted, Cow::Borrowed(_)));
    }
    assert!(identity.is_policy() && identity.is_fixed());
    assert!(squashing().is_policy() && !squashing().is_fixed());
}

#[test]
fn trusted_export_is_squashed_where_both_are_asked_for() {
    let trusted = Identity::new(false, fixed(0, 0, &[0, 4]));
    assert_eq!(*trusted.of(&caller(1000, 1000, None)), caller(0, 0, Some(&[0, 4])));
    let squashed = Identity::new(true, fixed(0, 0, &[0, 4]));
    assert_eq!(*squashed.of(&caller(1000, 1000, None)), caller(NOBODY, NOBODY, Some(&[NOBODY, 4])));
    let partly = Identity::new(true, fixed(7, 0, &[]));
    assert_eq!(*partly.of(&Caller::ROOT), caller(7, NOBODY, Some(&[])));
}

#[test]
fn file_may_have_been_opened_only_by_somebody_whom_the_session_can_be() {
    let file = |uid: u32, gid: u32, perm: u16| {
        let attr = Attr::new(InodeId(9), FileKind::Regular, perm, Timespec::default());
        Attr { uid, gid, ..attr }
    };
    let user = || Identity::new(false, fixed(1000, 100, &[4]));
    let root = || Identity::new(false, fixed(0, 0, &[]));
    // Of whom, in which group, with which bits; who; whether for reading, and for writing.
    for (attr, identity, read, write) in [
        (file(0, 0, 0o600), Identity::CLAIMED, true, true),
        (file(0, 0, 0o600), squashing(), false, false),
        (file(0, 0, 0o660), squashing(), false, false),
        (file(0, 0, 0o604), squashing(), true, false),
        (file(0, 0, 0o711), squashing(), true, false),
        (file(0, 0, 0o602), squashing(), false, true),
        (file(0, 5, 0o660), squashing(), true, true),
        (file(1000, 0, 0o000), squashing(), true, true),
        (file(0, 0, 0o600), user(), false, false),
        (file(0, 0, 0o666), user(), true, true),
        (file(1001, 1001, 0o600), user(), false, false),
        (file(1001, 1001, 0o644), user(), true, false),
        (file(1001, 4, 0o640), user(), true, false),
        (file(1001, 100, 0o620), user(), false, true),
        (file(1001, 4, 0o604), user(), false, false),
        (file(1000, 5, 0o000), user(), true, true),
        (file(1001, 1001, 0o000), root(), true, true),
        (file(0, 0, 0o600), Identity::new(true, fixed(0, 0, &[])), false, false),
    ] {
        assert!(!identity.may_own(&attr) || identity.may_have_opened(&attr, true));
        let found = (identity.may_have_opened(&attr, false), identity.may_have_opened(&attr, true));
        assert_eq!(found, (read, write), "{attr:?} by {identity:?}");
    }
}
