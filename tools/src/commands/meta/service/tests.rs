use std::time::Duration;

use auth::ServerToken;
use proto::{Event, Greeting, Hello, SessionRefusal, codec};
use serde_json::{Value, json};
use transport::client::{Connection, Dialer};
use transport::tls::{Identity, Trust};

use super::*;
use crate::commands::meta::standard_settings;
use crate::testing::TestAdmin;

const SOON: Duration = Duration::from_secs(10);

/// A metadata server that `admin` knows, with a volume `data`; the volume as its creation was answered.
async fn furnished(admin: &TestAdmin) -> (MetaService, Value) {
    let root = admin.configure();
    let local = |mut fields: Value| {
        fields["provider_code"] = "local".into();
        fields["region_code"] = "local".into();
        fields
    };
    let meta_store = root.create("meta-stores", &local(json!({"address": "127.0.0.1:4433"}))).await.unwrap();
    let blocks = admin.folder.path().join("blocks");
    std::fs::create_dir(&blocks).unwrap();
    let block_store = json!({"api_code": "local", "bucket": "b", "address": blocks});
    let block_store = root.create("block-stores", &local(block_store)).await.unwrap();
    let volume = json!({"name": "data", "meta_store_id": meta_store["id"], "block_store_id": block_store["id"]});
    let volume = root.create("volumes", &volume).await.unwrap();
    let token = ServerToken::parse(meta_store["token"].as_str().unwrap()).unwrap();
    let folder = admin.folder.path().join("meta");
    let identity = Identity::load_or_create(&folder.join("cert"), &folder.join("key")).unwrap();
    let settings = standard_settings("127.0.0.1:0".parse().unwrap(), folder.join("db"), identity);
    let service = MetaService::start(settings, ServerClient::new(admin.client(), token)).unwrap();
    service.register().await.unwrap();
    (service, volume)
}

async fn greet(service: &MetaService, token: &str) -> (Dialer, Connection, Greeting) {
    let dialer = Dialer::new(service.local_addr(), &Trust::Pinned(service.fingerprint())).unwrap();
    let connection = dialer.connect(service.local_addr()).await.unwrap();
    let hello = Hello::new(token, "a test", "nowhere");
    let greeting = connection.call(&codec::encode(&hello), SOON).await.unwrap();
    let greeting = codec::decode(&greeting).unwrap();
    (dialer, connection, greeting)
}

#[tokio::test]
async fn deleted_token_ends_its_session_within_seconds_and_opens_no_other() {
    let mut admin = TestAdmin::start().await;
    let (service, volume) = furnished(&admin).await;
    let token = volume["token"].as_str().unwrap();
    let (_dialer, connection, greeting) = greet(&service, token).await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    let token_id = volume["token_id"].as_str().unwrap().to_owned();
    admin.configure().delete("volume-tokens", &[token_id]).await.unwrap();
    let (event, _receipt) = tokio::time::timeout(SOON, connection.next_event()).await.unwrap().unwrap();
    assert!(matches!(codec::decode(&event).unwrap(), Event::SessionEnded(_)));
    let (_dialer, _connection, greeting) = greet(&service, token).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::TokenRejected, _)), "{greeting:?}");
    service.stop().await.unwrap();
    admin.stop().await;
}

#[tokio::test]
async fn known_token_opens_sessions_while_the_admin_server_is_away() {
    let mut admin = TestAdmin::start().await;
    let (service, volume) = furnished(&admin).await;
    let token = volume["token"].as_str().unwrap();
    let (_dialer, _connection, greeting) = greet(&service, token).await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    admin.stop().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (_dialer, _connection, greeting) = greet(&service, token).await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    let stranger = auth::VolumeToken::generate();
    let (_dialer, _connection, greeting) = greet(&service, stranger.expose()).await;
    assert!(matches!(greeting, Greeting::Sorry(SessionRefusal::Unavailable, _)), "{greeting:?}");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn server_with_a_session_stops_at_once() {
    let mut admin = TestAdmin::start().await;
    let (service, volume) = furnished(&admin).await;
    let (_dialer, _connection, greeting) = greet(&service, volume["token"].as_str().unwrap()).await;
    assert!(matches!(greeting, Greeting::Welcome(_)), "{greeting:?}");
    // By now the server asks about the token again and again.
    tokio::time::sleep(Duration::from_secs(2)).await;
    tokio::time::timeout(Duration::from_secs(5), service.stop()).await.unwrap().unwrap();
    admin.stop().await;
}
