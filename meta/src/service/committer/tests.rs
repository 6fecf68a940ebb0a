use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;

struct SlowDisk {
    flushes: AtomicU32,
    outcome: Result<(), Errno>,
}

impl Flush for SlowDisk {
    fn flush(&self) -> Result<(), Errno> {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(20));
        self.outcome
    }
}

fn disk(outcome: Result<(), Errno>) -> Arc<SlowDisk> {
    Arc::new(SlowDisk { flushes: AtomicU32::new(0), outcome })
}

#[tokio::test]
async fn hundred_waiters_share_a_few_flushes() {
    let committer = Committer::start().unwrap();
    let disk = disk(Ok(()));
    let waits = (0..100).map(|_| committer.flushed(Arc::clone(&disk) as Arc<dyn Flush>));
    for outcome in futures_util::future::join_all(waits).await {
        assert_eq!(outcome, Ok(()));
    }
    let flushes = disk.flushes.load(Ordering::SeqCst);
    assert!((1..=3).contains(&flushes), "{flushes} flushes");
}

#[tokio::test]
async fn failing_disk_is_told_to_its_own_waiters_only() {
    let committer = Committer::start().unwrap();
    let (good, bad) = (disk(Ok(())), disk(Err(Errno::EIO)));
    let (one, two) = tokio::join!(committer.flushed(good), committer.flushed(bad));
    assert_eq!((one, two), (Ok(()), Err(Errno::EIO)));
}
