use std::time::{Duration, Instant};

use super::*;

#[test]
fn name_with_blanks_and_brackets_does_not_shift_the_fields() {
    let stat = "42 (a (b) c) S 1 42 42 0 -1 4194560 1 2 3 4 250 50 7 8 20 0 4 0 100 1 1";
    assert_eq!(ticks_of(stat), Some(300));
    assert_eq!(ticks_of("42 (cut"), None);
    assert_eq!(ticks_of("42 (cut) S 1"), None);
}

#[test]
fn peak_is_read_in_bytes() {
    assert_eq!(peak("Name:\tx\nVmPeak:\t  99 kB\nVmHWM:\t    12 kB\nVmRSS:\t 8 kB\n"), Some(12 << 10));
    assert_eq!(peak("Name:\tkthread\n"), None);
}

#[test]
fn work_of_a_process_shows_and_a_process_that_is_gone_uses_nothing() {
    let watched = vec![
        Watched { name: "self".to_owned(), pid: std::process::id() },
        Watched { name: "gone".to_owned(), pid: u32::MAX },
    ];
    let reading = Reading::begin(watched);
    let before = own_cpu();
    let memory = vec![1_u8; 64 << 20];
    while own_cpu() - before < 0.1 {
        std::hint::black_box(&memory);
    }
    let usage = reading.end();
    assert!(usage.cpu_seconds["self"] >= 0.05, "{usage:?}");
    assert!(usage.rss_peak["self"] >= 64 << 20, "{usage:?}");
    assert!(own_peak() >= 64 << 20);
    assert!(!usage.cpu_seconds.contains_key("gone") && !usage.rss_peak.contains_key("gone"));
}

#[test]
fn named_threads_are_parts_of_their_process() {
    let name = "fsd-7".to_owned();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let busy = std::thread::Builder::new().name(name).spawn(move || {
        let end = Instant::now() + Duration::from_secs(20);
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) && Instant::now() < end {}
    });
    let pid = std::process::id();
    let spent = || parts(pid).iter().filter(|(part, _)| part == "fsd").map(|(_, seconds)| seconds).sum::<f64>();
    let end = Instant::now() + Duration::from_secs(10);
    while spent() < 0.02 && Instant::now() < end {
        std::thread::yield_now();
    }
    assert!(spent() >= 0.02);
    drop(stop);
    busy.unwrap().join().unwrap();
}
