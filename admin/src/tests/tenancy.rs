//! What accounts that are not root may see and do.

use serde_json::json;

use super::world::{World, block_store, meta_store, text};

#[tokio::test]
async fn accounts_see_and_change_only_their_own_volumes() {
    let world = World::new().await;
    let stores = world.stores().await;
    let (one, other) = (world.account("one").await, world.account("other").await);
    let volume = world.volume(&one, &stores, "data").await;
    let path = format!("/v1/configure/volumes/{}", text(&volume, "id"));
    world.volume(&other, &stores, "data").await;

    assert_eq!(world.get(&other, "/v1/configure/volumes").await.ok().as_array().unwrap().len(), 1);
    assert_eq!(world.get(&world.root, "/v1/configure/volumes").await.ok().as_array().unwrap().len(), 2);
    world.get(&other, &path).await.refused(404, &["volume"]);
    world.put(&other, &path, json!({ "notes": "x" })).await.refused(404, &["volume"]);
    world.delete(&other, &path).await.refused(404, &["volume"]);
    assert_eq!(world.get(&one, "/v1/configure/volumes/data").await.ok()["id"], volume["id"]);
    world.get(&world.root, "/v1/configure/volumes/data").await.refused(409, &["2 accounts", "id"]);
    let filtered = format!("/v1/configure/volumes?account_id={}", text(&volume, "account_id"));
    assert_eq!(world.get(&other, &filtered).await.ok(), json!([]));
}

#[tokio::test]
async fn accounts_see_and_change_only_tokens_of_their_volumes() {
    let world = World::new().await;
    let stores = world.stores().await;
    let (one, other) = (world.account("one").await, world.account("other").await);
    let volume = world.volume(&one, &stores, "data").await;
    for key in [text(&volume, "token"), text(&volume, "token_id")] {
        let path = format!("/v1/configure/volume-tokens/{key}");
        let refused = world.get(&other, &path).await;
        assert!(!refused.body.to_string().contains(&key));
        refused.refused(404, &["volume token"]);
        world.put(&other, &path, json!({ "flags": "" })).await.refused(404, &["volume token"]);
        world.delete(&other, &path).await.refused(404, &["volume token"]);
        assert_eq!(world.get(&one, &path).await.ok()["token"], volume["token"]);
        assert_eq!(world.get(&world.root, &path).await.ok()["token"], volume["token"]);
    }
    assert_eq!(world.get(&other, "/v1/configure/volume-tokens").await.ok(), json!([]));
    let body = json!({ "volume_id": volume["id"] });
    world.post(&other, "/v1/configure/volume-tokens", body).await.refused(400, &["no such volume"]);
}

#[tokio::test]
async fn account_lists_stores_but_manages_none() {
    let world = World::new().await;
    let stores = world.stores().await;
    let one = world.account("one").await;
    for table in ["block-apis", "providers", "regions", "block-stores", "meta-stores"] {
        let list = world.get(&one, &format!("/v1/configure/{table}")).await.ok();
        assert_eq!(list.as_array().unwrap().len(), 1, "{table}");
    }
    let creations = [
        ("accounts", json!({ "name": "x" })),
        ("providers", json!({ "code": "x", "name": "X" })),
        ("regions", json!({ "provider_code": "local", "code": "x", "name": "X" })),
        ("block-stores", block_store("/x")),
        ("meta-stores", meta_store("x:1")),
    ];
    for (table, body) in creations {
        world.post(&one, &format!("/v1/configure/{table}"), body).await.refused(403, &["owner"]);
    }
    let own = world.get(&one, "/v1/configure/accounts").await.ok();
    let rows = [
        ("accounts", text(&own[0], "id")),
        ("providers", "local".to_owned()),
        ("regions", "local/local".to_owned()),
        ("block-stores", stores.block),
        ("meta-stores", stores.meta),
    ];
    for (table, key) in rows {
        let path = format!("/v1/configure/{table}/{key}");
        // Its own account it may change in part.
        if table != "accounts" {
            world.put(&one, &path, json!({})).await.refused(403, &["owner"]);
        }
        world.delete(&one, &path).await.refused(403, &["owner"]);
    }
}

#[tokio::test]
async fn account_sees_itself_and_no_other() {
    let world = World::new().await;
    let one = world.account("one").await;
    let accounts = world.get(&world.root, "/v1/configure/accounts").await.ok();
    assert_eq!(accounts.as_array().unwrap().len(), 2);
    let own = world.get(&one, "/v1/configure/accounts").await.ok();
    assert_eq!((own.as_array().unwrap().len(), &own[0]["name"]), (1, &json!("one")));
    let path = |account: &serde_json::Value| format!("/v1/configure/accounts/{}", text(account, "id"));
    assert_eq!(world.get(&one, &path(&own[0])).await.ok()["token"], json!(one));
    let root = accounts.as_array().unwrap().iter().find(|account| account["root"] == true).unwrap();
    world.get(&one, &path(root)).await.refused(404, &["account"]);
}

#[tokio::test]
async fn account_that_goes_takes_its_volumes_and_tokens_with_it() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let lab = world.post(root, "/v1/configure/accounts", json!({ "name": "lab" })).await.ok();
    let owner = text(&lab, "token");
    let volume = world.volume(&owner, &stores, "data").await;
    let kept = world.volume(root, &stores, "data").await;
    world.delete(root, &format!("/v1/configure/accounts/{}", text(&lab, "id"))).await.done();
    world.validate(&stores.meta_token, &text(&volume, "token")).await.refused(404, &["opens no volume"]);
    world.validate(&stores.meta_token, &text(&kept, "token")).await.ok();
    world.get(&owner, "/v1/configure/volumes").await.refused(401, &["account token"]);
    let shown = world.get(root, &format!("/v1/configure/volumes/{}", text(&volume, "id"))).await.ok();
    assert!(shown["retired_at"].is_string(), "{shown}");
    let again = world.post(root, "/v1/configure/accounts", json!({ "name": "lab" })).await.ok();
    world.volume(&text(&again, "token"), &stores, "data").await;
}

#[tokio::test]
async fn volume_is_given_to_another_account_by_root_alone() {
    let world = World::new().await;
    let stores = world.stores().await;
    let (one, other) = (world.account("one").await, world.account("other").await);
    let other_id = world.get(&other, "/v1/configure/accounts").await.ok()[0]["id"].clone();
    let mut body = stores.volume("data");
    body["account_id"] = other_id.clone();
    world.post(&one, "/v1/configure/volumes", body.clone()).await.refused(403, &["owner"]);
    world.post(&world.root, "/v1/configure/volumes", body).await.ok();
    assert_eq!(world.get(&other, "/v1/configure/volumes/data").await.ok()["account_id"], other_id);
}

#[tokio::test]
async fn each_kind_of_token_opens_its_own_routes() {
    let world = World::new().await;
    let stores = world.stores().await;
    let volume_token = text(&world.volume(&world.root, &stores, "data").await, "token");
    let list = "/v1/configure/volumes";
    for token in [&stores.meta_token, &volume_token] {
        world.get(token, list).await.refused(401, &["account token"]);
    }
    for token in [&world.root, &stores.meta_token] {
        world.get(token, "/v1/volumes/for-token/").await.refused(401, &["volume token"]);
    }
    for token in [&world.root, &volume_token] {
        world.validate(token, &volume_token).await.refused(401, &["metadata token"]);
        world.put(token, "/v1/volumes/stats", json!([])).await.refused(401, &["metadata token"]);
        let registration = json!({ "fingerprint": "00".repeat(32), "version": "1" });
        world.put(token, "/v1/meta-stores/self", registration).await.refused(401, &["metadata token"]);
    }
}
