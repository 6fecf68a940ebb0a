use std::sync::{Arc, OnceLock};

use super::*;
use crate::client::{Connection, Dialer};
use crate::tls::{Fingerprint, Trust};

struct World {
    _folder: tempfile::TempDir,
    addr: SocketAddr,
    fingerprint: Fingerprint,
}

/// A listener on loopback that the test serves.
fn listener(connections_max: usize) -> (World, Listener) {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::load_or_create(&folder.path().join("cert"), &folder.path().join("key")).unwrap();
    let socket = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let addr = socket.local_addr().unwrap();
    let listener = Listener::new(socket, &identity, connections_max).unwrap();
    (World { _folder: folder, addr, fingerprint: identity.fingerprint() }, listener)
}

/// A server on loopback that answers every call with its request reversed.
fn echo_server(connections_max: usize) -> World {
    let (world, listener) = listener(connections_max);
    tokio::spawn(async move {
        while let Some(arrival) = listener.accept().await {
            tokio::spawn(async move {
                let mut peer = arrival.establish().await?;
                peer.admit(ONE);
                while let Ok(mut call) = peer.accept().await {
                    tokio::spawn(async move {
                        let mut request = call.request(MESSAGE_MAX).await?.to_vec();
                        request.reverse();
                        call.reply(request.into()).await
                    });
                }
                Ok::<(), CallError>(())
            });
        }
    });
    world
}

impl World {
    async fn connection(&self) -> Result<(Dialer, Connection), TransportError> {
        let dialer = Dialer::new(self.addr, &Trust::Pinned(self.fingerprint))?;
        let connection = dialer.connect(self.addr).await?;
        Ok((dialer, connection))
    }
}

const ONE: Holder = Holder { account: 1, token: 1 };
const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn event_is_told_when_the_peer_drops_its_receipt() {
    let (world, listener) = listener(100);
    let greeted = async { listener.accept().await.unwrap().establish().await.unwrap() };
    let (peer, connected) = tokio::join!(greeted, world.connection());
    let (_dialer, connection) = connected.unwrap();
    let telling = tokio::spawn(async move { peer.tell(b"news").await });
    let (event, receipt) = connection.next_event().await.unwrap();
    assert_eq!(&event[..], b"news");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!telling.is_finished(), "the peer has not acted on it yet");
    drop(receipt);
    assert_eq!(tokio::time::timeout(SOON, telling).await.unwrap().unwrap(), Ok(()));
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let world = echo_server(100);
    let dialer = Dialer::new(world.addr, &Trust::Pinned(world.fingerprint)).unwrap();
    let connection = dialer.connect(world.addr).await.unwrap();
    let large = vec![7; MESSAGE_MAX];
    let (one, two) = tokio::join!(connection.call(b"abc", SOON), connection.call(&large, SOON));
    assert_eq!(&one.unwrap()[..], b"cba");
    assert_eq!(two.unwrap(), large);
}

#[tokio::test]
async fn oversized_request_fails_alone() {
    let world = echo_server(100);
    let dialer = Dialer::new(world.addr, &Trust::Pinned(world.fingerprint)).unwrap();
    let connection = dialer.connect(world.addr).await.unwrap();
    assert!(connection.call(&vec![0; MESSAGE_MAX + 1], SOON).await.is_err());
    assert_eq!(&connection.call(b"ab", SOON).await.unwrap()[..], b"ba");
}

#[tokio::test]
async fn peer_sends_no_more_than_a_greeting_until_it_is_admitted() {
    let (world, listener) = listener(100);
    let greeted = async { listener.accept().await.unwrap().establish().await.unwrap() };
    let (mut peer, connected) = tokio::join!(greeted, world.connection());
    let (_dialer, connection) = connected.unwrap();
    for _ in 0..3 {
        let connection = connection.clone();
        tokio::spawn(async move { connection.call(&[7; 1 << 20], SOON).await });
    }
    let mut first = peer.accept().await.unwrap();
    let another = tokio::time::timeout(Duration::from_millis(200), peer.accept()).await;
    assert!(another.is_err(), "a second call before the peer is admitted");
    let received = peer.connection.stats().udp_rx.bytes;
    assert!(received < 64 << 10, "{received} bytes");
    peer.admit(ONE);
    assert_eq!(first.request(MESSAGE_MAX).await, Err(CallError::TooLarge), "what a stranger began stays short");
    for _ in 0..2 {
        let mut call = tokio::time::timeout(SOON, peer.accept()).await.unwrap().unwrap();
        assert_eq!(call.request(MESSAGE_MAX).await.unwrap().len(), 1 << 20);
    }
}

#[tokio::test]
async fn peer_that_has_to_prove_its_address_connects_all_the_same() {
    let (world, listener) = listener(100);
    let received = async {
        let unproven = listener.accept().await.unwrap();
        assert!(unproven.prove_address().is_none(), "its first packet proves nothing");
        let proven = listener.accept().await.unwrap().prove_address().expect("it came with a proof");
        proven.establish().await.unwrap()
    };
    let (_peer, connected) = tokio::join!(received, world.connection());
    connected.unwrap();
}

#[tokio::test]
async fn peer_that_was_left_without_an_answer_knocks_again_soon() {
    let (world, listener) = listener(100);
    let received = async {
        listener.accept().await.unwrap().ignore();
        listener.accept().await.unwrap().establish().await.unwrap()
    };
    let begin = tokio::time::Instant::now();
    let (_peer, connected) = tokio::join!(received, world.connection());
    connected.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(900), "{:?}", begin.elapsed());
}

#[tokio::test]
async fn sockets_of_both_ends_hold_a_burst() {
    let socket = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let granted = rustix::net::sockopt::socket_recv_buffer_size(&socket.socket).unwrap();
    let usual: usize = std::fs::read_to_string("/proc/sys/net/core/rmem_default").unwrap().trim().parse().unwrap();
    assert!(granted > usual, "{granted} bytes");
}

#[tokio::test]
async fn full_listener_refuses_until_somebody_leaves() {
    let world = echo_server(2);
    let (one, _two) = (world.connection().await.unwrap(), world.connection().await.unwrap());
    assert!(world.connection().await.is_err());
    one.1.close("done");
    let deadline = tokio::time::Instant::now() + SOON;
    while world.connection().await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "the place of a closed connection is free again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused() {
    let (world, other) = (echo_server(100), echo_server(100));
    let dialer = Dialer::new(world.addr, &Trust::Pinned(other.fingerprint)).unwrap();
    let error = dialer.connect(world.addr).await.unwrap_err().to_string();
    assert!(error.contains("pinned is"), "{error}");
}

#[tokio::test]
async fn first_use_tells_the_fingerprint() {
    let world = echo_server(100);
    let seen = Arc::new(OnceLock::new());
    let dialer = Dialer::new(world.addr, &Trust::FirstUse(Arc::clone(&seen))).unwrap();
    dialer.connect(world.addr).await.unwrap();
    assert_eq!(seen.get(), Some(&world.fingerprint));
}

#[tokio::test]
async fn nobody_there_is_said_within_seconds() {
    let addr = "127.0.0.1:9".parse().unwrap();
    let dialer = Dialer::new(addr, &Trust::FirstUse(Arc::default())).unwrap();
    let error = dialer.connect(addr).await.unwrap_err().to_string();
    assert!(error.contains("127.0.0.1:9"), "{error}");
}

#[test]
fn taken_port_is_refused_though_sockets_share_ports() {
    let sockets = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
    let addr = sockets[0].local_addr().unwrap();
    assert_eq!(sockets[1].local_addr().unwrap(), addr);
    assert!(matches!(bind(addr, 1), Err(TransportError::Bind { .. })));
}

/// Serves on a runtime of its own until the sender is dropped, then vanishes without a word, as a killed process does.
fn doomed_server(socket: ServerSocket, identity: Identity) -> tokio::sync::oneshot::Sender<()> {
    let (alive, death) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(async {
            let listener = Listener::new(socket, &identity, 10).unwrap();
            tokio::select! {
                _ = death => {}
                () = echo(&listener) => {}
            }
            listener
        });
        // The runtime goes first: with it, connections would say goodbye.
        runtime.shutdown_background();
        drop(listener);
    });
    alive
}

async fn echo(listener: &Listener) {
    while let Some(arrival) = listener.accept().await {
        tokio::spawn(async move {
            let peer = arrival.establish().await?;
            while let Ok(mut call) = peer.accept().await {
                let request = call.request(MESSAGE_MAX).await?;
                call.reply(request).await?;
            }
            Ok::<(), CallError>(())
        });
    }
}

#[tokio::test]
async fn restarted_server_tells_the_peers_of_the_former_process_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let identity = || Identity::load_or_create(&folder.path().join("cert"), &folder.path().join("key")).unwrap();
    let socket = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let addr = socket.local_addr().unwrap();
    let alive = doomed_server(socket, identity());
    let dialer = Dialer::new(addr, &Trust::Pinned(identity().fingerprint())).unwrap();
    let connection = dialer.connect(addr).await.unwrap();
    assert_eq!(&connection.call(b"hello", SOON).await.unwrap()[..], b"hello");
    drop(alive);
    let socket = loop {
        match bind(addr, 1) {
            Ok(mut sockets) => break sockets.remove(0),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    };
    let _alive = doomed_server(socket, identity());
    // Without a word of the new process the call would wait for its deadline.
    assert_eq!(connection.call(b"again", SOON).await, Err(CallError::Lost));
}

#[tokio::test]
async fn long_calls_take_turns_and_short_ones_pass_them() {
    let (world, listener) = listener(100);
    let greeted = async { listener.accept().await.unwrap().establish().await.unwrap() };
    let (mut peer, connected) = tokio::join!(greeted, world.connection());
    let (_dialer, connection) = connected.unwrap();
    let connection = connection.without_manners();
    peer.admit(ONE);
    let ask = async |len: usize| {
        let connection = connection.clone();
        tokio::spawn(async move { connection.call(&vec![7; len], SOON).await });
        peer.accept().await.unwrap()
    };
    let mut long = Vec::new();
    for _ in 0..quic::LONG_CALLS_MAX {
        let mut call = ask(MESSAGE_MAX).await;
        assert_eq!(call.request(MESSAGE_MAX).await.unwrap().len(), MESSAGE_MAX);
        long.push(call);
    }
    let mut one_more = ask(SHORT_MAX + 1).await;
    {
        let reading = one_more.request(MESSAGE_MAX);
        tokio::pin!(reading);
        assert!(tokio::time::timeout(Duration::from_millis(200), &mut reading).await.is_err(), "it has no turn");
        let mut short = ask(100).await;
        assert_eq!(short.request(MESSAGE_MAX).await.unwrap().len(), 100);
        assert!(!short.may_answer(SHORT_MAX + 1) && short.may_answer(SHORT_MAX));
        assert!(tokio::time::timeout(Duration::from_millis(200), short.take_turn()).await.is_err());
        short.reply("short".into()).await.unwrap();
        long.pop().unwrap().reply("long".into()).await.unwrap();
        assert_eq!(reading.await.unwrap().len(), SHORT_MAX + 1);
    }
}

#[tokio::test]
async fn long_calls_that_are_many_go_through_one_after_the_other() {
    let world = echo_server(100);
    let (_dialer, connection) = world.connection().await.unwrap();
    let large = vec![7; MESSAGE_MAX];
    let calls = (0..100).map(|_| connection.call(&large, Duration::from_secs(60)));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap().len(), MESSAGE_MAX);
    }
}

#[tokio::test]
async fn who_waits_for_a_turn_stops_when_its_peer_is_gone_and_after_a_while() {
    let (world, listener) = listener(100);
    let arrive = async || {
        let greeted = async { listener.accept().await.unwrap().establish().await.unwrap() };
        let (mut peer, connected) = tokio::join!(greeted, world.connection());
        peer.admit(ONE);
        (peer, connected.unwrap())
    };
    // All turns that the token can have.
    let mut busy = Vec::new();
    for _ in 0..4 {
        let (peer, kept) = arrive().await;
        let admitted = peer.admitted.clone().unwrap();
        busy.push((kept, std::iter::from_fn(|| admitted.turns.turn_now()).collect::<Vec<_>>()));
    }
    let (peer, (_dialer, connection)) = arrive().await;
    let ask = async || {
        let connection = connection.clone();
        let asking = tokio::spawn(async move { connection.call(b"list", SOON).await });
        let mut call = peer.accept().await.unwrap();
        call.request(MESSAGE_MAX).await.unwrap();
        (asking, call)
    };
    let (asking, mut call) = ask().await;
    assert_eq!(tokio::time::timeout(SOON, call.take_turn()).await.unwrap(), Err(CallError::Crowded));
    call.postpone();
    assert_eq!(asking.await.unwrap(), Err(CallError::Crowded));
    let (_asking, mut call) = ask().await;
    connection.close("gone");
    assert_eq!(tokio::time::timeout(Duration::from_secs(2), call.take_turn()).await.unwrap(), Err(CallError::Lost));
}
