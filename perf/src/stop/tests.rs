use super::*;

#[test]
fn nothing_stops_until_something_does() {
    let stop = Stop::default();
    stop.check().unwrap();
    stop.sleep(Duration::from_millis(1)).unwrap();
    stop.note("SIGTERM");
    assert_eq!(stop.check().unwrap_err().to_string(), "ended by SIGTERM");
    assert!(stop.sleep(Duration::from_secs(60)).is_err());
}

#[test]
fn only_what_is_still_there_is_taken_away() {
    let (send, receive) = mpsc::channel();
    let note = |name: &'static str| {
        let send = send.clone();
        LastResort::new(move || send.send(name).unwrap())
    };
    let (first, gone, last) = (note("first"), note("gone"), note("last"));
    drop(gone);
    last_resort();
    assert_eq!(receive.try_iter().collect::<Vec<_>>(), ["last", "first"]);
    drop((first, last));
    last_resort();
    assert_eq!(receive.try_iter().count(), 0);
}
