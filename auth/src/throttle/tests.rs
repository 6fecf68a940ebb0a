use super::*;

fn addr(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Fails until the source has to wait; how long.
fn waits(throttle: &Throttle, from: IpAddr, now: Instant) -> Duration {
    throttle.note_failure(from, now);
    throttle.permit(from, now).err().unwrap_or_default()
}

#[test]
fn wrong_tokens_cost_more_and_more_and_no_more_than_the_most() {
    let (throttle, now, from) = (Throttle::default(), Instant::now(), addr("203.0.113.1"));
    let waits: Vec<u128> = (0..30).map(|_| waits(&throttle, from, now).as_millis()).collect();
    assert!(waits[..10].iter().all(|wait| *wait == 0), "{waits:?}");
    assert_eq!(waits[10..18], [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
    assert_eq!(*waits.last().unwrap(), 30_000);
    assert_eq!(throttle.permit(addr("203.0.113.2"), now), Ok(()));
}

#[test]
fn asking_while_waiting_does_not_lengthen_the_wait() {
    let (throttle, now, from) = (Throttle::default(), Instant::now(), addr("203.0.113.1"));
    (0..14).for_each(|_| throttle.note_failure(from, now));
    assert_eq!(throttle.permit(from, now), Err(Duration::from_secs(2)));
    assert_eq!(throttle.permit(from, now + Duration::from_millis(1500)), Err(Duration::from_millis(500)));
    assert_eq!(throttle.permit(from, now + Duration::from_secs(2)), Ok(()));
}

#[test]
fn quiet_source_is_forgiven() {
    let (throttle, now, from) = (Throttle::default(), Instant::now(), addr("203.0.113.1"));
    (0..40).for_each(|_| throttle.note_failure(from, now));
    let later = now + FORGET * 2;
    assert_eq!(waits(&throttle, from, later), Duration::from_millis(250), "40 became 10, and one more");
    assert_eq!(waits(&throttle, from, later + FORGET * 10), Duration::ZERO);
}

#[test]
fn host_has_its_whole_network_to_answer_for() {
    let (throttle, now) = (Throttle::default(), Instant::now());
    for host in 0..40_u128 {
        throttle.note_failure(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | host)), now);
    }
    assert!(throttle.permit(addr("2001:db8::ffff"), now).is_err());
    assert_eq!(throttle.permit(addr("2001:db8:0:1::1"), now), Ok(()));
    (0..40).for_each(|_| throttle.note_failure(addr("::ffff:203.0.113.1"), now));
    assert!(throttle.permit(addr("203.0.113.1"), now).is_err());
}

#[test]
fn sources_stay_bounded_and_the_worst_are_remembered() {
    let (throttle, now, worst) = (Throttle::default(), Instant::now(), addr("203.0.113.1"));
    (0..40).for_each(|_| throttle.note_failure(worst, now));
    for number in 0..3 * SOURCES_MAX as u32 {
        throttle.note_failure(IpAddr::V4((0x0a00_0000 + number).into()), now);
    }
    assert!(throttle.sources().len() <= SOURCES_MAX);
    assert!(throttle.permit(worst, now).is_err());
    let throttle = Throttle::default();
    for number in 0..SOURCES_MAX as u32 + 1 {
        let later = now + Duration::from_micros(number.into());
        (0..11).for_each(|_| throttle.note_failure(IpAddr::V4((0x0a00_0000 + number).into()), later));
    }
    assert!((SOURCES_MAX / 2..=SOURCES_MAX).contains(&throttle.sources().len()));
}
