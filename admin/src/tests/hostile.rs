//! Requests that nobody should send.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth::AccountToken;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::world::{World, settings, text, unknown_id};
use crate::bind;

/// A server without TLS; what it answers to the bytes of a request.
struct Plain {
    addr: std::net::SocketAddr,
    root: AccountToken,
    _folder: tempfile::TempDir,
}

impl Plain {
    async fn new() -> Self {
        let (folder, root) = (tempfile::tempdir().unwrap(), AccountToken::generate());
        let server = bind(settings(folder.path(), None, &root)).await.unwrap();
        let addr = server.local_addr();
        tokio::spawn(server.serve(std::future::pending()));
        Self { addr, root, _folder: folder }
    }

    /// Status and error of the answer to a request with `body`.
    async fn send(&self, request_line: &str, headers: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let (len, root) = (body.len(), self.root.expose());
        let head = format!(
            "{request_line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len}\r\n\
             Authorization: Bearer {root}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may answer and close before it has read a body that it refuses.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap_or_default().parse().unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        (status, body["error"].as_str().unwrap_or_default().to_owned())
    }
}

#[tokio::test]
async fn malformed_bodies_are_explained() {
    let plain = Plain::new().await;
    let cases: [(&[u8], &str); 8] = [
        (b"", "body: EOF"),
        (b"{", "body: EOF"),
        (b"\xff\xfe", "body: "),
        (b"[1]", "body: `[0]`: invalid type"),
        (br#"{"email":"a@b"}"#, "missing field `name`"),
        (br#"{"name":"x","admin":true}"#, "unknown field `admin`"),
        (br#"{"name":"x"} y"#, "trailing characters"),
        (br#"{"name":7}"#, "`name`: invalid type"),
    ];
    for (body, word) in cases {
        let (status, error) = plain.send("POST /v1/configure/accounts", "", body).await;
        assert_eq!(status, 400, "{error}");
        assert!(error.contains(word) && error.lines().count() == 1, "{error:?} lacks {word:?}");
    }
    let (status, error) = plain.send("PUT /v1/configure/providers/local", "", b"[]").await;
    assert!(status == 400 && error.contains("expected a map"), "{status} {error}");
}

#[tokio::test]
async fn oversized_body_is_refused() {
    let plain = Plain::new().await;
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(70_000));
    let (status, error) = plain.send("POST /v1/configure/accounts", "", body.as_bytes()).await;
    assert_eq!((status, error.contains("65536 bytes")), (413, true), "{error}");
}

#[tokio::test]
async fn unknown_paths_queries_and_methods_are_explained() {
    let plain = Plain::new().await;
    let id = unknown_id();
    let cases = [
        ("GET /v1/configure/nothing".to_owned(), 404, "no such route"),
        ("GET /".to_owned(), 404, "no such route"),
        ("PATCH /v1/configure/accounts".to_owned(), 405, "PATCH"),
        ("GET /v1/configure/accounts/x".to_owned(), 400, "`id` \"x\": "),
        (format!("GET /v1/configure/accounts/{id}"), 404, "does not exist"),
        ("GET /v1/configure/accounts/%ff".to_owned(), 400, "path:"),
        ("GET /v1/configure/volumes?size=3".to_owned(), 400, "unknown field `size`"),
        ("GET /v1/configure/volumes?retired=maybe".to_owned(), 400, "query:"),
        ("GET /v1/configure/volumes?name=%27%20OR%201=1".to_owned(), 200, ""),
    ];
    for (request, expected, word) in cases {
        let (status, error) = plain.send(&request, "", b"").await;
        assert_eq!(status, expected, "{request}: {error}");
        assert!(error.contains(word), "{request}: {error:?} lacks {word:?}");
    }
}

#[tokio::test]
async fn request_without_a_good_token_is_refused() {
    let world = World::new().await;
    let routes = [
        ("GET", "/v1/configure/accounts"),
        ("POST", "/v1/configure/volumes"),
        ("PUT", "/v1/configure/providers/local"),
        ("DELETE", "/v1/configure/providers/local"),
        ("GET", "/v1/volumes/for-token/"),
        ("POST", "/v1/volume-tokens/validate"),
        ("PUT", "/v1/meta-stores/self"),
        ("PUT", "/v1/volumes/stats"),
        ("GET", "/v1/volumes/retired"),
    ];
    for (method, path) in routes {
        for token in ["", "secret", unknown_id(), "******** "] {
            let refused = world.call(token, method, path, json!({})).await;
            assert!(token.is_empty() || !refused.body.to_string().contains(token), "{refused:?}");
            refused.refused(401, &["token", "is needed"]);
        }
    }
    let plain = Plain::new().await;
    let (status, _) = plain.send("GET /v1/configure/accounts", "", b"").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn no_log_line_shows_a_token() {
    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);
    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Write::write(&mut *self.0.lock().unwrap(), bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // For all threads: the blocking ones log too, and so do the tests beside this one.
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let world = World::new().await;
    let (root, stores) = (&world.root, world.stores().await);
    let token = text(&world.volume(root, &stores, "data").await, "token");
    world.get(root, &format!("/v1/configure/volume-tokens/{token}")).await.ok();
    world.get(unknown_id(), "/v1/configure/volumes").await.refused(401, &["not accepted"]);
    let log = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    // Libraries of the client log too; the server's own lines are looked at.
    let own: Vec<&str> = log.lines().filter(|line| line.contains(" admin::")).collect();
    assert!(own.iter().any(|line| line.contains("request refused") && line.contains("127.0.0.1")), "{log}");
    assert!(own.iter().any(|line| line.contains("/v1/configure/volume-tokens/{token}")), "{log}");
    for secret in [root.as_str(), &token, &stores.meta_token, unknown_id()] {
        assert!(own.iter().all(|line| !line.contains(secret)));
    }
}

#[tokio::test]
async fn stalled_handshakes_hold_up_nobody() {
    let world = World::new().await;
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let mut stream = TcpStream::connect(world.addr).await.unwrap();
        stream.write_all(&[0x16]).await.unwrap();
        stalled.push(stream);
    }
    let answer = tokio::time::timeout(Duration::from_secs(3), world.get(&world.root, "/v1/configure/accounts"));
    answer.await.expect("answered while the others stall").ok();
}

#[tokio::test]
async fn description_lists_every_route() {
    let world = World::new().await;
    let document = world.get("", "/openapi.json").await.ok();
    let paths = document["paths"].as_object().unwrap();
    for (path, methods) in [
        ("/v1/configure/accounts", 2),
        ("/v1/configure/accounts/{id}", 3),
        ("/v1/configure/block-apis", 1),
        ("/v1/configure/block-apis/{code}", 1),
        ("/v1/configure/regions/{provider_code}/{code}", 3),
        ("/v1/configure/volume-tokens/{token}", 3),
        ("/v1/volumes/for-token/", 1),
        ("/v1/volume-tokens/validate", 1),
        ("/v1/volume-tokens/use", 1),
        ("/v1/meta-stores/self", 1),
        ("/v1/meta-stores/self/changes", 1),
        ("/v1/meta-stores/self/acts", 1),
        ("/v1/volumes/stats", 1),
        ("/v1/volumes/retired", 1),
        ("/v1/sessions/report", 1),
        ("/v1/configure/audit", 1),
    ] {
        assert_eq!(paths[path].as_object().unwrap().len(), methods, "{path}");
    }
    assert_eq!(paths.len(), 8 * 2 + 10);
    let filters = paths["/v1/configure/volumes"]["get"]["parameters"].as_array().unwrap();
    assert!(filters.iter().any(|filter| filter["name"] == "retired" && filter["in"] == "query"));
    for reference in references(&document) {
        let name = reference.strip_prefix("#/components/schemas/").unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{reference}");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
