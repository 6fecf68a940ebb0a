use super::*;

fn every_set() -> impl Iterator<Item = MountFlags> {
    (0..=flag_bits::ALL).map(|bits| MountFlags::from_bits(bits).unwrap())
}

#[test]
fn list_and_bits_are_read_back() {
    for flags in every_set() {
        assert_eq!(MountFlags::parse(&flags.to_string()).unwrap(), flags);
        assert_eq!(MountFlags::from_bits(flags.bits()).unwrap(), flags);
    }
    assert_eq!(MountFlags::parse(" noExec , ro,").unwrap().to_string(), "ro,noExec");
    assert_eq!(MountFlags::parse("").unwrap(), MountFlags::default());
}

#[test]
fn read_only_leaves_access_times_alone() {
    let literal = MountFlags { ro: true, ..MountFlags::default() };
    assert!(MountFlags::parse("ro").unwrap().no_atime);
    assert_eq!(literal.bits(), flag_bits::RO | flag_bits::NO_ATIME);
    assert!(literal.union(MountFlags::default()).no_atime);
}

#[test]
fn union_only_restricts() {
    for one in every_set() {
        for other in every_set() {
            let both = one.union(other);
            assert_eq!(both.bits() & one.bits(), one.bits());
            assert_eq!(both, other.union(one));
            assert_eq!(both.bits() & !(one.bits() | other.bits()), 0);
        }
    }
}

#[test]
fn unknown_flag_is_named_with_the_known_ones() {
    let error = MountFlags::parse("ro,noexec").unwrap_err();
    assert_eq!(
        error.to_string(),
        "mount flag \"noexec\" is unknown: known are ro, noExec, noSUID, noATime, rootSquash"
    );
    assert!(NAMES.iter().all(|(name, _)| error.to_string().contains(name)));
    assert!(MountFlags::from_bits(flag_bits::ALL + 1).unwrap_err().to_string().contains("0x20"));
}
