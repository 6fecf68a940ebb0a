//! The audit log of a whole installation.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tests::{Cluster, WireClient, wait_for};

fn lines(cluster: &Cluster, filter: &[&str]) -> Vec<Value> {
    cluster.configure(&[&["list", "audit"], filter].concat()).as_array().unwrap().clone()
}

fn log_file(cluster: &Cluster) -> PathBuf {
    fs::read_dir(cluster.home().join("admin-db/audit")).unwrap().next().unwrap().unwrap().path()
}

fn verify(cluster: &Cluster) -> tests::Outcome {
    cluster.run(&["admin", "audit", "verify", "--dbFolder", cluster.home().join("admin-db").to_str().unwrap()])
}

#[test]
fn life_of_a_token_stands_in_the_audit_log() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let token = cluster.create_token(&volume, "/", "ro");
    let mounted = cluster.mount(&volume, &token, &[]);
    wait_for("the start of the session is told", 20, || !lines(&cluster, &["--action", "session.start"]).is_empty());
    cluster.run(&["configure", "delete", "volume-token", &token, "--force"]).success();
    wait_for("the end of the session is told", 20, || !lines(&cluster, &["--action", "session.end"]).is_empty());

    let all = lines(&cluster, &["--since", "1h"]);
    let place = |action: &str| all.iter().position(|line| line["action"] == action).expect(action);
    let order = ["volume.create", "volume-token.create", "session.start", "volume-token.delete", "session.end"];
    assert!(order.map(place).is_sorted(), "{all:#?}");
    let (start, end) = (&all[place("session.start")], &all[place("session.end")]);
    assert_eq!((&start["object"], &start["name"]), (&end["object"], &Value::from("volume")));
    assert_eq!(start["detail"]["token_id"], all[place("volume-token.delete")]["object"]);
    assert!(start["detail"]["place"].as_str().unwrap().contains(mounted.point().to_str().unwrap()), "{start}");
    assert!(end["detail"]["reason"].as_str().unwrap().contains("deleted"), "{end}");
    let table = cluster.run(&["configure", "list", "audit", "--action", "session"]).success();
    assert!(table.contains("session.start") && table.contains("session.end"), "{table}");
    assert!(!fs::read_to_string(log_file(&cluster)).unwrap().contains(&token));
    assert!(verify(&cluster).success().contains("sound"), "beside the running server");
}

#[tokio::test]
async fn refused_mounts_are_told_also_of_the_time_when_the_admin_server_was_away() {
    let mut cluster = Cluster::start();
    cluster.create_volume("volume", &[]);
    let (_, greeting) = WireClient::greet(&cluster, "99999999-aaaa-4bbb-8ccc-dddddddddddd").await;
    assert!(format!("{greeting:?}").contains("TokenRejected"), "{greeting:?}");
    wait_for("the refusal is told", 20, || lines(&cluster, &["--action", "session.refuse"]).len() == 1);

    cluster.admin.kill();
    let (_, greeting) = WireClient::greet(&cluster, "no token at all").await;
    assert!(format!("{greeting:?}").contains("TokenRejected"), "{greeting:?}");
    cluster.restart_admin();
    wait_for("the refusal is told later", 40, || lines(&cluster, &["--action", "session.refuse"]).len() == 2);
    assert!(lines(&cluster, &["--action", "audit.gap"]).is_empty());
    assert_eq!(cluster.meta.terminate(), 0);
    cluster.restart_meta();
    WireClient::greet(&cluster, "99999999-aaaa-4bbb-8ccc-dddddddddddd").await;
    wait_for("the next run tells too", 20, || lines(&cluster, &["--action", "session.refuse"]).len() == 3);
    assert!(lines(&cluster, &["--action", "audit.gap"]).is_empty(), "the server was stopped in order");
    cluster.meta.kill();
    cluster.restart_meta();
    wait_for("what a killed server may have known is told as a gap", 20, || {
        lines(&cluster, &["--action", "audit.gap"]).len() == 1
    });
    assert!(verify(&cluster).success().contains("sound"));
}

#[test]
fn broken_line_is_named_and_does_not_keep_the_server_from_its_work() {
    let mut cluster = Cluster::start();
    cluster.create_volume("volume", &[]);
    cluster.admin.terminate();
    let file = log_file(&cluster);
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("meta-store.create", "meta-store.delete", 1)).unwrap();
    let number = 1 + text.lines().position(|line| line.contains("meta-store.create")).unwrap();
    let line = verify(&cluster).failure(1);
    assert!(line.contains(&format!("line {number} of the file")) && line.contains("was changed"), "{line}");
    assert!(line.contains(file.to_str().unwrap()), "{line}");
    cluster.restart_admin();
    cluster.create_volume("other", &[]);
    verify(&cluster).failure(1);
}

#[test]
fn accounts_act_for_themselves_and_readers_only_look() {
    let cluster = Cluster::start();
    let volume = cluster.create_volume("volume", &[]);
    let as_account = |name: &str, role: &str| {
        let made = cluster.configure(&["create", "account", "--name", name, "--role", role]);
        let creds = cluster.home().join(format!("creds-{name}")).to_str().unwrap().to_owned();
        let token = made["token"].as_str().unwrap();
        let addr = cluster.admin_addr();
        let init = ["configure", "--credsFile", &creds, "init", "creds", "--adminAddr", addr, "--token", token];
        cluster.run(&init).success();
        (creds, made["id"].as_str().unwrap().to_owned())
    };
    let ((reader, _), (tenant, id)) = (as_account("eyes", "reader"), as_account("team", "tenant"));
    let run = |creds: &str, args: &[&str]| cluster.run(&[&["configure", "--credsFile", creds], args].concat());
    assert!(run(&reader, &["list", "volume"]).success().contains("volume"));
    let line = run(&reader, &["create", "volume-token", "--volumeID", &volume.id]).failure(1);
    assert!(line.contains("eyes") && line.contains("change nothing"), "{line}");
    let shown = run(&reader, &["show", "volume-token", &volume.token, "--json"]).success();
    assert!(!shown.contains(&volume.token), "{shown}");
    assert!(!run(&tenant, &["list", "volume"]).success().contains("volume"));
    let line = run(&tenant, &["show", "volume", "volume"]).failure(1);
    assert!(line.contains("does not exist"), "{line}");
    let fresh = "88888888-aaaa-4bbb-8ccc-dddddddddddd";
    run(&tenant, &["update", "account", &id, "--token", fresh]).success();
    let line = run(&tenant, &["list", "volume"]).failure(1);
    assert!(line.contains("not accepted") && line.contains("init creds --force"), "{line}");
}
