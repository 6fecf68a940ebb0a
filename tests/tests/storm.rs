//! A thousand mounts of one token, simulated by as many sessions on one real metadata server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::{Duration, Instant};

use proto::{Caller, Event, Greeting, InodeId, Refused, ReplyFrame, Request, RequestFrame, codec};
use tests::{Cluster, WireClient};
use tokio::task::{JoinSet, LocalSet};
use transport::client::{Connection, Dialer};
use transport::tls::Trust;

const SESSIONS: usize = 1000;
/// Sessions opened at once: as many handshakes as a server of this size takes on.
const AT_ONCE: usize = 50;
/// From the answer to whoever deleted the token until the last session has heard of it.
const CUT_MAX: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(30);

async fn open(dialer: &Dialer, addr: std::net::SocketAddr, token: &str) -> Connection {
    let connection = dialer.connect(addr).await.unwrap();
    let hello = WireClient::hello(token);
    let greeting = connection.call(&codec::encode(&hello), DEADLINE).await.unwrap();
    let greeting: Greeting = codec::decode(&greeting).unwrap();
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    connection
}

async fn ask(connection: &Connection) -> Result<(), Refused> {
    let request = Request::GetAttr { ino: InodeId::ROOT };
    let frame = RequestFrame { operation: None, caller: Caller::ROOT, request };
    let reply = connection.call(&codec::encode(&frame), DEADLINE).await.unwrap();
    codec::decode::<ReplyFrame>(&reply).unwrap().result.map(drop)
}

/// Opens `count` sessions, some at a time.
async fn open_all(
    dialer: &std::rc::Rc<Dialer>,
    addr: std::net::SocketAddr,
    token: &str,
    count: usize,
) -> Vec<Connection> {
    let (mut opening, mut sessions) = (JoinSet::new(), Vec::new());
    for started in 0..count {
        if started >= AT_ONCE {
            sessions.push(opening.join_next().await.unwrap().unwrap());
        }
        let (dialer, token) = (std::rc::Rc::clone(dialer), token.to_owned());
        opening.spawn_local(async move { open(&dialer, addr, &token).await });
    }
    while let Some(session) = opening.join_next().await {
        sessions.push(session.unwrap());
    }
    sessions
}

#[tokio::test]
async fn a_thousand_sessions_end_with_their_token_within_a_second() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("storm", &[]);
    let (token, id) = cluster.create_bounded_token(&volume, &[]);
    let addr = cluster.meta_addr().parse().unwrap();
    LocalSet::new()
        .run_until(async {
            let dialer = std::rc::Rc::new(Dialer::new(addr, &Trust::FirstUse(std::sync::Arc::default())).unwrap());
            let doomed = open_all(&dialer, addr, &token, SESSIONS).await;
            let kept = open_all(&dialer, addr, &volume.token, 20).await;
            for session in doomed.iter().chain(&kept) {
                ask(session).await.unwrap();
            }
            // On a thread of its own, so that the sessions go on listening.
            let args = ["configure", "delete", "volume-token", &id, "--force"].map(str::to_owned);
            let home = cluster.home().to_owned();
            let deleting = tokio::task::spawn_blocking(move || {
                tests::Outcome::of(&mut tests::flexfs(&home, &args.each_ref().map(String::as_str))).success();
                Instant::now()
            });
            let mut listening = JoinSet::new();
            for session in doomed {
                listening.spawn_local(async move {
                    let (event, _receipt) =
                        tokio::time::timeout(DEADLINE, session.next_event()).await.unwrap().unwrap();
                    assert!(matches!(codec::decode(&event).unwrap(), Event::SessionEnded(_)));
                    let heard = Instant::now();
                    // A mount hangs up; one that does not is refused all the same.
                    session.close("heard");
                    heard
                });
            }
            let mut last = Instant::now();
            while let Some(heard) = listening.join_next().await {
                last = last.max(heard.unwrap());
            }
            let deleted = deleting.await.unwrap();
            let after = last.saturating_duration_since(deleted);
            assert!(after < CUT_MAX, "the last of {SESSIONS} sessions heard {after:?} after the token was gone");
            for session in &kept {
                ask(session).await.unwrap();
            }
        })
        .await;
}
