use super::*;

const READ: Open = Open { read: true, write: false, execute: false, truncate: false, kill_privileges: false };
const WRITE: Open = Open { write: true, ..READ };
const EXECUTE: Open = Open { execute: true, ..READ };
const TRUNCATE: Open = Open { truncate: true, ..READ };

fn flags(list: &str) -> LiveFlags {
    LiveFlags::new(MountFlags::parse(list).unwrap())
}

#[test]
fn each_flag_forbids_what_it_says_and_nothing_else() {
    let table = [
        ("", [Ok(()), Ok(()), Ok(()), Ok(())]),
        ("ro", [Ok(()), Err(Errno::EROFS), Ok(()), Err(Errno::EROFS)]),
        ("noExec", [Ok(()), Ok(()), Err(Errno::EACCES), Ok(())]),
        ("noSUID,noATime", [Ok(()), Ok(()), Ok(()), Ok(())]),
        ("ro,noExec", [Ok(()), Err(Errno::EROFS), Err(Errno::EACCES), Err(Errno::EROFS)]),
    ];
    for (list, expected) in table {
        let flags = flags(list);
        assert_eq!([READ, WRITE, EXECUTE, TRUNCATE].map(|open| flags.permit_open(&open)), expected, "{list}");
    }
}

#[test]
fn what_the_server_says_comes_and_goes_and_the_mounts_own_stays() {
    let flags = flags("noExec");
    assert_eq!(flags.permit_change(), Ok(()));
    assert!(flags.take_up(MountFlags::parse("ro").unwrap(), false, 5));
    assert_eq!(flags.permit_change(), Err(Errno::EROFS));
    assert!(!flags.take_up(MountFlags::parse("ro,noExec").unwrap(), false, 6));
    assert!(flags.take_up(MountFlags::default(), false, 7));
    assert_eq!(flags.permit_change(), Ok(()));
    assert_eq!(flags.permit_open(&EXECUTE), Err(Errno::EACCES));
}

#[test]
fn older_word_that_arrives_later_is_passed_over() {
    let flags = flags("");
    flags.take_up(MountFlags::parse("ro").unwrap(), false, 8);
    assert!(!flags.take_up(MountFlags::default(), false, 7));
    assert_eq!(flags.permit_change(), Err(Errno::EROFS));
}

#[test]
fn callers_that_begin_or_cease_to_be_one_user_are_news() {
    let flags = flags("");
    assert!(!flags.has_fixed_identity());
    assert!(flags.take_up(MountFlags::default(), true, 5));
    assert!(flags.has_fixed_identity());
    assert!(!flags.take_up(MountFlags::default(), true, 6));
    assert!(!flags.take_up(MountFlags::default(), false, 5), "older");
    assert!(flags.has_fixed_identity());
    assert!(flags.take_up(MountFlags::default(), false, 7) && !flags.has_fixed_identity());
}

#[test]
fn set_id_bits_have_no_effect_where_callers_are_one_user() {
    let flags = flags("");
    flags.take_up(MountFlags::default(), true, 5);
    assert!(flags.current().no_suid);
    flags.take_up(MountFlags::default(), false, 6);
    assert!(!flags.current().no_suid);
}
