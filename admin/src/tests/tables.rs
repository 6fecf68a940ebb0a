//! The life of a row in every table.

use std::sync::Arc;

use serde_json::{Value, json};

use super::world::{World, block_store, meta_store, text, unknown_id};

const MASK: &str = "********";

#[tokio::test]
async fn account_is_created_shown_changed_and_deleted() {
    let world = World::new().await;
    let root = &world.root;
    let new = json!({ "name": "lab", "email": "lab@example.com" });
    let made = world.post(root, "/v1/configure/accounts", new.clone()).await.ok();
    let path = format!("/v1/configure/accounts/{}", text(&made, "id"));
    assert_eq!((&made["email"], &made["root"]), (&json!("lab@example.com"), &json!(false)));
    assert!(text(&made, "created_at").ends_with('Z'));

    assert_eq!(world.get(root, &path).await.ok(), made);
    let list = world.get(root, "/v1/configure/accounts?name=lab").await.ok();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["token"], MASK);
    world.post(root, "/v1/configure/accounts", new).await.refused(409, &["lab", "taken"]);

    let token = unknown_id();
    world.put(root, &path, json!({ "name": "lab2", "token": token })).await.done();
    let changed = world.get(root, &path).await.ok();
    assert_eq!((&changed["name"], &changed["email"]), (&json!("lab2"), &made["email"]));
    world.get(&text(&made, "token"), "/v1/configure/volumes").await.refused(401, &["account token"]);
    world.get(token, "/v1/configure/volumes").await.ok();

    world.delete(root, &path).await.done();
    world.get(root, &path).await.refused(404, &["account", "does not exist"]);
    world.get(token, "/v1/configure/volumes").await.refused(401, &["not accepted"]);
}

#[tokio::test]
async fn root_account_stays_and_keeps_its_token() {
    let world = World::new().await;
    let root = &world.root;
    let list = world.get(root, "/v1/configure/accounts").await.ok();
    let path = format!("/v1/configure/accounts/{}", text(&list[0], "id"));
    assert_eq!((&list[0]["name"], &list[0]["root"]), (&json!("root"), &json!(true)));
    world.delete(root, &path).await.refused(409, &["root account"]);
    world.put(root, &path, json!({ "token": unknown_id() })).await.refused(400, &["admin.flexfs init creds"]);
    world.put(root, &path, json!({ "email": "root@example.com" })).await.done();
}

#[tokio::test]
async fn providers_and_regions_live_and_hold_each_other() {
    let world = World::new().await;
    let root = &world.root;
    let apis = world.get(root, "/v1/configure/block-apis").await.ok();
    assert_eq!(apis.as_array().unwrap().len(), 1);
    assert_eq!(world.get(root, "/v1/configure/block-apis/local").await.ok()["code"], "local");
    world.get(root, "/v1/configure/block-apis/s3").await.refused(404, &["s3"]);
    world.post(root, "/v1/configure/block-apis", json!({ "code": "s3" })).await.refused(405, &["POST"]);
    world.get(root, "/v1/configure/regions/local/local").await.ok();

    world.post(root, "/v1/configure/providers", json!({ "code": "aws", "name": "Amazon" })).await.ok();
    world.post(root, "/v1/configure/providers", json!({ "code": "aws", "name": "A" })).await.refused(409, &["aws"]);
    world.put(root, "/v1/configure/providers/aws", json!({ "name": "AWS" })).await.done();
    world.put(root, "/v1/configure/providers/aws", json!({ "code": "gcp" })).await.refused(400, &["`code`", "fixed"]);
    let region = json!({ "provider_code": "aws", "code": "us-east-1", "name": "Virginia" });
    world.post(root, "/v1/configure/regions", region.clone()).await.ok();
    world.post(root, "/v1/configure/regions", region).await.refused(409, &["aws/us-east-1"]);
    let elsewhere = json!({ "provider_code": "gcp", "code": "x", "name": "X" });
    world.post(root, "/v1/configure/regions", elsewhere).await.refused(400, &["provider_code", "gcp"]);
    let listed = world.get(root, "/v1/configure/regions?provider_code=aws").await.ok();
    assert_eq!(listed, json!([{ "provider_code": "aws", "code": "us-east-1", "name": "Virginia" }]));
    world.put(root, "/v1/configure/regions/aws/us-east-1", json!({ "name": "N. Virginia" })).await.done();

    world.delete(root, "/v1/configure/providers/aws").await.refused(409, &["regions"]);
    world.delete(root, "/v1/configure/regions/aws/us-east-1").await.done();
    world.delete(root, "/v1/configure/regions/aws/us-east-1").await.refused(404, &["aws/us-east-1"]);
    world.delete(root, "/v1/configure/providers/aws").await.done();
}

#[tokio::test]
async fn block_store_moves_but_keeps_its_identity() {
    let world = World::new().await;
    let root = &world.root;
    let made = world.post(root, "/v1/configure/block-stores", block_store("/blocks")).await.ok();
    let path = format!("/v1/configure/block-stores/{}", text(&made, "id"));
    world.put(root, &path, json!({ "address": "/elsewhere", "bucket": "main" })).await.done();
    assert_eq!(world.get(root, &path).await.ok()["address"], "/elsewhere");
    for field in ["provider_code", "region_code", "api_code", "bucket", "prefix"] {
        world.put(root, &path, json!({ field: "other" })).await.refused(400, &[field, "fixed"]);
    }
    let mut wrong =
        [block_store("relative"), block_store("/b"), block_store("/b"), block_store("/b"), block_store("/b")];
    wrong[1]["api_code"] = json!("s3");
    wrong[2]["region_code"] = json!("moon");
    wrong[3]["bucket"] = json!("../x");
    wrong[4]["password"] = json!("hunter2");
    let words = ["absolute path", "`local` is", "moon", "`bucket`", "no login"];
    for (body, word) in wrong.into_iter().zip(words) {
        world.post(root, "/v1/configure/block-stores", body).await.refused(400, &[word]);
    }
    world.delete(root, "/v1/configure/regions/local/local").await.refused(409, &["block stores"]);
    world.delete(root, &path).await.done();
    world.delete(root, &path).await.refused(404, &["block store"]);
}

#[tokio::test]
async fn meta_store_shows_its_token_to_root_alone() {
    let world = World::new().await;
    let root = &world.root;
    let made = world.post(root, "/v1/configure/meta-stores", meta_store("meta:443")).await.ok();
    let path = format!("/v1/configure/meta-stores/{}", text(&made, "id"));
    assert_eq!(world.get(root, &path).await.ok()["token"], made["token"]);
    let other = world.account("lab").await;
    assert_eq!(world.get(&other, &path).await.ok()["token"], MASK);
    for who in [root, &other] {
        assert_eq!(world.get(who, "/v1/configure/meta-stores").await.ok()[0]["token"], MASK);
    }
    world.put(root, &path, json!({ "address": "meta" })).await.refused(400, &["HOST:PORT"]);
    world.put(root, &path, json!({ "fingerprint": "00" })).await.refused(400, &["`fingerprint`", "fixed"]);
    world.put(root, &path, json!({ "token": unknown_id(), "address": "meta2:443" })).await.done();
    let again = json!({ "provider_code": "local", "region_code": "local", "address": "m:1", "token": unknown_id() });
    world.post(root, "/v1/configure/meta-stores", again).await.refused(409, &["token is taken"]);
    let changed = world.get(root, &path).await.ok();
    assert_eq!((&changed["address"], &changed["token"]), (&json!("meta2:443"), &json!(unknown_id())));
}

#[tokio::test]
async fn volume_is_created_with_defaults_and_a_token() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let made = world.volume(root, &stores, "data").await;
    let expected = json!({
        "block_size": 4 << 20, "compression": "lz4", "encryption": false, "retention": 604_800, "max_blocks": 0,
        "max_inodes": 0, "max_proxied": 0, "flags": "", "as_user": "", "notes": "", "retired_at": null, "bytes_used": 0,
    });
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&made[field], value, "{field}");
    }
    let id = text(&made, "id");
    let shown = world.get(root, "/v1/configure/volumes/data").await.ok();
    assert_eq!(shown, world.get(root, &format!("/v1/configure/volumes/{id}")).await.ok());
    assert_eq!(shown["token"], Value::Null, "a volume's tokens are shown as volume tokens");
    let tokens = world.get(root, &format!("/v1/configure/volume-tokens?volume_id={id}")).await.ok();
    assert_eq!((&tokens[0]["id"], &tokens[0]["token"]), (&made["token_id"], &json!(MASK)));
    world.post(root, "/v1/configure/volumes", stores.volume("data")).await.refused(409, &["data", "taken"]);
}

#[tokio::test]
async fn volume_refuses_what_it_cannot_honour() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let cases = [
        ("block_size", json!(3 << 20), "power of two"),
        ("block_size", json!("4MiB"), "expected u32"),
        ("compression", json!("zstd"), "`none` or `lz4`"),
        ("encryption", json!(true), "not available in this version"),
        ("max_proxied", json!(1), "not available in this version"),
        ("retention", json!(-2), "-1 for ever"),
        ("max_blocks", json!(u64::MAX), "at most"),
        ("max_inodes", json!(-1), "expected u64"),
        ("flags", json!("ro,sticky"), "known are ro, noExec, noSUID, noATime, rootSquash"),
        ("name", json!("a/b"), "`name`"),
        ("name", json!(unknown_id()), "a name to remember"),
        ("meta_store_id", json!(unknown_id()), "no such meta store"),
        ("block_store_id", json!(unknown_id()), "no such block store"),
        ("account_id", json!(unknown_id()), "no such account"),
        ("blocksize", json!(1), "unknown field `blocksize`"),
    ];
    for (field, value, word) in cases {
        let mut body = stores.volume("data");
        body[field] = value;
        world.post(root, "/v1/configure/volumes", body).await.refused(400, &[word]);
    }
    assert_eq!(world.get(root, "/v1/configure/volumes").await.ok(), json!([]));
}

#[tokio::test]
async fn volume_change_is_partial_and_leaves_fixed_fields() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let made = world.volume(root, &stores, "data").await;
    let path = format!("/v1/configure/volumes/{}", text(&made, "id"));
    let change = json!({
        "name": "data2", "retention": -1, "max_blocks": 5, "flags": "noExec, ro", "notes": "n", "compression": "none",
        "block_size": 4 << 20,
    });
    world.put(root, &path, change).await.done();
    let changed = world.get(root, &path).await.ok();
    let view = |field: &str| changed[field].clone();
    assert_eq!((view("name"), view("retention"), view("max_blocks")), (json!("data2"), json!(-1), json!(5)));
    assert_eq!((view("flags"), view("compression"), view("max_inodes")), (json!("ro,noExec"), json!("none"), json!(0)));
    let fixed = [("block_size", json!(1 << 20)), ("meta_store_id", json!("x")), ("retired_at", json!("now"))];
    for (field, value) in fixed {
        world.put(root, &path, json!({ field: value })).await.refused(400, &[field, "fixed"]);
    }
    world.put(root, &path, json!({})).await.done();
    world.put(root, &path, json!({ "flags": "x" })).await.refused(400, &["known are"]);
    world.put(root, &path, json!({ "sessions": 9 })).await.refused(400, &["`sessions`"]);
    assert_eq!(world.get(root, &path).await.ok(), changed);
}

#[tokio::test]
async fn retired_volume_opens_nothing_and_gives_its_name_free() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let made = world.volume(root, &stores, "data").await;
    let (id, token) = (text(&made, "id"), text(&made, "token"));
    world.validate(&stores.meta_token, &token).await.ok();
    world.delete(root, "/v1/configure/volumes/data").await.done();

    world.validate(&stores.meta_token, &token).await.refused(404, &["opens no volume"]);
    world.get(&token, "/v1/volumes/for-token/").await.refused(401, &["retired"]);
    world.get(root, "/v1/configure/volumes/data").await.refused(404, &["data"]);
    let path = format!("/v1/configure/volumes/{id}");
    let retired = world.get(root, &path).await.ok();
    assert!(retired["retired_at"].is_string());
    world.put(root, &path, json!({ "notes": "x" })).await.refused(409, &["retired"]);
    world.delete(root, &path).await.done();
    assert_eq!(world.get(root, &path).await.ok(), retired, "the first deletion counts");
    let body = json!({ "volume_id": id });
    world.post(root, "/v1/configure/volume-tokens", body).await.refused(400, &["retired"]);

    let again = world.volume(root, &stores, "data").await;
    assert_ne!(again["id"], made["id"]);
    assert_eq!(world.get(root, "/v1/configure/volumes").await.ok()[0]["id"], again["id"]);
    assert_eq!(world.get(root, "/v1/configure/volumes?retired=true").await.ok()[0]["id"], made["id"]);
    let mut reused = stores.volume("data3");
    reused["id"] = json!(id);
    world.post(root, "/v1/configure/volumes", reused).await.refused(409, &["had it once"]);
}

#[tokio::test]
async fn store_in_use_cannot_be_deleted() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let owner = world.post(root, "/v1/configure/accounts", json!({ "name": "lab" })).await.ok();
    world.volume(&text(&owner, "token"), &stores, "data").await;
    for path in [format!("block-stores/{}", stores.block), format!("meta-stores/{}", stores.meta)] {
        world.delete(root, &format!("/v1/configure/{path}")).await.refused(409, &["1 volumes"]);
    }
}

#[tokio::test]
async fn volume_token_is_addressed_by_itself_or_its_id() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let volume = text(&world.volume(root, &stores, "data").await, "id");
    let body = json!({ "volume_id": volume, "mount_path": "/team/a/", "flags": "noExec", "notes": "for a" });
    let made = world.post(root, "/v1/configure/volume-tokens", body).await.ok();
    assert_eq!((&made["mount_path"], &made["flags"]), (&json!("/team/a"), &json!("noExec")));
    let (id, token) = (text(&made, "id"), text(&made, "token"));
    let by_id = format!("/v1/configure/volume-tokens/{id}");
    let by_token = format!("/v1/configure/volume-tokens/{token}");
    assert_eq!(world.get(root, &by_id).await.ok(), made);
    assert_eq!(world.get(root, &by_token).await.ok(), made);

    world.put(root, &by_token, json!({ "mount_path": "/team/b", "token": token })).await.done();
    assert_eq!(world.get(root, &by_id).await.ok()["mount_path"], "/team/b");
    world.put(root, &by_id, json!({ "mount_path": "/a/../b" })).await.refused(400, &["`mount_path`"]);
    world.put(root, &by_id, json!({ "flags": "suid" })).await.refused(400, &["\"suid\""]);
    world.put(root, &by_id, json!({ "volume_id": unknown_id() })).await.refused(400, &["`volume_id`", "fixed"]);

    world.delete(root, &by_token).await.done();
    world.get(root, &by_id).await.refused(404, &["volume token"]);
    world.validate(&stores.meta_token, &token).await.refused(404, &["opens no volume"]);
}

#[tokio::test]
async fn token_may_be_chosen_once() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let volume = text(&world.volume(root, &stores, "data").await, "id");
    let body = json!({ "volume_id": volume, "token": unknown_id().to_uppercase() });
    let made = world.post(root, "/v1/configure/volume-tokens", body.clone()).await.ok();
    assert_eq!(made["token"], unknown_id());
    world.post(root, "/v1/configure/volume-tokens", body).await.refused(409, &["taken"]);
    let bad = json!({ "volume_id": volume, "token": "hunter2" });
    let refused = world.post(root, "/v1/configure/volume-tokens", bad).await;
    assert!(!refused.body.to_string().contains("hunter2"), "{refused:?}");
    refused.refused(400, &["volume token", "UUID"]);
}

#[tokio::test]
async fn simultaneous_requests_for_one_name_make_one_volume() {
    let world = Arc::new(World::new().await);
    let stores = world.stores().await;
    let requests: Vec<_> = (0..10)
        .map(|_| {
            let (world, body) = (Arc::clone(&world), stores.volume("data"));
            tokio::spawn(async move { world.post(&world.root, "/v1/configure/volumes", body).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(request.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [200, 409]);
    assert_eq!(world.get(&world.root, "/v1/configure/volumes").await.ok().as_array().unwrap().len(), 1);
}
