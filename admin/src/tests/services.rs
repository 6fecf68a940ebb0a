//! What mounts and metadata servers ask.

use proto::rest::{MountTarget, TokenGrant};
use serde_json::json;

use super::world::{World, meta_store, text, unknown_id};

#[tokio::test]
async fn mount_learns_where_to_mount_from() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let mut body = stores.volume("data");
    body["flags"] = json!("noSUID");
    let volume = world.post(root, "/v1/configure/volumes", body).await.ok();
    let body = json!({ "volume_id": volume["id"], "mount_path": "/a", "flags": "ro" });
    let token = text(&world.post(root, "/v1/configure/volume-tokens", body).await.ok(), "token");

    let target = world.get(&token, "/v1/volumes/for-token/").await.ok();
    let target: MountTarget = serde_json::from_value(target).unwrap();
    assert_eq!((target.volume_name.as_str(), target.mount_path.as_str()), ("data", "/a"));
    assert_eq!((target.meta_addr.as_str(), target.flags.as_str()), ("meta.example.com:443", "ro,noSUID"));
    assert_eq!(target.meta_fingerprint, None);

    let print = "AB:".repeat(31) + "AB";
    let registration = json!({ "fingerprint": print, "version": "1.2.3" });
    world.put(&stores.meta_token, "/v1/meta-stores/self", registration).await.done();
    let target = world.get(&token, "/v1/volumes/for-token/").await.ok();
    assert_eq!(target["meta_fingerprint"], "ab".repeat(32));
    let store = world.get(root, &format!("/v1/configure/meta-stores/{}", stores.meta)).await.ok();
    assert_eq!(store["version"], "1.2.3");
    let bad = json!({ "fingerprint": "xyz", "version": "1" });
    world.put(&stores.meta_token, "/v1/meta-stores/self", bad).await.refused(400, &["fingerprint", "64"]);
}

#[tokio::test]
async fn metadata_server_learns_what_a_token_opens() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let mut body = stores.volume("data");
    body["retention"] = json!(60);
    body["max_inodes"] = json!(1000);
    let volume = world.post(root, "/v1/configure/volumes", body).await.ok();

    let grant = world.validate(&stores.meta_token, &text(&volume, "token")).await.ok();
    let grant: TokenGrant = serde_json::from_value(grant).unwrap();
    assert_eq!(grant.token_id.to_string(), text(&volume, "token_id"));
    assert_eq!((grant.mount_path.as_str(), grant.flags.as_str()), ("/", ""));
    let settings = grant.volume;
    assert_eq!((settings.id.to_string(), settings.name.as_str()), (text(&volume, "id"), "data"));
    assert_eq!((settings.block_size, settings.retention_secs, settings.inodes_max), (4 << 20, 60, 1000));
    let store = settings.block_store;
    assert_eq!((store.api_code.as_str(), store.address.as_str(), store.bucket.as_str()), ("local", "/blocks", "main"));
}

#[tokio::test]
async fn token_of_another_meta_store_is_unknown() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let token = text(&world.volume(root, &stores, "data").await, "token");
    let other = world.post(root, "/v1/configure/meta-stores", meta_store("other:443")).await.ok();
    let other = text(&other, "token");
    world.validate(&other, &token).await.refused(404, &["this meta store"]);
    for wrong in [unknown_id(), "", "no uuid", &stores.meta_token, root] {
        world.validate(&stores.meta_token, wrong).await.refused(404, &["opens no volume"]);
    }
}

#[tokio::test]
async fn use_of_volumes_is_shown_and_only_their_server_says_it() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let id = text(&world.volume(root, &stores, "data").await, "id");
    let stats = |bytes: u64| {
        json!([
            { "volume_id": unknown_id(), "bytes_used": 1, "inodes_used": 1, "sessions": 1 },
            { "volume_id": id, "bytes_used": bytes, "inodes_used": 3, "sessions": 2 },
        ])
    };
    world.put(&stores.meta_token, "/v1/volumes/stats", stats(4096)).await.done();
    let other = world.post(root, "/v1/configure/meta-stores", meta_store("other:443")).await.ok();
    world.put(&text(&other, "token"), "/v1/volumes/stats", stats(9)).await.done();
    world.put(&stores.meta_token, "/v1/volumes/stats", stats(u64::MAX)).await.refused(400, &["`bytes_used`"]);

    let shown = world.get(root, "/v1/configure/volumes/data").await.ok();
    assert_eq!((&shown["bytes_used"], &shown["inodes_used"]), (&json!(4096), &json!(3)));
    assert_eq!(shown["sessions"], 2);
}

#[tokio::test]
async fn report_on_thousands_of_volumes_is_taken() {
    let world = World::new().await;
    let stores = world.stores().await;
    let one =
        json!({ "volume_id": unknown_id(), "bytes_used": u64::MAX >> 1, "inodes_used": 1_u64 << 40, "sessions": 9 });
    world.put(&stores.meta_token, "/v1/volumes/stats", json!(vec![one; 7000])).await.done();
}

#[tokio::test]
async fn metadata_server_learns_which_of_its_volumes_are_retired() {
    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let id = text(&world.volume(root, &stores, "gone").await, "id");
    world.volume(root, &stores, "stays").await;
    let retired = || world.get(&stores.meta_token, "/v1/volumes/retired");
    assert_eq!(retired().await.ok(), json!([]));
    world.delete(root, &format!("/v1/configure/volumes/{id}")).await.done();
    let listed = retired().await.ok();
    assert_eq!((&listed[0]["id"], &listed[0]["name"], listed[1].is_null()), (&json!(id), &json!("gone"), true));
    assert!(listed[0]["retired_at"].is_string());
    let other = world.post(root, "/v1/configure/meta-stores", meta_store("other:443")).await.ok();
    assert_eq!(world.get(&text(&other, "token"), "/v1/volumes/retired").await.ok(), json!([]));
    world.get(root, "/v1/volumes/retired").await.refused(401, &["metadata token"]);
}
