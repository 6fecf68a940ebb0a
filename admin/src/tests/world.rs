//! A server, its folder, and what an administrator sets up first.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use auth::AccountToken;
use proto::feed::LINE_MAX;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use transport::rest::{HttpsClient, Lines};
use transport::tls::{Identity, Trust};

use crate::{AdminError, AdminSettings, bind};

/// A server under test.
pub(super) struct World {
    pub(super) folder: TempDir,
    pub(super) root: String,
    pub(super) addr: SocketAddr,
    client: HttpsClient,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), AdminError>>,
}

/// Status and body of an answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The body, where the status is 200.
    pub(super) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.body
    }

    /// Checks for 204 and no body.
    pub(super) fn done(self) {
        assert_eq!((self.status, &self.body), (204, &Value::Null));
    }

    /// Checks the status and that the error names all of `words` in one line.
    pub(super) fn refused(self, status: u16, words: &[&str]) {
        let error = self.body["error"].as_str().unwrap_or_else(|| panic!("no error: {self:?}"));
        assert_eq!(self.status, status, "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{error} lacks one of {words:?}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

impl World {
    pub(super) async fn new() -> Self {
        Self::open(tempfile::tempdir().unwrap(), AccountToken::generate()).await
    }

    pub(super) async fn open(folder: TempDir, root: AccountToken) -> Self {
        let identity = identity(folder.path());
        let trust = Trust::Pinned(identity.fingerprint());
        let server = bind(settings(&folder.path().join("admin"), Some(identity), &root)).await.unwrap();
        let addr = server.local_addr();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(async { drop(stopped.await) }));
        let client = HttpsClient::new(&addr.to_string(), Some(&trust)).unwrap();
        Self { folder, root: root.expose().to_owned(), addr, client, stop, serving }
    }

    /// Stops the server; the folder stays.
    pub(super) async fn close(self) -> (TempDir, AccountToken) {
        drop(self.client);
        drop(self.stop);
        self.serving.await.unwrap().unwrap();
        (self.folder, AccountToken::parse(&self.root).unwrap())
    }

    pub(super) async fn reopen(self) -> Self {
        let (folder, root) = self.close().await;
        Self::open(folder, root).await
    }

    /// The changes that a metadata server hears of, from the start line on.
    pub(super) async fn feed(&self, meta_token: &str, query: &[(&str, &str)]) -> Lines {
        self.client.lines("/v1/meta-stores/self/changes", query, meta_token, LINE_MAX).await.unwrap().unwrap()
    }

    pub(super) async fn call(&self, bearer: &str, method: &str, path: &str, body: Value) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let query: Vec<(&str, &str)> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let body = Some(body).filter(|body| !body.is_null());
        let response = self.client.request(method, path, &query, bearer, body.as_ref()).await.unwrap();
        let body = if response.body.is_empty() { Value::Null } else { response.json().unwrap() };
        Answer { status: response.status, body }
    }

    pub(super) async fn get(&self, bearer: &str, path: &str) -> Answer {
        self.call(bearer, "GET", path, Value::Null).await
    }

    pub(super) async fn post(&self, bearer: &str, path: &str, body: Value) -> Answer {
        self.call(bearer, "POST", path, body).await
    }

    pub(super) async fn put(&self, bearer: &str, path: &str, body: Value) -> Answer {
        self.call(bearer, "PUT", path, body).await
    }

    pub(super) async fn delete(&self, bearer: &str, path: &str) -> Answer {
        self.call(bearer, "DELETE", path, Value::Null).await
    }

    /// A block store and a meta store, made by root.
    pub(super) async fn stores(&self) -> Stores {
        let block = self.post(&self.root, "/v1/configure/block-stores", block_store("/blocks")).await.ok();
        let meta = self.post(&self.root, "/v1/configure/meta-stores", meta_store("meta.example.com:443")).await.ok();
        Stores { block: text(&block, "id"), meta: text(&meta, "id"), meta_token: text(&meta, "token") }
    }

    /// An account's token.
    pub(super) async fn account(&self, name: &str) -> String {
        let account = self.post(&self.root, "/v1/configure/accounts", json!({ "name": name })).await.ok();
        text(&account, "token")
    }

    /// A volume with default settings.
    pub(super) async fn volume(&self, bearer: &str, stores: &Stores, name: &str) -> Value {
        self.post(bearer, "/v1/configure/volumes", stores.volume(name)).await.ok()
    }

    /// What a metadata server is told of a volume token.
    pub(super) async fn validate(&self, meta_token: &str, token: &str) -> Answer {
        self.post(meta_token, "/v1/volume-tokens/validate", json!({ "token": token })).await
    }
}

/// Stores for volumes.
pub(super) struct Stores {
    pub(super) block: String,
    pub(super) meta: String,
    pub(super) meta_token: String,
}

impl Stores {
    /// Body for a new volume.
    pub(super) fn volume(&self, name: &str) -> Value {
        json!({ "name": name, "meta_store_id": self.meta, "block_store_id": self.block })
    }
}

pub(super) fn settings(db_folder: &Path, identity: Option<Identity>, root: &AccountToken) -> AdminSettings {
    AdminSettings {
        bind_addr: (Ipv4Addr::LOCALHOST, 0).into(),
        db_folder: db_folder.to_owned(),
        identity,
        meta_ca: None,
        root_token: root.clone(),
    }
}

fn identity(folder: &Path) -> Identity {
    Identity::load_or_create(&folder.join("ssl/cert"), &folder.join("ssl/key")).unwrap()
}

pub(super) fn block_store(address: &str) -> Value {
    json!({
        "provider_code": "local", "region_code": "local", "api_code": "local", "bucket": "main", "address": address,
    })
}

pub(super) fn meta_store(address: &str) -> Value {
    json!({ "provider_code": "local", "region_code": "local", "address": address })
}

pub(super) fn text(object: &Value, field: &str) -> String {
    object[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {object}")).to_owned()
}

/// One more of each UUID: none of the server's.
pub(super) fn unknown_id() -> &'static str {
    "11111111-2222-4333-8444-555555555555"
}
