//! Greetings: forged, repeated, replayed; sessions and operations of others.

use std::time::Duration;

use proto::{
    Caller, Greeting, Hello, InodeId, NewNode, OperationId, Refused, Reply, Request, RequestFrame, SessionKey,
    SessionRefusal, codec, flag_bits,
};
use tests::{Cluster, WireClient};
use uuid::Uuid;

use super::stage::{Hands, Stage, name};

/// Greets in these words and expects to be turned away.
async fn turned_away(cluster: &Cluster, hello: &Hello) -> SessionRefusal {
    match WireClient::connect(cluster).await.say(hello).await {
        Some(Greeting::Sorry(refusal, _)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn session_is_joined_only_with_its_key_its_token_and_its_volume() {
    let mut stage = Stage::set().await;
    let (cluster, token) = (&stage.cluster, &stage.volume.token);
    let welcome = stage.honest.welcome.clone().unwrap();
    let foreign = cluster.create_volume("foreign", &[]).token;
    let sibling = cluster.create_token(&stage.volume, "/", "");
    let scoped = cluster.create_token(&stage.volume, "/team", "");
    let mut near = welcome.key.0;
    near[15] ^= 1;
    let tries = [
        (token, welcome.session, SessionKey([0; 16])),
        (token, welcome.session, SessionKey(near)),
        (token, welcome.session, stage.scoped.welcome.clone().unwrap().key),
        (token, proto::SessionId(Uuid::new_v4()), welcome.key),
        (&foreign, welcome.session, welcome.key),
        (&sibling, welcome.session, welcome.key),
        (&scoped, welcome.session, welcome.key),
    ];
    for (token, session, key) in tries {
        let hello = Hello { resume: Some((session, key)), ..WireClient::hello(token) };
        assert_eq!(turned_away(cluster, &hello).await, SessionRefusal::SessionUnknown);
    }
    // With the right words it is joined: the tries did it no harm.
    let hello = Hello { resume: Some((welcome.session, welcome.key)), ..WireClient::hello(token) };
    let mut joined = WireClient::connect(cluster).await;
    assert!(matches!(joined.say(&hello).await, Some(Greeting::Welcome(_))));
    stage.honest.done(Request::StatFs).await;
}

#[tokio::test]
async fn greeting_that_breaks_the_protocol_is_turned_away() {
    let stage = Stage::set().await;
    let token = &stage.volume.token;
    let hello = || WireClient::hello(token);
    let cases = [
        (Hello { version_min: 2, version_max: 9, ..hello() }, SessionRefusal::Version),
        (Hello { version_min: 0, version_max: 0, ..hello() }, SessionRefusal::Version),
        (Hello { version_min: 9, version_max: 0, ..hello() }, SessionRefusal::Version),
        (Hello { flags: flag_bits::ALL + 1, ..hello() }, SessionRefusal::Malformed),
        (Hello { flags: u32::MAX, ..hello() }, SessionRefusal::Malformed),
        (Hello { token: proto::Redacted(String::new()), ..hello() }, SessionRefusal::TokenRejected),
        (Hello { token: proto::Redacted("x".repeat(8000)), ..hello() }, SessionRefusal::TokenRejected),
        (Hello { token: proto::Redacted(Uuid::nil().to_string()), ..hello() }, SessionRefusal::TokenRejected),
    ];
    for (hello, expected) in cases {
        assert_eq!(turned_away(&stage.cluster, &hello).await, expected, "{hello:?}");
    }
    // A version from the future is spoken as ours.
    let hello = Hello { version_max: u16::MAX, ..hello() };
    match WireClient::connect(&stage.cluster).await.say(&hello).await {
        Some(Greeting::Welcome(welcome)) => assert_eq!(welcome.version, proto::VERSION_MAX),
        other => panic!("{other:?}"),
    }
    for bytes in [vec![0xff; 100], vec![0; 16 << 10], codec::encode(&hello)[..20].to_vec(), Vec::new()] {
        let client = WireClient::connect(&stage.cluster).await;
        let answer = client.raw(&bytes).await.expect("turned away in words");
        let greeting = codec::decode::<Greeting>(&answer).unwrap();
        assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::Malformed, _)), "{greeting:?}");
    }
    let client = WireClient::connect(&stage.cluster).await;
    assert_eq!(client.raw(&vec![0; (16 << 10) + 1]).await, None, "longer than a greeting: dropped unread");
}

#[tokio::test]
async fn requests_count_only_after_the_greeting_and_greetings_only_before_requests() {
    let mut stage = Stage::set().await;
    let frame =
        RequestFrame { operation: None, caller: Caller::ROOT, request: Request::GetAttr { ino: InodeId::ROOT } };
    let mute = WireClient::connect(&stage.cluster).await;
    let answer = mute.raw(&codec::encode(&frame)).await.expect("turned away in words");
    let greeting = codec::decode::<Greeting>(&answer).unwrap();
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::Malformed, _)), "{greeting:?}");
    let second = tokio::time::timeout(Duration::from_secs(2), mute.raw(&codec::encode(&frame))).await;
    assert!(!matches!(second, Ok(Some(_))), "no second try on a connection");

    // A second greeting is a request that is none: the connection stays what it was.
    let whole = WireClient::hello(&stage.volume.token);
    let answer = stage.scoped.raw(&codec::encode(&whole)).await.unwrap();
    let reply = codec::decode::<proto::ReplyFrame>(&answer).unwrap();
    assert_eq!(reply.result, Err(Refused::Malformed));
    let outside = stage.scoped.ask(Request::GetAttr { ino: stage.things.secret }).await;
    assert_eq!(outside, Err(Refused::Error(proto::Errno::ESTALE)));
    stage.scoped.done(Request::GetAttr { ino: stage.things.mine }).await;
}

#[tokio::test]
async fn operations_of_others_are_not_answered_and_own_ones_only_within_the_window() {
    let mut stage = Stage::set().await;
    let (team, other) = (stage.things.team, stage.things.other);
    let make = |operation: Option<u64>, parent, text: &str| RequestFrame {
        operation: operation.map(OperationId),
        caller: Caller::ROOT,
        request: Request::Make { parent, name: name(text), node: NewNode::Directory { perm: 0o755 } },
    };
    let Ok(Reply::Entry(theirs)) = stage.honest.ask_frame(&make(Some(1000), other, "theirs")).await else {
        panic!("made")
    };
    // The same id in another session is another operation, judged by that session's rights.
    let replayed = stage.scoped.ask_frame(&make(Some(1000), other, "theirs")).await;
    assert_eq!(replayed, Err(Refused::Error(proto::Errno::ESTALE)));
    let Ok(Reply::Entry(mine)) = stage.scoped.ask_frame(&make(Some(1000), team, "again")).await else { panic!("made") };
    assert_ne!(mine.ino, theirs.ino);
    // Repeated: answered as before, whatever it asks now.
    assert_eq!(stage.scoped.ask_frame(&make(Some(1000), team, "else")).await, Ok(Reply::Entry(mine)));
    assert!(stage.scoped.lookup(team, "else").await.is_err());
    for outside in [Some(0), Some(1000 - 256), None] {
        assert_eq!(stage.scoped.ask_frame(&make(outside, team, "none")).await, Err(Refused::Malformed), "{outside:?}");
    }
    // Jumping to the last id spends the session's ids, and nobody else's.
    stage.scoped.ask_frame(&make(Some(u64::MAX), team, "last")).await.unwrap();
    assert_eq!(stage.scoped.ask_frame(&make(Some(2000), team, "none")).await, Err(Refused::Malformed));
    stage.honest.ask_frame(&make(Some(1001), other, "next")).await.unwrap();
}

#[tokio::test]
async fn deleted_token_ends_its_sessions_and_no_others() {
    let mut stage = Stage::set().await;
    let doomed = stage.cluster.create_token(&stage.volume, "/team", "");
    let mut cut = WireClient::open(&stage.cluster, &doomed).await;
    cut.done(Request::GetAttr { ino: stage.things.mine }).await;
    let welcome = cut.welcome.clone().unwrap();
    stage.cluster.run_beside(&["configure", "delete", "volume-token", &doomed, "--force"]).await.success();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while cut.ask(Request::GetAttr { ino: stage.things.mine }).await != Err(Refused::SessionEnded) {
        assert!(std::time::Instant::now() < deadline, "the session outlives its token");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stage.scoped.done(Request::GetAttr { ino: stage.things.mine }).await;
    // Neither a new session nor the old one, whose key it still has, also under another token.
    let again = Hello { resume: Some((welcome.session, welcome.key)), ..WireClient::hello(&doomed) };
    for hello in [WireClient::hello(&doomed), again.clone()] {
        assert_eq!(turned_away(&stage.cluster, &hello).await, SessionRefusal::TokenRejected);
    }
    let other = Hello { token: WireClient::hello(&stage.volume.token).token, ..again };
    assert_eq!(turned_away(&stage.cluster, &other).await, SessionRefusal::SessionUnknown);
}
