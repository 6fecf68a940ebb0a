//! What is counted and told of the attempts: all of them, in few lines.

use proto::{Errno, Refused, Request};
use serde_json::Value;
use tests::{Cluster, WireClient, wait_for};

use super::stage::{Hands, Stage, commit_of};

fn lines(cluster: &Cluster, action: &str) -> Vec<Value> {
    cluster.configure(&["list", "audit", "--action", action]).as_array().unwrap().clone()
}

/// Asks in vain: 300 times for what lies outside, 20 times with ids of others, 10 times without sense.
async fn misbehave(client: &mut WireClient, stage: &super::stage::Things) {
    for _ in 0..300 {
        let refused = client.ask(Request::GetAttr { ino: stage.secret }).await;
        assert_eq!(refused, Err(Refused::Error(Errno::ESTALE)));
    }
    for _ in 0..20 {
        let refused = client.ask(commit_of(stage.mine, &[stage.honest_object])).await;
        assert_eq!(refused, Err(Refused::Error(Errno::EPERM)));
    }
    for _ in 0..10 {
        client.raw(b"nonsense").await.expect("answered");
    }
}

#[tokio::test]
async fn attempts_are_counted_by_session_and_kind_and_told_in_few_lines() {
    let mut stage = Stage::set().await;
    let words = "300 outside the mount path, 20 with object ids of others, 10 malformed";
    let session = stage.scoped.welcome.clone().unwrap().session.to_string();
    let noise = stage.cluster.meta.log().lines().count();
    let things = stage.things.clone();
    misbehave(&mut stage.scoped, &things).await;
    wait_for("the attempts are told while the session lives", 30, || {
        let told = lines(&stage.cluster, "session.breach");
        let count = |line: &Value| line["detail"]["count"].as_u64().unwrap_or(1);
        told.iter().map(count).sum::<u64>() == 330
    });
    let told = lines(&stage.cluster, "session.breach");
    assert!(told.len() <= 2, "a line for each interval of ten seconds: {told:#?}");
    for line in &told {
        assert_eq!((&line["object"], &line["name"]), (&session.as_str().into(), &"stage".into()), "{line}");
        assert!(line["detail"]["token_id"].is_string() && line["from"].as_str().unwrap().starts_with("127."), "{line}");
    }
    if let [line] = &told[..] {
        assert_eq!(line["detail"]["reason"], words, "{line}");
    }
    let log = stage.cluster.meta.log();
    assert!(log.lines().count() < noise + 20, "the server's own log stays short:\n{log}");
    // The honest session beside it is not mentioned.
    stage.honest.done(Request::StatFs).await;

    // What comes after the last line is told with the session's end.
    let doomed = stage.cluster.create_token(&stage.volume, "/team", "");
    let mut cut = WireClient::open(&stage.cluster, &doomed).await;
    cut.done(Request::Open { ino: things.mine, access: super::stage::BOTH, truncate: false }).await;
    misbehave(&mut cut, &things).await;
    stage.cluster.run_beside(&["configure", "delete", "volume-token", &doomed, "--force"]).await.success();
    let id = cut.welcome.clone().unwrap().session.to_string();
    let of_it = || {
        let all = [lines(&stage.cluster, "session.breach"), lines(&stage.cluster, "session.end")].concat();
        all.into_iter().filter(|line| line["object"] == id.as_str()).collect::<Vec<_>>()
    };
    wait_for("the end is told", 30, || of_it().iter().any(|line| line["action"] == "session.end"));
    let reasons: Vec<String> = of_it().iter().map(|line| line["detail"]["reason"].to_string()).collect();
    assert!(reasons.len() <= 3 && reasons.iter().any(|reason| reason.contains("10 malformed")), "{reasons:?}");
}
