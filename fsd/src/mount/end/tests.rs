use super::*;

#[test]
fn mount_is_over_with_its_last_thread_even_if_it_panics() {
    let end = Arc::new(End::default());
    let (first, second) = (end.on_duty(), end.on_duty());
    drop(first);
    assert_eq!(end.state().ended, None);
    let panicking = std::thread::spawn(move || {
        let _on_duty = second;
        panic!("on purpose");
    });
    assert_eq!(end.wait(), Ended::Unmounted);
    assert!(panicking.join().is_err());
}

#[test]
fn end_of_the_session_is_what_counts_when_it_came_first() {
    let end = Arc::new(End::default());
    let on_duty = end.on_duty();
    end.set(Ended::SessionEnded("token deleted".into()));
    drop(on_duty);
    assert_eq!(end.wait(), Ended::SessionEnded("token deleted".into()));
}
