//! Each route as each kind of caller. A new route needs a line here.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::world::{Stores, World, block_store, meta_store, text, unknown_id};

/// Who calls, in the order of a line's statuses. `Tenant` owns the volume in question, `Other` another one.
#[derive(Clone, Copy, Debug)]
enum Caller {
    Root,
    Owner,
    Tenant,
    Other,
    Reader,
    Volume,
    Server,
    Nobody,
}

const CALLERS: [Caller; 8] = [
    Caller::Root,
    Caller::Owner,
    Caller::Tenant,
    Caller::Other,
    Caller::Reader,
    Caller::Volume,
    Caller::Server,
    Caller::Nobody,
];

type Line = (&'static str, &'static str, [u16; 8]);

/// Method, route, statuses.
const TABLE: &[Line] = &[
    ("get", "/v1/configure/accounts", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("post", "/v1/configure/accounts", [200, 200, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/accounts/{id}", [200, 200, 200, 404, 200, 401, 401, 401]),
    ("put", "/v1/configure/accounts/{id}", [204, 204, 204, 404, 403, 401, 401, 401]),
    ("delete", "/v1/configure/accounts/{id}", [204, 204, 403, 404, 403, 401, 401, 401]),
    ("get", "/v1/configure/block-apis", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("get", "/v1/configure/block-apis/{code}", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("get", "/v1/configure/providers", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("post", "/v1/configure/providers", [200, 200, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/providers/{code}", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("put", "/v1/configure/providers/{code}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("delete", "/v1/configure/providers/{code}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/regions", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("post", "/v1/configure/regions", [200, 200, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/regions/{provider_code}/{code}", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("put", "/v1/configure/regions/{provider_code}/{code}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("delete", "/v1/configure/regions/{provider_code}/{code}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/block-stores", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("post", "/v1/configure/block-stores", [200, 200, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/block-stores/{id}", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("put", "/v1/configure/block-stores/{id}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("delete", "/v1/configure/block-stores/{id}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/meta-stores", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("post", "/v1/configure/meta-stores", [200, 200, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/meta-stores/{id}", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("put", "/v1/configure/meta-stores/{id}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("delete", "/v1/configure/meta-stores/{id}", [204, 204, 403, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/volumes", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("post", "/v1/configure/volumes", [200, 200, 200, 403, 403, 401, 401, 401]),
    ("get", "/v1/configure/volumes/{id}", [200, 200, 200, 404, 200, 401, 401, 401]),
    ("put", "/v1/configure/volumes/{id}", [204, 204, 204, 404, 403, 401, 401, 401]),
    ("delete", "/v1/configure/volumes/{id}", [204, 204, 204, 404, 403, 401, 401, 401]),
    ("get", "/v1/configure/volume-tokens", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("post", "/v1/configure/volume-tokens", [200, 200, 200, 400, 403, 401, 401, 401]),
    ("get", "/v1/configure/volume-tokens/{token}", [200, 200, 200, 404, 200, 401, 401, 401]),
    ("put", "/v1/configure/volume-tokens/{token}", [204, 204, 204, 404, 403, 401, 401, 401]),
    ("delete", "/v1/configure/volume-tokens/{token}", [204, 204, 204, 404, 403, 401, 401, 401]),
    ("get", "/v1/configure/audit", [200, 200, 200, 200, 200, 401, 401, 401]),
    ("get", "/v1/volumes/for-token/", [401, 401, 401, 401, 401, 200, 401, 401]),
    ("post", "/v1/volume-tokens/validate", [401, 401, 401, 401, 401, 401, 200, 401]),
    ("put", "/v1/meta-stores/self", [401, 401, 401, 401, 401, 401, 204, 401]),
    ("put", "/v1/volumes/stats", [401, 401, 401, 401, 401, 401, 204, 401]),
    ("put", "/v1/volume-tokens/use", [401, 401, 401, 401, 401, 401, 204, 401]),
    ("get", CHANGES, [401, 401, 401, 401, 401, 401, 400, 401]),
    ("put", "/v1/meta-stores/self/acts", [401, 401, 401, 401, 401, 401, 204, 401]),
    ("get", "/v1/volumes/retired", [401, 401, 401, 401, 401, 401, 200, 401]),
    ("post", "/v1/sessions/report", [401, 401, 401, 401, 401, 401, 204, 401]),
];

/// Its answer never ends: here it is asked with half of a place, and refused to who may ask at all.
const CHANGES: &str = "/v1/meta-stores/self/changes";

/// What one try works on, made for it alone.
struct Things {
    world: World,
    stores: Stores,
    accounts: [Value; 4],
    volume: Value,
    spare: Value,
}

impl Things {
    async fn new() -> Self {
        let world = World::new().await;
        let stores = world.stores().await;
        let mut accounts = Vec::new();
        for (name, role) in [("owner", "owner"), ("tenant", "tenant"), ("other", "tenant"), ("reader", "reader")] {
            let body = json!({ "name": name, "role": role });
            accounts.push(world.post(&world.root, "/v1/configure/accounts", body).await.ok());
        }
        let volume = world.volume(&text(&accounts[1], "token"), &stores, "data").await;
        world.volume(&text(&accounts[2], "token"), &stores, "data").await;
        // Places and stores that nothing lies in.
        let root = &world.root;
        world.post(root, "/v1/configure/providers", json!({ "code": "empty", "name": "x" })).await.ok();
        let region = json!({ "provider_code": "local", "code": "spare", "name": "x" });
        world.post(root, "/v1/configure/regions", region).await.ok();
        let block = world.post(root, "/v1/configure/block-stores", block_store("/spare")).await.ok();
        let meta = world.post(root, "/v1/configure/meta-stores", meta_store("spare:1")).await.ok();
        let lonely = world.post(root, "/v1/configure/accounts", json!({ "name": "lonely" })).await.ok();
        let spare = json!({ "block-stores": block["id"], "meta-stores": meta["id"], "accounts": lonely["id"] });
        let accounts = accounts.try_into().unwrap_or_else(|_| unreachable!("four were made"));
        Self { world, stores, accounts, volume, spare }
    }

    fn token_of(&self, caller: Caller) -> String {
        let account = |at: usize| text(&self.accounts[at], "token");
        match caller {
            Caller::Root => self.world.root.clone(),
            Caller::Owner => account(0),
            Caller::Tenant => account(1),
            Caller::Other => account(2),
            Caller::Reader => account(3),
            Caller::Volume => text(&self.volume, "token"),
            Caller::Server => self.stores.meta_token.clone(),
            Caller::Nobody => unknown_id().to_owned(),
        }
    }

    /// The path of `route` with the thing that `method` is tried on.
    fn path(&self, method: &str, route: &str, caller: Caller) -> String {
        if route == CHANGES {
            return format!("{CHANGES}?sequence=1");
        }
        let table = route.trim_start_matches("/v1/configure/").split('/').next().unwrap();
        let key = match table {
            "volumes" => text(&self.volume, "id"),
            "volume-tokens" => text(&self.volume, "token_id"),
            // The account that owns the volume is needed by the tries that follow.
            "accounts" if method == "delete" && !matches!(caller, Caller::Tenant) => text(&self.spare, "accounts"),
            "accounts" => text(&self.accounts[1], "id"),
            "block-stores" | "meta-stores" => text(&self.spare, table),
            "providers" => "empty".to_owned(),
            "regions" => "spare".to_owned(),
            _ => "local".to_owned(),
        };
        let path = route.replace("{provider_code}", "local");
        ["{id}", "{code}", "{token}"].into_iter().fold(path, |path, part| path.replace(part, &key))
    }

    fn body(&self, method: &str, route: &str) -> Value {
        match (method, route) {
            ("get" | "delete", _) => Value::Null,
            ("put", "/v1/meta-stores/self") => json!({ "fingerprint": "00".repeat(32), "version": "1" }),
            ("put", "/v1/volumes/stats" | "/v1/volume-tokens/use") => json!([]),
            ("put", "/v1/meta-stores/self/acts") => json!({ "feed": unknown_id(), "sequence": 1 }),
            ("put", "/v1/configure/accounts/{id}") => json!({ "email": "a@b" }),
            ("put", route) if route.contains("volume") => json!({ "notes": "x" }),
            ("put", route) if route.contains("stores") => json!({}),
            ("put", _) => json!({ "name": "y" }),
            ("post", "/v1/volume-tokens/validate") => json!({ "token": self.volume["token"] }),
            ("post", "/v1/sessions/report") => json!({ "run": unknown_id(), "events": [], "next": 0, "last": false }),
            ("post", "/v1/configure/accounts") => json!({ "name": "new" }),
            ("post", "/v1/configure/providers") => json!({ "code": "new", "name": "x" }),
            ("post", "/v1/configure/regions") => json!({ "provider_code": "local", "code": "new", "name": "x" }),
            ("post", "/v1/configure/block-stores") => block_store("/new"),
            ("post", "/v1/configure/meta-stores") => meta_store("new:1"),
            // For the tenant's account: another one's is for owners to fill.
            ("post", "/v1/configure/volumes") => {
                let mut body = self.stores.volume("new");
                body["account_id"] = self.accounts[1]["id"].clone();
                body
            }
            ("post", "/v1/configure/volume-tokens") => json!({ "volume_id": self.volume["id"] }),
            other => panic!("no body for {other:?}"),
        }
    }
}

#[tokio::test]
async fn every_route_answers_every_caller_as_the_table_says() {
    for (method, route, statuses) in TABLE {
        let mut things = Things::new().await;
        for (caller, status) in CALLERS.into_iter().zip(statuses) {
            let path = things.path(method, route, caller);
            let (token, body) = (things.token_of(caller), things.body(method, route));
            let answer = things.world.call(&token, &method.to_uppercase(), &path, body).await;
            assert_eq!(answer.status, *status, "{method} {route} as {caller:?}: {}", answer.body);
            if *status == 200 || *status == 204 {
                // What was made or deleted is not there for the next caller.
                if *method != "get" {
                    things = Things::new().await;
                }
            } else {
                let secret = text(&things.volume, "token");
                assert!(!answer.body.to_string().contains(&secret), "{method} {route} as {caller:?}");
            }
        }
    }
}

#[tokio::test]
async fn table_has_a_line_for_every_route() {
    let world = World::new().await;
    let document = world.get("", "/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap().iter();
    let routes = paths.flat_map(|(path, methods)| {
        methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
    });
    let routes: BTreeSet<_> = routes.collect();
    let table: BTreeSet<_> = TABLE.iter().map(|(method, route, _)| (method.to_string(), route.to_string())).collect();
    assert_eq!(table.len(), TABLE.len(), "a route has two lines");
    let missing: Vec<_> = routes.symmetric_difference(&table).collect();
    assert!(missing.is_empty(), "say in TABLE who may do what: {missing:?}");
}

#[tokio::test]
async fn reader_sees_everything_and_no_token() {
    let things = Things::new().await;
    let (world, reader) = (&things.world, things.token_of(Caller::Reader));
    let list = async |table: &str| world.get(&reader, &format!("/v1/configure/{table}")).await.ok();
    assert_eq!(list("accounts").await.as_array().unwrap().len(), 6);
    assert_eq!(list("volumes").await.as_array().unwrap().len(), 2);
    assert_eq!(list("volume-tokens").await.as_array().unwrap().len(), 2);
    assert!(!list("audit").await.as_array().unwrap().is_empty());
    let own = text(&things.accounts[3], "id");
    for (table, id) in [
        ("accounts", text(&things.accounts[0], "id")),
        ("accounts", text(&things.accounts[1], "id")),
        ("meta-stores", things.stores.meta.clone()),
        ("volume-tokens", text(&things.volume, "token_id")),
    ] {
        let shown = world.get(&reader, &format!("/v1/configure/{table}/{id}")).await.ok();
        assert_eq!(shown["token"], "********", "{table}");
    }
    let shown = world.get(&reader, &format!("/v1/configure/accounts/{own}")).await.ok();
    assert_eq!(shown["token"], json!(reader), "its own");
}

#[tokio::test]
async fn owners_manage_all_but_owners() {
    let things = Things::new().await;
    let (world, owner) = (&things.world, things.token_of(Caller::Owner));
    let accounts = world.get(&owner, "/v1/configure/accounts").await.ok();
    let root = accounts.as_array().unwrap().iter().find(|account| account["root"] == true).unwrap().clone();
    let other = json!({ "name": "second", "role": "owner" });
    world.post(&owner, "/v1/configure/accounts", other.clone()).await.refused(403, &["root account"]);
    let second = world.post(&world.root, "/v1/configure/accounts", other).await.ok();
    for account in [&root, &second] {
        let path = format!("/v1/configure/accounts/{}", text(account, "id"));
        assert_eq!(world.get(&owner, &path).await.ok()["token"], "********");
        world.put(&owner, &path, json!({ "token": unknown_id() })).await.refused(403, &["root account"]);
        world.put(&owner, &path, json!({ "role": "tenant" })).await.refused(403, &["root account"]);
        world.delete(&owner, &path).await.refused(403, &["root account"]);
    }
    let own = format!("/v1/configure/accounts/{}", text(&things.accounts[0], "id"));
    world.put(&owner, &own, json!({ "role": "reader" })).await.refused(403, &["nothing else"]);
    let tenant = format!("/v1/configure/accounts/{}", text(&things.accounts[1], "id"));
    world.put(&owner, &tenant, json!({ "role": "owner" })).await.refused(403, &["makes owners"]);
    world.put(&owner, &tenant, json!({ "role": "reader", "name": "renamed" })).await.done();
    world
        .post(&things.token_of(Caller::Tenant), "/v1/configure/volumes", things.stores.volume("x"))
        .await
        .refused(403, &["renamed"]);
    world
        .put(&world.root, &format!("/v1/configure/accounts/{}", text(&root, "id")), json!({ "role": "tenant" }))
        .await
        .refused(409, &["owner"]);
    world.put(&world.root, &own, json!({ "role": "tenant" })).await.done();
    world.post(&owner, "/v1/configure/providers", json!({ "code": "x", "name": "X" })).await.refused(403, &["owner"]);
}

#[tokio::test]
async fn account_gives_itself_another_token_and_no_other_right() {
    let things = Things::new().await;
    let (world, tenant) = (&things.world, things.token_of(Caller::Tenant));
    let path = format!("/v1/configure/accounts/{}", text(&things.accounts[1], "id"));
    for changes in [json!({ "role": "owner" }), json!({ "name": "x" }), json!({ "email": "a@b", "role": "owner" })] {
        world.put(&tenant, &path, changes).await.refused(403, &["nothing else"]);
    }
    world.put(&tenant, &path, json!({ "root": true })).await.refused(400, &["root"]);
    world.put(&tenant, &path, json!({ "token": unknown_id() })).await.done();
    world.get(&tenant, "/v1/configure/volumes").await.refused(401, &["not accepted"]);
    assert_eq!(world.get(unknown_id(), "/v1/configure/volumes").await.ok().as_array().unwrap().len(), 1);
    world
        .post(&world.root, "/v1/configure/accounts", json!({ "name": "y", "role": "king" }))
        .await
        .refused(400, &["role", "tenant"]);
}
