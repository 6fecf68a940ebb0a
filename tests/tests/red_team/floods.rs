//! Floods: what a peer can make the server hold, and whether others notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use proto::limits::MESSAGE_MAX;
use proto::{Caller, Errno, Greeting, InodeId, Refused, Reply, Request, RequestFrame, XattrMode, codec};
use quinn::{RecvStream, SendStream, TransportConfig};
use tests::{Cluster, Flags, RawPeer, WireClient};

use super::stage::{Hands, Stage, name};

/// A peer with the token of the stage's volume that is let in.
async fn admitted(stage: &Stage, config: TransportConfig) -> RawPeer {
    admitted_with(&stage.volume.token, &stage.cluster, config).await
}

async fn admitted_with(token: &str, cluster: &Cluster, config: TransportConfig) -> RawPeer {
    let peer = RawPeer::connect(cluster, config).await;
    assert!(matches!(peer.greet(&WireClient::hello(token)).await, Greeting::Welcome(_)));
    peer
}

/// An honest session at work on a thread of its own.
struct Bystander {
    stop: Arc<AtomicBool>,
    work: JoinHandle<Vec<Duration>>,
}

impl Bystander {
    fn start(stage: &Stage) -> Self {
        Self::with_token(stage, &stage.volume.token)
    }

    fn with_token(stage: &Stage, token: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&stop);
        let (addr, token) = (stage.cluster.meta_addr().to_owned(), token.to_owned());
        let work = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(go_on(&addr, &token, &asked))
        });
        Self { stop, work }
    }

    /// It went on all the time: never was an operation held up for long.
    fn was_unharmed(self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut times = self.work.join().expect("no operation failed");
        times.sort_unstable();
        let (middle, last) = (times[times.len() / 2], times[times.len() - 1]);
        eprintln!("bystander: {} rounds, median {middle:?}, slowest {last:?}", times.len());
        assert!(times.len() > 20, "{} rounds", times.len());
        assert!(middle < Duration::from_millis(250) && last < Duration::from_secs(5), "{middle:?} {last:?}");
    }
}

/// Makes and removes a file again and again, asks for a long answer and with a long request; how long each round took.
async fn go_on(addr: &str, token: &str, stop: &AtomicBool) -> Vec<Duration> {
    let mut client = WireClient::open_at(addr, token).await;
    let kept = client.create(InodeId::ROOT, "kept beside", 0o644).await;
    let set = |len| {
        let value = Bytes::from(vec![b'x'; len]);
        Request::SetXattr { ino: kept, name: "user.long".into(), value, mode: XattrMode::Any }
    };
    client.done(set(20 << 10)).await;
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let begin = Instant::now();
        client.create(InodeId::ROOT, "beside", 0o644).await;
        client.done(Request::Unlink { parent: InodeId::ROOT, name: name("beside") }).await;
        let read = client.done(Request::GetXattr { ino: kept, name: "user.long".into() }).await;
        assert!(matches!(read, Reply::Value(value) if value.len() == 20 << 10));
        // Refused, so that the database does not grow by it.
        assert_eq!(client.ask(set(80 << 10)).await, Err(Refused::Error(Errno::E2BIG)));
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
        assert!((122..=128).contains(&held.len()), "{} requests in flight", held.len());
        send_to_all(&mut held, &bytes, Duration::from_secs(10)).await;
    })
    .await;
    eprintln!("grown by {} MiB", grown >> 20);
    assert!(grown < 48 << 20, "one connection took {} MiB", grown >> 20);
    beside.was_unharmed();
}

#[tokio::test]
async fn crowd_of_an_account_that_asks_at_length_leaves_memory_and_turns_to_others() {
    let stage = Stage::set().await;
    let account = stage.cluster.configure(&["create", "account", "--name", "lab"])["id"].as_str().unwrap().to_owned();
    let theirs = stage.cluster.create_volume("theirs", &["--accountID", &account]);
    let beside = Bystander::with_token(&stage, &theirs.token);
    let tokens: Vec<_> = (0..6).map(|_| stage.cluster.create_token(&stage.volume, "/", "")).collect();
    let bytes = vec![0; MESSAGE_MAX];
    let grown = growth(&stage, async {
        let peers = (0..48).map(async |number| {
            let peer = admitted_with(&tokens[number % tokens.len()], &stage.cluster, TransportConfig::default()).await;
            let mut held = begin_all(&peer).await;
            send_to_all(&mut held, &bytes, Duration::from_secs(8)).await;
            (peer, held)
        });
        futures_util::future::join_all(peers).await;
    })
    .await;
    eprintln!("grown by {} MiB", grown >> 20);
    assert!(grown < 320 << 20, "48 connections took {} MiB", grown >> 20);
    beside.was_unharmed();
}

#[tokio::test]
async fn who_has_no_turn_gets_short_pages_at_once() {
    let meta = ["--threads", "1"].map(str::to_owned).to_vec();
    let cluster = Cluster::start_with(Flags { meta, ..Flags::default() });
    let volume = cluster.create_volume("stage", &[]);
    let mut client = WireClient::open(&cluster, &volume.token).await;
    let dir = client.make_dir(InodeId::ROOT, "listed", 0o755).await;
    for number in 0..200 {
        client.make_dir(dir, &format!("{number}-{}", "n".repeat(200)), 0o755).await;
    }
    let list = Request::ReadDir { ino: dir, offset: 0, bytes_max: 256 << 10, attrs: false };
    let page = async |client: &mut WireClient| match client.done(list.clone()).await {
        Reply::Names { records, .. } => records.len(),
        other => panic!("{other:?}"),
    };
    assert!(page(&mut client).await > 40_000, "a long page");
    // Requests that begin, long ones, and never go on: they have all the turns that their token can have.
    let mut peers = Vec::new();
    for _ in 0..4 {
        peers.push(admitted_with(&volume.token, &cluster, TransportConfig::default()).await);
    }
    let (begin, half) = (Instant::now(), vec![0; 20 << 10]);
    let mut held = Vec::new();
    let mut shortest = usize::MAX;
    while shortest > 8 << 10 && begin.elapsed() < Duration::from_secs(15) {
        for peer in &peers {
            for _ in 0..8 {
                if let Ok(Some(mut stream)) = tokio::time::timeout(Duration::from_millis(5), peer.begin()).await {
                    let _ = stream.0.write_all(&half).await;
                    held.push(stream);
                }
            }
        }
        let asked = Instant::now();
        shortest = shortest.min(page(&mut client).await);
        assert!(asked.elapsed() < Duration::from_secs(1), "waited for {:?}", asked.elapsed());
    }
    assert!((1..=8 << 10).contains(&shortest), "the shortest page has {shortest} bytes");
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
    beside.was_unharmed();
}

#[tokio::test]
async fn requests_that_trickle_are_dropped_and_streams_are_counted() {
    let stage = Stage::set().await;
    let beside = Bystander::start(&stage);
    let peer = admitted(&stage, TransportConfig::default()).await;
    let mut held = begin_all(&peer).await;
    let begin = Instant::now();
    // A byte of a request that would be good at last, every half second on each stream.
    while begin.elapsed() < Duration::from_secs(23) {
        send_to_all(&mut held, &[0], Duration::from_millis(400)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut dropped = 0;
    for (send, _) in &mut held {
        dropped += usize::from(send.stopped().now_or_never().is_some());
    }
    assert_eq!(dropped, held.len(), "twenty seconds are all that a request has");
    // Its places are free again: the same peer can ask as before.
    assert!(!peer.is_closed());
    drop(held);
    assert!(begin_all(&peer).await.len() >= 122);
    beside.was_unharmed();
}

#[tokio::test]
async fn long_requests_that_trickle_lose_their_turns() {
    let stage = Stage::set().await;
    let beside = Bystander::with_token(&stage, &stage.cluster.create_token(&stage.volume, "/", ""));
    let mut peers = Vec::new();
    let mut held = Vec::new();
    // More of them than their token has turns.
    for _ in 0..12 {
        let peer = admitted(&stage, TransportConfig::default()).await;
        for _ in 0..8 {
            held.push(peer.begin().await.expect("a stream"));
        }
        peers.push(peer);
    }
    let begin = Instant::now();
    send_to_all(&mut held, &[0; 17 << 10], Duration::from_secs(2)).await;
    while begin.elapsed() < Duration::from_secs(27) {
        send_to_all(&mut held, &[0], Duration::from_millis(50)).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ended = held.iter_mut().filter_map(|(send, _)| send.stopped().now_or_never()).count();
    assert_eq!(ended, held.len(), "five seconds to wait, and twenty for a turn, are all that a long request has");
    beside.was_unharmed();
}

#[tokio::test]
async fn streams_by_the_thousand_and_resets_disturb_nobody() {
    let stage = Stage::set().await;
    let beside = Bystander::start(&stage);
    let peer = admitted(&stage, TransportConfig::default()).await;
    let request = Request::GetAttr { ino: InodeId::ROOT };
    let frame = codec::encode(&RequestFrame { operation: None, caller: Caller::ROOT, request });
    let (begin, mut round) = (Instant::now(), 0);
    let grown = growth(&stage, async {
        while begin.elapsed() < Duration::from_secs(5) {
            round += 1;
            let Some((mut send, mut receive)) = peer.begin().await else { panic!("the connection is gone") };
            let _ = send.write_all(&frame).await;
            match round % 3 {
                0 => drop(send.finish()),
                1 => drop(send.reset(7_u32.into())),
                _ => drop(receive.stop(7_u32.into())),
            }
        }
    })
    .await;
    assert!(grown < 64 << 20, "one connection took {} MiB", grown >> 20);
    eprintln!("{round} streams, grown by {} MiB", grown >> 20);
    assert!(round > 5000, "{round} streams");
    assert!(!peer.is_closed());
    beside.was_unharmed();
}

#[tokio::test]
async fn connections_that_never_greet_are_let_go_and_keep_nobody_out() {
    let stage = Stage::set().await;
    let beside = Bystander::start(&stage);
    let half = codec::encode(&WireClient::hello(&stage.volume.token));
    let grown = growth(&stage, async {
        let mut peers = Vec::new();
        for number in 0..200 {
            let peer = RawPeer::connect(&stage.cluster, TransportConfig::default()).await;
            let (mut send, receive) = peer.begin().await.expect("one stream is everybody's");
            send.write_all(&half[..number % half.len()]).await.unwrap();
            peers.push((peer, send, receive));
        }
        // Another greets in between and is let in.
        drop(admitted(&stage, TransportConfig::default()).await);
        tokio::time::sleep(Duration::from_secs(12)).await;
        let left = peers.iter().filter(|(peer, ..)| !peer.is_closed()).count();
        assert_eq!(left, 0, "ten seconds are all that a greeting has");
    })
    .await;
    assert!(grown < 64 << 20, "200 connections took {} MiB", grown >> 20);
    beside.was_unharmed();
}
