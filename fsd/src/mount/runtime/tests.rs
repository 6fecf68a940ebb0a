use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use ::tokio::task::{spawn_blocking, spawn_local, yield_now};

use super::*;

const BOTH: [Runtime; 2] = [Runtime::Tokio, Runtime::TokioUring];

/// Sets its flag when it is dropped.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn tasks_of_the_thread_run_and_are_dropped_with_the_future() {
    for runtime in BOTH {
        let host = Host::build(runtime).unwrap();
        let is_dropped = Rc::new(Cell::new(false));
        let kept = Dropped(Rc::clone(&is_dropped));
        let sum = host.block_on(async {
            drop(spawn_local(async move {
                std::future::pending::<()>().await;
                drop(kept);
            }));
            let local = spawn_local(async { Rc::new(1) });
            let other = ::tokio::spawn(async { 2 });
            let blocking = spawn_blocking(|| 4);
            yield_now().await;
            *local.await.unwrap() + other.await.unwrap() + blocking.await.unwrap()
        });
        assert_eq!((sum, is_dropped.get()), (7, true), "{runtime}");
        host.shut_down(Duration::from_secs(1));
    }
}

#[test]
fn timers_and_sockets_work_beside_the_ring() {
    for runtime in BOTH {
        let host = Host::build(runtime).unwrap();
        host.block_on(async {
            let begun = Instant::now();
            ::tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(begun.elapsed() >= Duration::from_millis(20), "{runtime}");
            let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
            two.set_nonblocking(true).unwrap();
            let two = ::tokio::net::UnixStream::from_std(two).unwrap();
            drop(std::thread::spawn(move || std::io::Write::write_all(&mut &one, b"x").unwrap()));
            two.readable().await.unwrap();
        });
        host.shut_down(Duration::from_secs(1));
    }
}

#[test]
fn stuck_blocking_work_is_left_behind_by_tokio() {
    let host = Host::build(Runtime::Tokio).unwrap();
    let (release, released) = std::sync::mpsc::channel::<()>();
    host.block_on(async {
        drop(spawn_blocking(move || released.recv()));
        yield_now().await;
    });
    let begun = Instant::now();
    host.shut_down(Duration::from_millis(50));
    assert!(begun.elapsed() < Duration::from_secs(5));
    drop(release);
}
