//! Floods: what a peer can make the server hold, and whether others notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::limits::MESSAGE_MAX;
use proto::{Caller, Greeting, InodeId, Reply, Request, RequestFrame, XattrMode, codec};
use quinn::{RecvStream, SendStream, TransportConfig};
use tests::{RawPeer, WireClient};

use super::stage::{Hands, Stage, name};

/// A peer with the token of the stage's volume that is let in.
async fn admitted(stage: &Stage, config: TransportConfig) -> RawPeer {
    let peer = RawPeer::connect(&stage.cluster, config).await;
    assert!(matches!(peer.greet(&WireClient::hello(&stage.volume.token)).await, Greeting::Welcome(_)));
    peer
}

/// An honest session at work on a thread of its own.
struct Bystander {
    stop: Arc<AtomicBool>,
    work: JoinHandle<Vec<Duration>>,
}

impl Bystander {
    fn start(stage: &Stage) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let (addr, token) = (stage.cluster.meta_addr().to_owned(), stage.volume.token.clone());
        let work = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(go_on(&addr, &token, &asked))
        });
        Self { stop, work }
    }

    /// It went on all the time: never was an operation held up for long.
    fn is_unharmed(self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.work.join().expect("no operation failed");
        times.sort_unstable();
        assert!(times.len() > 20, "{} rounds", times.len());
        let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!("bystander: {} rounds, median {middle:?}, slowest {last:?}", times.len());
        assert!(middle < Duration::from_millis(250) && last < Duration::from_secs(5), "{middle:?} {last:?}");
    }
}

/// Makes and removes a file again and again; how long each round took.
async fn go_on(addr: &str, token: &str, stop: &AtomicBool) -> Vec<Duration> {
    let mut client = WireClient::open_at(addr, token).await;
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        client.create(InodeId::ROOT, "beside", 0o644).await;
        client.done(Request::Unlink { parent: InodeId::ROOT, name: name("beside") }).await;
        times.push(begin.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times
}

/// The most memory the server takes while `attack` goes on, less what it had before, in bytes.
async fn growth(stage: &Stage, attack: impl Future<Output = ()>) -> u64 {
    let before = stage.memory();
    let mut most = before;
    tokio::pin!(attack);
    loop {
        tokio::select! {
            () = &mut attack => return most.saturating_sub(before),
            () = tokio::time::sleep(Duration::from_millis(50)) => most = most.max(stage.memory()),
        }
    }
}

/// Begins as many requests as the server allows at once.
async fn begin_all(peer: &RawPeer) -> Vec<(SendStream, RecvStream)> {
    let mut held = Vec::new();
    while let Ok(Some(stream)) = tokio::time::timeout(Duration::from_secs(1), peer.begin()).await {
        held.push(stream);
    }
    held
}

/// Sends `bytes` on each of the streams side by side, as far as the server takes them in `time`.
async fn send_to_all(held: &mut [(SendStream, RecvStream)], bytes: &[u8], time: Duration) {
    let send = async |send: &mut SendStream| drop(tokio::time::timeout(time, send.write_all(bytes)).await);
    futures_util::future::join_all(held.iter_mut().map(|(stream, _)| send(stream))).await;
}

#[tokio::test]
async fn requests_that_never_end_take_little_memory_and_end_all_the_same() {
    let stage = Stage::set().await;
    let beside = Bystander::start(&stage);
    let peer = admitted(&stage, TransportConfig::default()).await;
    let bytes = vec![0; MESSAGE_MAX];
    let grown = growth(&stage, async {
        let mut held = begin_all(&peer).await;
        assert!((250..=256).contains(&held.len()), "{} requests in flight", held.len());
        send_to_all(&mut held, &bytes, Duration::from_secs(10)).await;
    })
    .await;
    eprintln!("grown by {} MiB", grown >> 20);
    assert!(grown < 128 << 20, "one connection took {} MiB", grown >> 20);
    beside.is_unharmed();
}

#[tokio::test]
async fn answers_that_nobody_reads_take_little_memory() {
    let mut stage = Stage::set().await;
    let beside = Bystander::start(&stage);
    let ino = stage.things.secret;
    let value = Bytes::from(vec![b'x'; 60 << 10]);
    stage.honest.done(Request::SetXattr { ino, name: "user.long".into(), value, mode: XattrMode::Any }).await;
    let mut config = TransportConfig::default();
    config.receive_window(1024_u32.into()).stream_receive_window(64_u32.into());
    let peer = RawPeer::connect(&stage.cluster, config).await;
    // It takes the whole greeting, and then no more than some bytes of each answer.
    assert!(matches!(peer.greet(&WireClient::hello(&stage.volume.token)).await, Greeting::Welcome(_)));
    let request = Request::GetXattr { ino, name: "user.long".into() };
    let frame = codec::encode(&RequestFrame { operation: None, caller: Caller::ROOT, request });
    let grown = growth(&stage, async {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(6);
        let mut held = Vec::new();
        while let Ok(Some((mut send, receive))) = tokio::time::timeout_at(deadline, peer.begin()).await {
            send.write_all(&frame).await.unwrap();
            send.finish().unwrap();
            held.push(receive);
        }
        assert!(held.len() < 600, "{} answers wait", held.len());
    })
    .await;
    eprintln!("grown by {} MiB", grown >> 20);
    assert!(grown < 64 << 20, "one connection took {} MiB", grown >> 20);
    let Reply::Entry(_) = stage.honest.done(Request::GetAttr { ino }).await else { panic!("an entry") };
    beside.is_unharmed();
}
