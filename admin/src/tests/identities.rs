//! Whom callers count as: shown, changed, told to the metadata server, and who may say so.

use proto::rest::TokenGrant;
use rusqlite::Connection;
use serde_json::{Value, json};

use super::world::{World, text};

struct Furnished {
    world: World,
    /// Owns the volume.
    tenant: String,
    meta_token: String,
    volume_path: String,
    token_path: String,
    token: String,
}

async fn furnished() -> Furnished {
    let world = World::new().await;
    let stores = world.stores().await;
    let tenant = world.account("lab").await;
    let volume = world.volume(&tenant, &stores, "data").await;
    Furnished {
        volume_path: format!("/v1/configure/volumes/{}", text(&volume, "id")),
        token_path: format!("/v1/configure/volume-tokens/{}", text(&volume, "token_id")),
        token: text(&volume, "token"),
        meta_token: stores.meta_token,
        tenant,
        world,
    }
}

impl Furnished {
    async fn granted(&self) -> (String, String) {
        let grant = self.world.validate(&self.meta_token, &self.token).await.ok();
        let TokenGrant { as_user, flags, .. } = serde_json::from_value(grant).unwrap();
        (as_user, flags)
    }

    async fn set(&self, path: &str, as_user: &str) {
        self.world.put(&self.tenant, path, json!({ "as_user": as_user })).await.done();
    }
}

#[tokio::test]
async fn what_the_volume_says_goes_before_what_its_token_says() {
    let all = furnished().await;
    let (volume, token) = (&all.volume_path, &all.token_path);
    assert_eq!(all.granted().await.0, "");
    for (path, as_user, granted) in [
        (token, "1000", "1000:1000"),
        (volume, "0", "0:0"),
        (token, "1000:100,4", "0:0"),
        (volume, "", "1000:100,4"),
        (token, "", ""),
        (volume, "4294967295:5", "4294967295:5"),
    ] {
        all.set(path, as_user).await;
        assert_eq!(all.granted().await.0, granted, "{as_user} for {path}");
    }
    let shown = all.world.get(&all.tenant, volume).await.ok();
    assert_eq!((&shown["as_user"], &shown["flags"]), (&json!("4294967295:5"), &json!("")));
    let shown = all.world.get(&all.tenant, token).await.ok();
    assert_eq!(shown["as_user"], "");
}

#[tokio::test]
async fn identity_is_set_with_what_is_made_and_squashing_is_joined() {
    let all = furnished().await;
    let volume = all.world.get(&all.tenant, &all.volume_path).await.ok();
    let body = json!({ "volume_id": volume["id"], "as_user": "7:8,9", "flags": "rootSquash" });
    let made = all.world.post(&all.tenant, "/v1/configure/volume-tokens", body).await.ok();
    assert_eq!((&made["as_user"], &made["flags"]), (&json!("7:8,9"), &json!("rootSquash")));
    all.world.put(&all.tenant, &all.volume_path, json!({ "flags": "noExec,rootSquash" })).await.done();
    assert_eq!(all.granted().await, (String::new(), "noExec,rootSquash".to_owned()));
}

#[tokio::test]
async fn what_is_no_user_is_refused_and_changes_nothing() {
    let all = furnished().await;
    let volume = all.world.get(&all.tenant, &all.volume_path).await.ok();
    let many = format!("1:{}", (1..=65).map(|gid| gid.to_string()).collect::<Vec<_>>().join(","));
    let cases = [
        (json!("ann"), "\"ann\""),
        (json!("-1"), "\"-1\""),
        (json!("4294967296"), "4294967295"),
        (json!("1:"), "UID[:GID[,GID...]]"),
        (json!("1000 "), "UID[:GID[,GID...]]"),
        (json!("1\n2"), "UID[:GID[,GID...]]"),
        (json!(many), "at most 64"),
        (json!("x".repeat(60_000)), "UID[:GID[,GID...]]"),
        (json!(1000), "`as_user`"),
        (json!([1000]), "`as_user`"),
    ];
    for (value, word) in cases {
        for path in [&all.volume_path, &all.token_path] {
            all.world.put(&all.tenant, path, json!({ "as_user": value })).await.refused(400, &["as_user", word]);
        }
        let body = json!({ "volume_id": volume["id"], "as_user": value });
        all.world.post(&all.tenant, "/v1/configure/volume-tokens", body).await.refused(400, &["as_user", word]);
    }
    assert_eq!(all.granted().await.0, "");
}

#[tokio::test]
async fn identity_is_for_those_to_set_who_own_the_volume() {
    let all = furnished().await;
    let other = all.world.account("other").await;
    let body = json!({ "name": "eyes", "role": "reader" });
    let reader = text(&all.world.post(&all.world.root, "/v1/configure/accounts", body).await.ok(), "token");
    let change = || json!({ "as_user": "0" });
    for path in [&all.volume_path, &all.token_path] {
        all.world.put(&other, path, change()).await.refused(404, &["volume"]);
        all.world.put(&reader, path, change()).await.refused(403, &["change nothing"]);
        all.world.put(&all.token, path, change()).await.refused(401, &[]);
        all.world.put(&all.meta_token, path, change()).await.refused(401, &[]);
    }
    assert_eq!(all.granted().await.0, "");
    let lines = all.world.get(&all.world.root, "/v1/configure/audit?limit=100").await.ok();
    all.set(&all.token_path, "5").await;
    let told = all.world.get(&all.world.root, "/v1/configure/audit?limit=100").await.ok();
    assert!(told.as_array().unwrap().len() > lines.as_array().unwrap().len());
    let last = told.as_array().unwrap().last().unwrap();
    assert_eq!((&last["action"], &last["detail"]), (&json!("volume-token.update"), &json!({ "as_user": "5" })));
}

#[tokio::test]
async fn database_of_an_older_program_gets_the_columns_and_keeps_what_it_has() {
    let all = furnished().await;
    let (token, meta_token, token_path) = (all.token.clone(), all.meta_token.clone(), all.token_path.clone());
    let (folder, root) = all.world.close().await;
    let connection = Connection::open(folder.path().join("admin/admin.db")).unwrap();
    let back = "DROP VIEW owned_volume_tokens; ALTER TABLE volumes DROP COLUMN as_user; \
                ALTER TABLE volume_tokens DROP COLUMN as_user; \
                CREATE VIEW owned_volume_tokens AS SELECT volume_tokens.*, volumes.account_id, volumes.retired \
                FROM volume_tokens JOIN volumes ON volumes.id = volume_tokens.volume_id; PRAGMA user_version = 4;";
    connection.execute_batch(back).unwrap();
    drop(connection);
    let world = World::open(folder, root).await;
    let grant: Value = world.validate(&meta_token, &token).await.ok();
    assert_eq!(grant["as_user"], "");
    world.put(&world.root, &token_path, json!({ "as_user": "1000" })).await.done();
    assert_eq!(world.get(&world.root, &token_path).await.ok()["as_user"], "1000:1000");
    let grant: Value = world.validate(&meta_token, &token).await.ok();
    assert_eq!(grant["as_user"], "1000:1000");
}
