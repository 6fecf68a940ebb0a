//! What bounds a volume token: its time, its mounts, where they come from; and what is told of its use.

use proto::rest::TokenGrant;
use serde_json::{Value, json};

use super::world::{World, text, unknown_id};

/// A world, its volume and the token of its metadata server.
async fn furnished() -> (World, String, String) {
    let world = World::new().await;
    let stores = world.stores().await;
    let volume = text(&world.volume(&world.root, &stores, "data").await, "id");
    (world, volume, stores.meta_token)
}

async fn grant(world: &World, meta: &str, token: &Value) -> TokenGrant {
    serde_json::from_value(world.validate(meta, token["token"].as_str().unwrap()).await.ok()).unwrap()
}

#[tokio::test]
async fn bounds_are_shown_changed_and_told_to_the_metadata_server() {
    let (world, volume, meta) = furnished().await;
    let root = &world.root;
    let body = json!({
        "volume_id": volume, "expires": "2030-06-01T12:00:00+02:00", "max_mounts": 3,
        "allowed_networks": "10.0.0.0/8, 192.0.2.7",
    });
    let made = world.post(root, "/v1/configure/volume-tokens", body).await.ok();
    assert_eq!(made["expires_at"], "2030-06-01T10:00:00Z");
    assert_eq!((&made["max_mounts"], &made["mounts"], &made["last_used_at"]), (&json!(3), &json!(0), &Value::Null));
    assert_eq!(made["allowed_networks"], "10.0.0.0/8,192.0.2.7/32");
    let told = grant(&world, &meta, &made).await;
    assert_eq!((told.expires, told.mounts_max), (Some(1_906_538_400), 3));
    assert_eq!(told.networks, "10.0.0.0/8,192.0.2.7/32");

    let path = format!("/v1/configure/volume-tokens/{}", text(&made, "id"));
    world.put(root, &path, json!({ "expires": "never", "max_mounts": 0, "allowed_networks": "" })).await.done();
    let shown = world.get(root, &path).await.ok();
    assert_eq!(
        (&shown["expires_at"], &shown["max_mounts"], &shown["allowed_networks"]),
        (&Value::Null, &json!(0), &json!(""))
    );
    let told = grant(&world, &meta, &made).await;
    assert_eq!((told.expires, told.mounts_max, told.networks.as_str()), (None, 0, ""));
}

#[tokio::test]
async fn duration_counts_from_now_and_nonsense_is_named() {
    let (world, volume, _) = furnished().await;
    let tokens = "/v1/configure/volume-tokens";
    let made = world.post(&world.root, tokens, json!({ "volume_id": volume, "expires": "30d" })).await.ok();
    let expires: auth::Moment = text(&made, "expires_at").parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!((expires.0 - now - 30 * 86_400).abs() < 60, "{made}");
    for (field, value, word) in [
        ("expires", json!("soon"), "RFC 3339"),
        ("expires", json!("2020-01-01T00:00:00Z"), "past"),
        ("allowed_networks", json!("10.0.0.0/40"), "CIDR"),
        ("allowed_networks", json!("10.0.0.1/8"), "10.0.0.0/8"),
        ("max_mounts", json!(-1), "max_mounts"),
    ] {
        let body = json!({ "volume_id": volume, field: value });
        world.post(&world.root, tokens, body).await.refused(400, &[field, word]);
    }
}

#[tokio::test]
async fn expired_token_finds_nothing_to_mount() {
    let (world, volume, _) = furnished().await;
    let body = json!({ "volume_id": volume, "expires": "1s" });
    let token = text(&world.post(&world.root, "/v1/configure/volume-tokens", body).await.ok(), "token");
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    world.get(&token, "/v1/volumes/for-token/").await.refused(401, &["expired at"]);
}

#[tokio::test]
async fn new_value_takes_the_place_of_the_old_at_once() {
    let (world, volume, meta) = furnished().await;
    let root = &world.root;
    let body = json!({ "volume_id": volume, "notes": "kept" });
    let made = world.post(root, "/v1/configure/volume-tokens", body).await.ok();
    let (path, old) = (format!("/v1/configure/volume-tokens/{}", text(&made, "id")), text(&made, "token"));
    world.put(root, &path, json!({ "token": unknown_id() })).await.done();
    world.validate(&meta, &old).await.refused(404, &["opens no volume"]);
    world.get(&old, "/v1/volumes/for-token/").await.refused(401, &["volume token"]);
    world.validate(&meta, unknown_id()).await.ok();
    let shown = world.get(root, &path).await.ok();
    assert_eq!((&shown["token"], &shown["notes"]), (&json!(unknown_id()), &json!("kept")));
    let other = world.post(root, "/v1/configure/volume-tokens", json!({ "volume_id": volume })).await.ok();
    let other = format!("/v1/configure/volume-tokens/{}", text(&other, "id"));
    world.put(root, &other, json!({ "token": unknown_id() })).await.refused(409, &["taken"]);
    world.put(root, &other, json!({ "token": "no uuid" })).await.refused(400, &["UUID"]);
}

#[tokio::test]
async fn use_is_shown_until_the_last_mount_goes_and_remembered_then() {
    let (world, volume, meta) = furnished().await;
    let root = &world.root;
    let made = world.post(root, "/v1/configure/volume-tokens", json!({ "volume_id": volume })).await.ok();
    let (id, path) = (text(&made, "id"), format!("/v1/configure/volume-tokens/{}", text(&made, "id")));
    let stranger = json!({ "token_id": unknown_id(), "mounts": 9 });
    world.put(&meta, "/v1/volume-tokens/use", json!([{ "token_id": id, "mounts": 2 }, stranger])).await.done();
    let shown = world.get(root, &path).await.ok();
    assert_eq!(shown["mounts"], 2);
    assert!(shown["last_used_at"].is_string(), "{shown}");
    world.put(&meta, "/v1/volume-tokens/use", json!([])).await.done();
    let shown = world.get(root, &path).await.ok();
    assert_eq!(shown["mounts"], 0);
    assert!(shown["last_used_at"].is_string(), "{shown}");
    world.put(root, "/v1/volume-tokens/use", json!([])).await.refused(401, &["metadata token"]);
}
