use super::*;

#[test]
fn stuck_threads_are_left_behind_and_the_others_waited_for() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let stuck = std::thread::spawn(move || released.recv().unwrap_or(()));
    let slow = std::thread::spawn(|| std::thread::sleep(Duration::from_millis(50)));
    let max = Duration::from_millis(500);
    let begun = Instant::now();
    assert_eq!(let_go([slow].into_iter(), Duration::from_secs(60)), 0);
    assert_eq!(let_go([stuck].into_iter(), max), 1);
    assert!(begun.elapsed() >= max && begun.elapsed() < Duration::from_secs(30));
    drop(release);
}
