use super::exchange::segment;
use super::*;

#[test]
fn keys_cannot_leave_their_place_in_the_path() {
    assert_eq!(segment("my-volume_1.2~"), "my-volume_1.2~");
    assert_eq!(segment("a/b?c#d e%"), "a%2Fb%3Fc%23d%20e%25");
    assert_eq!(segment("ü"), "%C3%BC");
}

#[test]
fn loopback_is_recognised() {
    for addr in ["127.0.0.1:80", "localhost:8080", "[::1]:443", "127.5.0.1"] {
        assert!(is_loopback(addr), "{addr}");
    }
    for addr in ["10.0.0.1:80", "admin.example.com", "localhost.example.com:1", "0.0.0.0:443"] {
        assert!(!is_loopback(addr), "{addr}");
    }
}

#[test]
fn addresses_are_checked_before_anybody_is_asked() {
    for addr in ["admin.example.com:443", "admin", "127.0.0.1:7443", "[::1]:443", "[::1]", "http://h:1", "https://h:1"]
    {
        assert_eq!(check_addr(addr), Ok(()), "{addr}");
    }
    for addr in
        ["", ":443", "a b:1", "h:0", "h:65536", "h:x", "h:1/x", "u@h:1", "ftp://h", "::1", "[::1", "[x]:1", "h:1:2"]
    {
        assert!(check_addr(addr).unwrap_err().contains(&format!("{addr:?}: HOST:PORT")), "{addr}");
        assert!(matches!(AdminClient::new(addr, None), Err(ClientError::Address(_))), "{addr}");
    }
}

#[tokio::test]
async fn absent_server_is_named_with_what_to_check() {
    let client = AdminClient::new("127.0.0.1:9", None).unwrap();
    let error = client.meet().await.unwrap_err();
    let line = error.to_string();
    assert!(line.contains("127.0.0.1:9") && line.contains("is admin.flexfs running"), "{line}");
    assert!(error.is_temporary());
}

#[tokio::test]
async fn server_in_the_clear_is_spoken_to_without_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let settings = admin::AdminSettings {
        bind_addr: "127.0.0.1:0".parse().unwrap(),
        db_folder: folder.path().to_owned(),
        identity: None,
        meta_ca: None,
        root_token: auth::AccountToken::generate(),
    };
    let server = admin::bind(settings).await.unwrap();
    let addr = server.local_addr();
    tokio::spawn(server.serve(std::future::pending()));
    assert_eq!(AdminClient::new(&format!("http://{addr}"), None).unwrap().meet().await.unwrap(), None);
    let error = AdminClient::new(&addr.to_string(), None).unwrap().meet().await.unwrap_err().to_string();
    assert!(error.contains("--noSSL"), "{error}");
}

#[test]
fn fingerprint_and_plain_address_exclude_each_other() {
    let fingerprint = "ab".repeat(32);
    assert!(matches!(AdminClient::new("http://127.0.0.1:1", Some(&fingerprint)), Err(ClientError::ProofWithoutTls(_))));
    assert!(AdminClient::new("127.0.0.1:1", Some("abc")).unwrap_err().to_string().contains("64 hex"));
}
