use super::*;

fn addr(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn one_source_is_told_of_ten_times_a_minute_and_hides_no_other() {
    let begin = Instant::now();
    let mut telling = Telling::new(begin);
    let told = (0..50).filter(|_| telling.may_tell(addr(1), begin)).count();
    assert_eq!((told, telling.take_untold(), telling.take_untold()), (10, 40, 0));
    assert!(telling.may_tell(addr(2), begin));
    assert!(telling.may_tell(addr(1), begin + MINUTE));
}

#[test]
fn many_sources_are_bounded_together() {
    let begin = Instant::now();
    let mut telling = Telling::new(begin);
    let told = (0..250).filter(|last| telling.may_tell(addr(*last), begin)).count();
    assert_eq!((told, telling.of.len(), telling.take_untold()), (60, 60, 190));
}
