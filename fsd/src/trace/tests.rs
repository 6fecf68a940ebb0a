use std::future::poll_fn;
use std::pin::pin;

use super::*;

const SUBJECT: Subject =
    Subject { operation: "fsync", ino: InodeId(7), began: Timespec { secs: 1000, nanos: 500_000_000 }, woken: None };

/// Runs `work` as a traced operation and returns its record.
async fn traced(work: impl Future<Output = ()>) -> SlowOperation {
    let mut work = pin!(work);
    let mut traced = Traced::new(&mut work);
    (&mut traced).await;
    traced.finish(SUBJECT).record(Instant::now(), None)
}

async fn sleep(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

#[tokio::test]
async fn stages_are_noted_in_the_order_they_began_with_those_inside_behind() {
    let record = traced(async {
        stage(Stage::Turn, sleep(5)).await;
        stage(Stage::Blocks, async {
            sleep(5).await;
            stage(Stage::Store, sleep(10)).await;
        })
        .await;
        sleep(5).await;
    })
    .await;
    let stages: Vec<Stage> = record.stages.iter().map(|time| time.stage).collect();
    assert_eq!(stages, [Stage::Turn, Stage::Blocks, Stage::Store]);
    let [turn, blocks, store] = record.stages.as_slice() else { panic!("{record:?}") };
    assert!(turn.took >= 5000 && blocks.took >= 15_000 && store.took >= 10_000, "{record:?}");
    assert!(blocks.at >= turn.at + turn.took && store.at >= blocks.at + 5000, "{record:?}");
    assert!(record.total >= blocks.at + blocks.took + 5000, "{record:?}");
    assert_eq!((record.operation.as_str(), record.inode, record.began), ("fsync", 7, 1000.5));
}

#[tokio::test]
async fn what_need_not_wait_is_not_noted() {
    let record = traced(async {
        stage(Stage::Blocks, async {}).await;
        stage(Stage::Turn, sleep(1)).await;
    })
    .await;
    assert_eq!(record.stages.len(), 1);
    // Without a trace there is nowhere to note it.
    stage(Stage::Turn, sleep(1)).await;
    CURRENT.with_borrow(|current| assert!(current.is_none()));
}

#[tokio::test]
async fn operations_that_wait_at_once_keep_their_stages_apart() {
    let one = traced(async {
        stage(Stage::Turn, sleep(20)).await;
    });
    let other = traced(async {
        stage(Stage::Upload, sleep(5)).await;
        stage(Stage::Room, sleep(5)).await;
    });
    let (one, other) = tokio::join!(one, other);
    assert_eq!(one.stages.iter().map(|time| time.stage).collect::<Vec<_>>(), [Stage::Turn]);
    assert_eq!(other.stages.iter().map(|time| time.stage).collect::<Vec<_>>(), [Stage::Upload, Stage::Room]);
}

#[tokio::test]
async fn stages_are_bounded() {
    let record = traced(async {
        for _ in 0..2 * STAGES_MAX {
            stage(Stage::Turn, tokio::task::yield_now()).await;
        }
    })
    .await;
    assert_eq!(record.stages.len(), STAGES_MAX);
}

#[tokio::test]
async fn call_says_what_the_server_took() {
    let record = traced(async {
        let begin = Instant::now();
        let mut polls = 0;
        poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls > 2 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        note(Stage::Call, begin, |time| {
            (time.request, time.server, time.disk) = (Some("commit"), 30, 20);
        });
    })
    .await;
    let time = &record.stages[0];
    assert_eq!((time.stage, time.request.as_deref(), time.server, time.disk), (Stage::Call, Some("commit"), 30, 20));
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<SlowOperation>(&json).unwrap(), record);
}
