//! What the audit log tells of requests.

use serde_json::{Value, json};

use super::world::{World, text, unknown_id};
use crate::verify_audit;

/// The lines that `filter` (a query) wants, as `bearer` sees them.
async fn lines(world: &World, bearer: &str, filter: &str) -> Vec<Value> {
    let lines = world.get(bearer, &format!("/v1/configure/audit?{filter}")).await.ok();
    lines.as_array().unwrap().clone()
}

async fn actions(world: &World, bearer: &str, filter: &str) -> Vec<String> {
    lines(world, bearer, filter).await.iter().map(|line| text(line, "action")).collect()
}

#[tokio::test]
async fn every_act_is_a_line_with_who_what_and_where_from() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let one = world.account("one").await;
    let account = world.get(&one, "/v1/configure/accounts").await.ok()[0].clone();
    let volume = world.volume(&one, &stores, "data").await;
    let body = json!({ "volume_id": volume["id"], "mount_path": "/a", "flags": "ro", "notes": "x" });
    let token = world.post(&one, "/v1/configure/volume-tokens", body).await.ok();
    let path = format!("/v1/configure/volume-tokens/{}", text(&token, "token"));
    world.put(&one, &path, json!({ "flags": "ro,noExec" })).await.done();
    world.get(&one, &path).await.ok();
    world.delete(&one, &path).await.done();
    world.delete(&one, "/v1/configure/volumes/data").await.done();

    let expected = [
        "admin.start",
        "block-store.create",
        "meta-store.create",
        "account.create",
        "volume.create",
        "volume-token.create",
        "volume-token.update",
        "volume-token.reveal",
        "volume-token.delete",
        "volume.delete",
    ];
    assert_eq!(actions(&world, root, "").await, expected);
    let all = lines(&world, root, "action=volume-token").await;
    assert_eq!(all.len(), 4);
    for line in &all {
        assert_eq!((&line["actor"], &line["actor_name"]), (&account["id"], &json!("one")), "{line}");
        assert_eq!((&line["account_id"], &line["object"]), (&account["id"], &token["id"]), "{line}");
        assert!(text(line, "from").starts_with("127.0.0.1:"), "{line}");
    }
    assert_eq!(all[0]["detail"]["mount_path"], "/a");
    assert_eq!(all[1]["detail"], json!({ "flags": "ro,noExec" }));
    let log = std::fs::read_dir(world.folder.path().join("admin/audit")).unwrap();
    let log: String = log.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    for secret in [root.as_str(), &one, &stores.meta_token, &text(&volume, "token"), &text(&token, "token")] {
        assert!(!log.contains(secret), "{log}");
    }
    let (folder, _) = world.close().await;
    let report = verify_audit(&folder.path().join("admin")).unwrap();
    assert_eq!((report.broken, report.last), (None, 11), "the stop is a line too");
}

#[tokio::test]
async fn list_is_filtered_and_bounded() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let (one, other) = (world.account("one").await, world.account("other").await);
    world.volume(&one, &stores, "data").await;
    world.volume(&other, &stores, "data").await;
    world.volume(root, &stores, "data").await;
    let id = text(&world.get(&one, "/v1/configure/accounts").await.ok()[0], "id");

    assert_eq!(actions(&world, root, "actor=one").await, ["volume.create"]);
    assert_eq!(actions(&world, root, &format!("actor={id}")).await, ["volume.create"]);
    assert_eq!(actions(&world, root, &format!("account_id={id}")).await, ["account.create", "volume.create"]);
    assert_eq!(actions(&world, root, "action=volume.create&limit=2").await.len(), 2);
    let last = lines(&world, root, "limit=1").await;
    assert_eq!(last[0]["actor_name"], "root", "the last ones are wanted");
    assert_eq!(actions(&world, root, "since=1h&action=volume").await.len(), 3);
    assert_eq!(actions(&world, root, "since=2999-01-01").await.len(), 0);
    for (filter, word) in
        [("since=x", "24h"), ("limit=0", "1 to 10000"), ("limit=x", "limit"), ("colour=red", "colour")]
    {
        world.get(root, &format!("/v1/configure/audit?{filter}")).await.refused(400, &[word]);
    }
    // An account sees what it did and what was done to its things.
    assert_eq!(actions(&world, &one, "").await, ["account.create", "volume.create"]);
    assert_eq!(actions(&world, &other, &format!("account_id={id}")).await.len(), 0);
}

#[tokio::test]
async fn refusals_are_lines_without_the_token_that_was_tried() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let one = world.account("one").await;
    let foreign = text(&world.volume(root, &stores, "data").await, "id");
    world.get(unknown_id(), "/v1/configure/volumes").await.refused(401, &["token"]);
    world.post(&one, "/v1/configure/accounts", json!({ "name": "x" })).await.refused(403, &["root"]);
    world.delete(&one, &format!("/v1/configure/volumes/{foreign}")).await.refused(404, &["volume"]);
    // Somebody takes a token for a name.
    world.get(root, &format!("/v1/configure/volumes/{}", unknown_id())).await.refused(404, &["volume"]);

    let lines = lines(&world, root, "action=request.refuse").await;
    let told: Vec<_> = lines.iter().map(|line| (&line["detail"]["status"], &line["detail"]["act"])).collect();
    assert_eq!(
        told,
        [
            (&json!(401), &json!("GET /v1/configure/volumes")),
            (&json!(403), &json!("account.create")),
            (&json!(404), &json!("volume.delete")),
            (&json!(404), &json!("volume.show")),
        ]
    );
    assert_eq!(lines[1]["actor_name"], "one");
    assert!(!json!(lines).to_string().contains(unknown_id()), "{lines:?}");
}

#[tokio::test]
async fn flood_of_refusals_is_told_as_a_number() {
    let world = World::new().await;
    for _ in 0..40 {
        world.get(unknown_id(), "/v1/configure/volumes").await.refused(401, &["token"]);
    }
    let root = world.root.clone();
    assert_eq!(lines(&world, &root, "action=request.refuse").await.len(), 10);
    let world = world.reopen().await;
    let lines = lines(&world, &root, "action=request.refuse").await;
    assert_eq!((lines.len(), &lines[10]["detail"]["more"]), (11, &json!(30)));
}

/// One event of a report.
fn event(number: u64, what: &str, volume: &Value) -> Value {
    json!({
        "number": number, "at_millis": 1_800_000_000_000_u64, "what": what, "session": unknown_id(), "token_id": null,
        "volume_id": volume["id"], "from": "192.0.2.1:5", "place": "host:/mnt", "reason": "", "count": 1,
    })
}

#[tokio::test]
async fn reports_of_sessions_count_once_and_tell_what_they_lack() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let volume = world.volume(root, &stores, "data").await;
    let run = "22222222-2222-4222-8222-222222222222";
    let report = |run: &str, events: Vec<Value>, next: u64, last: bool| json!({ "run": run, "events": events, "next": next, "last": last });
    let send = async |report: Value| world.post(&stores.meta_token, "/v1/sessions/report", report).await.done();
    let told = async || actions(&world, root, &format!("actor={}", stores.meta)).await;

    let first = report(run, vec![event(0, "start", &volume), event(1, "end", &volume)], 2, false);
    send(first.clone()).await;
    send(first).await;
    assert_eq!(told().await, ["session.start", "session.end"]);
    let line = lines(&world, root, "action=session.start").await.remove(0);
    assert_eq!((&line["account_id"], &line["name"]), (&volume["account_id"], &json!("data")));
    assert_eq!(
        (&line["detail"]["at"], &line["detail"]["place"]),
        (&json!("2027-01-15T08:00:00.000Z"), &json!("host:/mnt"))
    );

    send(report(run, vec![event(5, "refuse", &volume)], 9, false)).await;
    let gaps = lines(&world, root, "action=audit.gap").await;
    assert_eq!((&gaps[0]["detail"]["dropped"], &gaps[1]["detail"]["dropped"]), (&json!(3), &json!(3)));
    // Another run without a farewell of the one before.
    let other = "33333333-3333-4333-8333-333333333333";
    send(report(other, vec![], 0, true)).await;
    assert_eq!(told().await[5..], ["audit.gap"]);
    send(report(run, vec![event(0, "start", &volume)], 1, false)).await;
    assert_eq!(told().await[6..], ["session.start"], "after a farewell nothing is missing");
}

#[tokio::test]
async fn metadata_server_attributes_nothing_to_volumes_of_others() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let volume = world.volume(root, &stores, "data").await;
    let other = super::world::meta_store("other:443");
    let other = text(&world.post(root, "/v1/configure/meta-stores", other).await.ok(), "token");
    let report = json!({ "run": unknown_id(), "events": [event(0, "start", &volume)], "next": 1, "last": false });
    world.post(&other, "/v1/sessions/report", report).await.done();
    let line = lines(&world, root, "action=session.start").await.remove(0);
    assert_eq!((&line["account_id"], &line["name"]), (&Value::Null, &Value::Null), "{line}");
}
