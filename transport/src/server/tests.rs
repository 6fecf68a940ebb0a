use std::sync::{Arc, OnceLock};

use super::*;
use crate::client::Dialer;
use crate::tls::{Fingerprint, Trust};

struct World {
    _folder: tempfile::TempDir,
    addr: SocketAddr,
    fingerprint: Fingerprint,
}

/// A server on loopback that answers every call with its request reversed.
fn echo_server() -> World {
    let folder = tempfile::tempdir().unwrap();
    let identity = Identity::load_or_create(&folder.path().join("cert"), &folder.path().join("key")).unwrap();
    let socket = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap().remove(0);
    let addr = socket.local_addr().unwrap();
    let listener = Listener::new(socket, &identity).unwrap();
    tokio::spawn(async move {
        while let Some(arrival) = listener.accept().await {
            tokio::spawn(async move {
                let peer = arrival.establish().await?;
                peer.send_event(b"welcome").await?;
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
    World { _folder: folder, addr, fingerprint: identity.fingerprint() }
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn calls_run_side_by_side_and_events_arrive() {
    let world = echo_server();
    let dialer = Dialer::new(world.addr, &Trust::Pinned(world.fingerprint)).unwrap();
    let connection = dialer.connect(world.addr).await.unwrap();
    assert_eq!(&connection.next_event().await.unwrap()[..], b"welcome");
    let large = vec![7; MESSAGE_MAX];
    let (one, two) = tokio::join!(connection.call(b"abc", SOON), connection.call(&large, SOON));
    assert_eq!(&one.unwrap()[..], b"cba");
    assert_eq!(two.unwrap(), large);
}

#[tokio::test]
async fn oversized_request_fails_alone() {
    let world = echo_server();
    let dialer = Dialer::new(world.addr, &Trust::Pinned(world.fingerprint)).unwrap();
    let connection = dialer.connect(world.addr).await.unwrap();
    assert!(connection.call(&vec![0; MESSAGE_MAX + 1], SOON).await.is_err());
    assert_eq!(&connection.call(b"ab", SOON).await.unwrap()[..], b"ba");
}

#[tokio::test]
async fn another_certificate_than_the_pinned_one_is_refused() {
    let (world, other) = (echo_server(), echo_server());
    let dialer = Dialer::new(world.addr, &Trust::Pinned(other.fingerprint)).unwrap();
    let error = dialer.connect(world.addr).await.unwrap_err().to_string();
    assert!(error.contains("pinned is"), "{error}");
}

#[tokio::test]
async fn first_use_tells_the_fingerprint() {
    let world = echo_server();
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
